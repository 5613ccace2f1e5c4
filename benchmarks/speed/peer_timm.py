"""Classify a folder as timm's own scripts do: `create_dataset`, `create_loader`, `create_model`, and a CSV at the end.

    python peer_timm.py FOLDER OUT.csv

Run by `peers` in an environment with timm alone. The weights are random, as none can be fetched: the speed is the same. A
worker process per core decodes; batches are of 64 photos, so that the network has work meanwhile.
"""

import csv
import os
import sys
from pathlib import Path

import timm
import torch
from timm.data import create_dataset, create_loader, resolve_data_config

BACKBONE = "tf_efficientnet_lite0"


def main(folder: str, out: str) -> None:
    """Classify every photo below `folder`."""
    torch.manual_seed(0)
    model = timm.create_model(BACKBONE, pretrained=False).eval()
    config = resolve_data_config({}, model=model)
    dataset = create_dataset("", root=folder)
    loader = create_loader(
        dataset,
        input_size=config["input_size"],
        batch_size=64,
        is_training=False,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
        crop_pct=config["crop_pct"],
        num_workers=len(os.sched_getaffinity(0)),
        device=torch.device("cpu"),
    )
    rows = []
    with torch.inference_mode():
        for pixels, _ in loader:
            confidences, tags = model(pixels).softmax(1).max(1)
            rows += [(int(tag), f"{confidence:.4f}") for tag, confidence in zip(tags, confidences, strict=True)]
    with Path(out).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "tag", "confidence"))
        writer.writerows((path, *row) for path, row in zip(dataset.filenames(), rows, strict=True))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
