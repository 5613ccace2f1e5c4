"""Merge several networks into one that is their ensemble."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from tagger.models.blocks import side_by_side
from tagger.models.network import Network


def merge(networks: Sequence[Network]) -> Network:
    """Return an ensemble as one network in evaluation mode, whose logits are the mean of the members' logits.

    Its probabilities are therefore the members' geometric mean, normalized. The members have one shape and a single member
    each; their modules become the ensemble's own.
    """
    merged = Network(replace(networks[0].config, members=len(networks)))
    parts = side_by_side([network.parts() for network in networks])
    merged.stages, merged.neck = nn.Sequential(*parts.layers), parts.neck
    photo_heads = [network.photo_head for network in networks if network.photo_head is not None]
    merged.head = _mean_head([network.head for network in networks])
    merged.photo_head = _mean_head(photo_heads) if photo_heads else None
    return merged.eval()


def _mean_head(heads: Sequence[nn.Linear]) -> nn.Linear:
    """Return a head that maps the concatenated features of all heads to the mean of their logits."""
    mean = nn.Linear(sum(head.in_features for head in heads), heads[0].out_features)
    with torch.no_grad():
        mean.weight.copy_(torch.cat([head.weight for head in heads], 1) / len(heads))
        mean.bias.copy_(torch.stack([head.bias for head in heads]).mean(0))
    return mean
