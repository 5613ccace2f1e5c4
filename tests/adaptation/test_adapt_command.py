"""`fmtag adapt` from end to end: a shop's own labels in, a bundle that tags with them out."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tagger.cli.main import main
from tagger.inference.tagger import Tagger

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"Hose": (35, 10, 55, 110), "Tasche": (15, 40, 75, 80)}
"""Labels that the bundle does not have, and the boxes that their photos show, on 90 x 120 pixels."""


def draw(label: str, seed: int) -> Image.Image:
    """Return a photo of a box of the label's shape, of another colour and a little elsewhere for each seed."""
    rng = np.random.default_rng(seed)
    photo = Image.new("RGB", (90, 120), (250, 250, 250))
    box = np.array(SHAPES[label]) + rng.integers(-4, 5, 4)
    ImageDraw.Draw(photo).rectangle(box.tolist(), fill=tuple(rng.integers(0, 150, 3).tolist()))
    return photo


def test_a_bundle_learns_the_labels_of_a_shop(photo_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 40 photos 24 are labelled: the gain is printed, and the new bundle tags the other photos, and new ones, correctly."""
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    truth = {f"{number:02d}.png": list(SHAPES)[number % 2] for number in range(40)}
    for number, (name, label) in enumerate(truth.items()):
        draw(label, number).save(catalog / name)
    with (tmp_path / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *list(truth.items())[:24]])
    given = ["--from", photo_bundle, "--out", tmp_path / "mine", "--labels", tmp_path / "labels.csv", "--other-labels", "drop"]
    with pytest.raises(SystemExit) as ended:
        main(["adapt", str(catalog), *map(str, given)])
    printed = capsys.readouterr()
    assert not ended.value.code, printed.err
    assert "40 photos, 24 labelled" in printed.err
    assert "Cross-validated over products" in printed.out
    card = json.loads((tmp_path / "mine" / "card.json").read_text(encoding="utf-8"))
    assert card["labels"] == ["Hose", "Tasche"]
    assert card["parent"].startswith("shops@")
    files = [catalog / name for name in truth]
    for number in range(10):
        files.append(tmp_path / f"new{number}.png")
        draw(list(SHAPES)[number % 2], 100 + number).save(files[-1])
    tags = [tag.ranked[0][0] for tag in Tagger(str(tmp_path / "mine")).tag(files)]
    assert tags == [*truth.values(), *(list(SHAPES)[number % 2] for number in range(10))]
