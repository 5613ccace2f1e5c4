"""Fine-tune the backbone lightly for its ablation: a head fitted first, then all weights for two epochs, normalizations frozen.

A head fitted on frozen features before the other weights move distorts the features least (LP-FT, arXiv 2202.10054). Steps draw
their pictures by the step's number alone, so that an interrupted training resumes to the same weights.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tagger.arrays import Classes, Floats, Pixels
from tagger.data.labels import LABELS
from tagger.models.efficientnet import EfficientNetLite0
from tagger.models.softmax_regression import fit_softmax_regression

SIDE, BATCH, EPOCHS, EPOCH = 160, 16, 2, 8_000
"""Side of the pictures in pixels, pictures per step, epochs, and pictures per epoch."""

RATE, HEAD_RATE, DECAY, WARM_UP = 5e-5, 5e-4, 0.01, 100
"""Largest learning rates of AdamW for the network and the head, weight decay, and steps of warm-up before the cosine."""

HEAD_PICTURES, STRENGTH = 3_000, 1e-4
"""Pictures that the head is fitted on first, and the strength of its regularization."""

SAVED_EVERY = 100
"""Steps between checkpoints."""


def fine_tuned(
    start: EfficientNetLite0, crops: Pixels, classes: Classes, weights: Floats, checkpoint: Path
) -> EfficientNetLite0:
    """Return a fine-tuned copy of a network, in evaluation mode.

    Args:
        start: with the published weights; not changed.
        crops: uint8 (n, 224, 224, 3).
        classes: 0 up to `NONE` (n,).
        weights: how often each picture is drawn, in proportion (n,).
        checkpoint: file to resume from and to write to.
    """
    torch.manual_seed(0)
    network = EfficientNetLite0()
    network.load_state_dict(start.state_dict())
    network.to(memory_format=torch.channels_last).eval()
    head = nn.Linear(network.classifier.in_features, len(LABELS) + 1)
    groups = [
        {"params": [*network.stem.parameters(), *network.blocks.parameters(), *network.last.parameters()], "lr": RATE},
        {"params": list(head.parameters()), "lr": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
    steps, begun = EPOCHS * EPOCH // BATCH, 0

    def share(step: int) -> float:
        return min((step + 1) / WARM_UP, 0.5 * (1 + float(np.cos(np.pi * step / steps))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    parts: dict[str, Any] = {"network": network, "head": head, "optimizer": optimizer, "schedule": schedule}
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        begun = saved["step"]
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    else:
        _fit_head(head, network, crops, classes, weights)
    total = 0.0
    for step in range(begun, steps):
        rows, flipped = _drawn(weights, BATCH, step)
        logits = head(network.features(_batch(crops, rows, flipped)))
        loss = functional.cross_entropy(logits, torch.from_numpy(classes[rows]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % SAVED_EVERY == 0 or step + 1 == steps:
            print(f"fine-tuning: step {step + 1:,} of {steps:,}, loss {total / SAVED_EVERY:.3f}", flush=True)
            total = 0.0
            unfinished = checkpoint.with_suffix(".part")
            torch.save({name: part.state_dict() for name, part in parts.items()} | {"step": step + 1}, unfinished)
            unfinished.replace(checkpoint)
    return network.eval()


def _fit_head(head: nn.Linear, network: EfficientNetLite0, crops: Pixels, classes: Classes, weights: Floats) -> None:
    """Fit the head on the frozen network's features, standardized."""
    rows, flipped = _drawn(weights, HEAD_PICTURES, -1)
    with torch.no_grad():
        batches = [slice(start, start + BATCH) for start in range(0, len(rows), BATCH)]
        features = torch.cat([network.features(_batch(crops, rows[batch], flipped[batch])) for batch in batches]).numpy()
    centre, spread = features.mean(0), features.std(0) + 0.05 * features.std()
    offset = np.zeros((len(rows), head.out_features), np.float32)
    standard = ((features - centre) / spread).astype(np.float32)
    weight, bias = fit_softmax_regression(standard, classes[rows], np.ones(len(rows)), offset, STRENGTH)
    scaled = weight / spread[:, None]
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(scaled.T))
        head.bias.copy_(torch.from_numpy(bias - centre @ scaled))


def _drawn(weights: Floats, count: int, step: int) -> tuple[Classes, Classes]:
    """Return the rows of a step's pictures and whether each is mirrored, both (count,)."""
    rng = np.random.default_rng(step + 1)
    return rng.choice(len(weights), count, p=weights / weights.sum()), rng.integers(0, 2, count)


def _batch(crops: Pixels, rows: Classes, flipped: Classes) -> Tensor:
    """Return pictures as the network takes them, float32 (n, 3, `SIDE`, `SIDE`), resized by averaging."""
    pixels = np.stack([crops[row, :, ::-1] if mirrored else crops[row] for row, mirrored in zip(rows, flipped, strict=True)])
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    small = functional.interpolate(batch, (SIDE, SIDE), mode="bilinear", antialias=True)
    return small.contiguous(memory_format=torch.channels_last)
