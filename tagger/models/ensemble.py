"""An ensemble as one network."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from tagger.models.blocks import side_by_side
from tagger.models.network import Network


def merge(networks: Sequence[Network]) -> Network:
    """Return networks of one shape, with a single member each, as one in evaluation mode, whose logits are the mean of theirs.

    So its probabilities are the members' geometric mean, but for a factor. The members' modules become its own.
    """
    whole = Network(replace(networks[0].config, members=len(networks)))
    made = side_by_side([network.parts() for network in networks])
    whole.stages, whole.neck = nn.Sequential(*made.layers), made.neck
    photo_heads = [network.photo_head for network in networks if network.photo_head is not None]
    whole.head = _mean_head([network.head for network in networks])
    whole.photo_head = _mean_head(photo_heads) if photo_heads else None
    return whole.eval()


def _mean_head(heads: Sequence[nn.Linear]) -> nn.Linear:
    """Return the head that gives the mean of the heads' logits for all that they see side by side."""
    mean = nn.Linear(sum(head.in_features for head in heads), heads[0].out_features)
    with torch.no_grad():
        mean.weight.copy_(torch.cat([head.weight for head in heads], 1) / len(heads))
        mean.bias.copy_(torch.stack([head.bias for head in heads]).mean(0))
    return mean
