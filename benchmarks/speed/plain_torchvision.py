"""Tag photos with plain torchvision: ImageFolder, DataLoader, greyscale, resize, negate, one CSV at the end.

    python -m benchmarks.speed.plain_torchvision FOLDER OUT.csv

Run by `peers` in an environment with torchvision alone; the network is that of the bundle `residual`. No rotation, no
transparency, no product detection, and the first damaged photo ends it.
"""

import csv
import os
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from tagger.models import bundle


def main(folder: str, out: str) -> None:
    """Tag every photo below `folder`, which holds at least one subfolder."""
    loaded = bundle.load("residual")
    network = loaded.network()
    prepare = transforms.Compose(
        [transforms.Grayscale(), transforms.Resize((28, 28)), transforms.PILToTensor(), transforms.Lambda(negative)]
    )
    photos = datasets.ImageFolder(folder, prepare)
    rows = []
    with torch.inference_mode():
        for pixels, _ in DataLoader(photos, batch_size=256, num_workers=len(os.sched_getaffinity(0))):
            confidences, tags = network(pixels).softmax(1).max(1)
            rows += [(loaded.card.labels[tag], f"{confidence:.4f}") for tag, confidence in zip(tags, confidences, strict=True)]
    with Path(out).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "tag", "confidence"))
        writer.writerows((path, *row) for (path, _), row in zip(photos.samples, rows, strict=True))


def negative(pixels: torch.Tensor) -> torch.Tensor:
    """Return the negative of uint8 pixels; a named function, as workers cannot unpickle a lambda."""
    return 255 - pixels


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
