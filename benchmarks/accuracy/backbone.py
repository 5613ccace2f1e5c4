"""Ablate the backbone and its fusion with the small network on real photos.

    python -m benchmarks.accuracy.backbone PACKSHOTS ON_MODEL OTHER_PRODUCTS HOME --photos HOME --backbone FILE
        [--lite1 FILE] [--lite2 FILE] [--cache DIR] [--out FILE.md]

Each folder has a labels.csv (path,label,kind,group), and they come in this order: shop photos of products alone, shop photos of
worn products, shop photos of other products, and home photos, of which senders that nothing is learnt from are measured.
HOME and FILE are those of `fmtag retrain --mix catalog`. The head is fitted anew by the same code wherever a row says so. What
networks compute is kept in DIR: an interrupted benchmark goes on where it was, and fine-tuning is done once.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import torch

from benchmarks.accuracy import backbone_rows as rows
from benchmarks.accuracy.backbone_photos import COLUMNS, all_cut, counts
from benchmarks.reporting import RESULTS, table, write


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    inputs = rows.Inputs(options)
    larger = {name: file for name, file in (("lite1", options.lite1), ("lite2", options.lite2)) if file}
    sections: dict[str, tuple[str, str, Callable[[], Iterator[list[str]]]]] = {
        "witnesses": ("What each witness says", "Calibrated anew in every row.", lambda: rows.of_witnesses(inputs)),
        "exponents": (
            "Weights of the three",
            "Of the logarithms of the small network, ImageNet's classes and the head.",
            lambda: rows.of_exponents(inputs),
        ),
        "views": (
            "What the backbone sees",
            "The head is the one fitted to pictures cut out, at 224 pixels, unless the row says otherwise; a mean is one of "
            "features and of logits.",
            lambda: rows.of_views(inputs),
        ),
        "lessons": (
            "What the head learns from",
            "Normalization and principal components are those of all pictures.",
            lambda: rows.of_lessons(inputs),
        ),
        "heads": (
            "Size and weight of the head",
            "Learnt from photos cut out and in their plain box; seen in the plain box, people cut out. The weights of the "
            "small network and of ImageNet's classes are those that ship.",
            lambda: rows.of_heads(inputs),
        ),
        "projections": ("How much of the features is stored", "The head is fitted anew.", lambda: rows.of_projections(inputs)),
        "asking": (
            "Asking the backbone only about photos that the small network is unsure of",
            "Of packshots, on-model, other-products and home the shares that the backbone sees follow the limit on the small "
            "network's confidence.",
            lambda: rows.of_asking(inputs),
        ),
        "fine-tuning": (
            "Fine-tuning",
            "Two epochs of 8,000 of the pictures that the head learns from, at 160 pixels, AdamW 5e-5, normalizations frozen; "
            "the head is fitted anew at 224 pixels, in all rows to photos and every third staged and painted picture.",
            lambda: rows.of_fine_tuning(inputs),
        ),
        "larger": (
            "Larger networks of the family",
            "The head is fitted anew, to as many pictures as above.",
            lambda: rows.of_larger(inputs, larger),
        ),
    }
    yield "# What the backbone gives\n"
    yield f"`python -m benchmarks.accuracy.backbone {shlex.join(sys.argv[1:])}`\n"
    yield counts(rows.scores_of(inputs, inputs.fusion(inputs.lite0), inputs.seen())) + "\n"
    yield (
        "Macro accuracy of each folder without loosely mapped kinds: of all photos, of the half that choices may look at and "
        "of the reserved half. Footwear is that of packshots. AUROC, the share of the most confident tags and the calibration "
        "error are of packshots and on-model together, AUROC against other-products. Nothing was trained on these three; of "
        "home, nothing on these senders.\n"
    )
    for name in options.sections or sections:
        title, note, of_section = sections[name]
        yield f"## {title}\n"
        yield f"{note}\n"
        yield from table(COLUMNS, of_section())


def main() -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs=4, type=Path, help="packshots, on-model, other-products and home")
    parser.add_argument("--photos", type=Path, required=True, help="folder of labelled photos that the head learns from")
    parser.add_argument("--backbone", type=Path, required=True, help="published weights of EfficientNet-Lite0")
    parser.add_argument("--lite1", type=Path, help="published weights of EfficientNet-Lite1")
    parser.add_argument("--lite2", type=Path, help="published weights of EfficientNet-Lite2")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's four files")
    parser.add_argument("--cache", type=Path, default=Path("backbone-cache"), help="folder of what networks compute")
    parser.add_argument("--sections", nargs="*", help="names of sections; all by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "backbone.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with all_cut():  # what rows about plain boxes differ from
        write(options.out, report(options))


if __name__ == "__main__":
    main()
