"""Classify a folder by Hugging Face's image-classification pipeline with timm's backbone, and write a CSV at the end.

    python peer_huggingface.py FOLDER OUT.csv

Run by `peers` in an environment with transformers and timm. The weights are random, as none can be fetched: the speed is the
same. The pipeline reads the files itself, in a worker process per core, in batches of 16.
"""

import csv
import os
import sys
from pathlib import Path

import torch
from timm.models import get_pretrained_cfg
from transformers import TimmWrapperConfig, TimmWrapperForImageClassification, TimmWrapperImageProcessor, pipeline

BACKBONE = "tf_efficientnet_lite0"


def main(folder: str, out: str) -> None:
    """Classify every photo below `folder`."""
    torch.manual_seed(0)
    model = TimmWrapperForImageClassification(TimmWrapperConfig(architecture=BACKBONE, num_labels=1000)).eval()
    processor = TimmWrapperImageProcessor(pretrained_cfg=get_pretrained_cfg(BACKBONE).to_dict(), architecture=BACKBONE)
    classify = pipeline("image-classification", model=model, image_processor=processor, device="cpu")
    files = sorted(str(path) for path in Path(folder).rglob("*.*") if path.is_file())
    found = classify(files, batch_size=16, num_workers=len(os.sched_getaffinity(0)), top_k=1)
    with Path(out).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "tag", "confidence"))
        for path, best in zip(files, found, strict=True):
            writer.writerow((path, best[0]["label"], f"{best[0]['score']:.4f}"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
