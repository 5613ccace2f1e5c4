"""Estimate how many labels of Fashion-MNIST's test set are wrong, which limits the accuracy of any network.

    python -m benchmarks.accuracy.label_noise draw BUNDLE... --sheets DIR
    python -m benchmarks.accuracy.label_noise report BUNDLE... [--out FILE.md]

No bundle was trained on a test image, so its predictions are out of fold. `draw` ranks the images by the probability of their
label, mean over the bundles (cleanlab's self-confidence), and draws the 200 most doubtful and 100 random others as sheets for
a person: each image with its label and the most probable other one, in random order. The person's verdict (the first label, the
second, both equally or neither) goes into the table beside the sheets; filled in it is
`benchmarks/results/label_noise.csv`, which `report` compares with the labels.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from PIL import Image, ImageDraw

from benchmarks.reporting import RESULTS, hardware, table, write
from tagger.data import fashion_mnist
from tagger.data.images import Images
from tagger.data.labels import LABELS
from tagger.evaluation.compare import predictions_of
from tagger.models import bundle

VERDICTS = RESULTS / "label_noise.csv"

DOUBTFUL, OTHERS = 200, 100
"""Images to check: those whose labels have the lowest probability, and random others."""

COLUMNS, ROWS, SIDE = 10, 5, 112

SEEN = ("first", "second", "both", "neither")


@dataclass(frozen=True)
class Question:
    """An image to check, and the two labels that it may have."""

    index: int
    """Index in the test set."""
    first: int
    second: int
    doubtful: bool


def probabilities(names: Sequence[str], images: Images) -> np.ndarray:
    """Return the bundles' mean probabilities for images and their mirror images: float (n, classes)."""
    views = (images, replace(images, pixels=images.pixels.flip(3)))
    predicted = [predictions_of(loaded, view) for loaded in map(bundle.load, names) for view in views]
    return torch.stack(predicted).mean(0).double().numpy()


def questions(predicted: np.ndarray, labels: np.ndarray) -> list[Question]:
    """Return the images to check, doubtful and random ones in random order, each with its two labels in random order."""
    rng = np.random.default_rng(0)
    ranked = np.argsort(get_label_quality_scores(labels, predicted, method="self_confidence"), kind="stable")
    chosen = [*ranked[:DOUBTFUL], *rng.choice(ranked[DOUBTFUL:], OTHERS, replace=False)]
    questions = []
    for place, index in enumerate(chosen):
        others = predicted[index].copy()
        others[labels[index]] = -1
        pair = [int(labels[index]), int(others.argmax())]
        first, second = pair if rng.random() < 0.5 else pair[::-1]
        questions.append(Question(int(index), first, second, place < DOUBTFUL))
    order = rng.permutation(DOUBTFUL + OTHERS)  # a blind review: the order does not tell which were doubtful
    return [questions[place] for place in order]


def draw(questions: Sequence[Question], images: Images, folder: Path) -> None:
    """Write the questions as sheets of 50 images each."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIDE + 8, SIDE + 40
    for start in range(0, len(questions), COLUMNS * ROWS):
        sheet = Image.new("L", (COLUMNS * width, ROWS * height), 255)
        pen = ImageDraw.Draw(sheet)
        for place, question in enumerate(questions[start : start + COLUMNS * ROWS]):
            left, top = place % COLUMNS * width, place // COLUMNS * height
            image = Image.fromarray(255 - images.pixels[question.index, 0].numpy())
            sheet.paste(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (left + 4, top + 2))
            pen.text((left + 4, top + SIDE + 3), f"{start + place} 1 {LABELS[question.first]}", fill=0)
            pen.text((left + 4, top + SIDE + 19), f"   2 {LABELS[question.second]}", fill=0)
        sheet.save(folder / f"sheet-{start // (COLUMNS * ROWS) + 1}.png")


def form(questions: Sequence[Question]) -> Iterator[dict[str, object]]:
    """Yield the rows of the table to fill in; the number is that on the sheets, and `seen` one of `SEEN`."""
    for number, question in enumerate(questions):
        labels = {"first": LABELS[question.first], "second": LABELS[question.second]}
        yield {"number": number, "index": question.index, "doubtful": question.doubtful, **labels, "seen": ""}


@dataclass(frozen=True)
class Verdict:
    """A checked image: whether it was among the doubtful ones, and whether its label is right."""

    index: int
    doubtful: bool
    label: str
    """`right`, `wrong` or `cannot be told`."""


def verdicts(labels: np.ndarray) -> list[Verdict]:
    """Return the verdicts of the table, compared with the labels (n,)."""
    with VERDICTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if strange := [row["number"] for row in rows if row["seen"] not in SEEN]:
        raise SystemExit(f"{VERDICTS} has no verdict in the rows {', '.join(strange)}; give one of {', '.join(SEEN)}.")
    return [Verdict(int(row["index"]), row["doubtful"] == "True", _held_against(row, labels)) for row in rows]


def _held_against(row: dict[str, str], labels: np.ndarray) -> str:
    if row["seen"] == "both":
        return "cannot be told"
    predicted = row.get(row["seen"])
    return "right" if predicted == LABELS[labels[int(row["index"])]] else "wrong"


def report(names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the report."""
    test = fashion_mnist.load_fashion_mnist("test")
    labels = test.labels.numpy()
    predicted = probabilities(names, test)
    looked = verdicts(labels)
    issues = len(find_label_issues(labels, predicted, return_indices_ranked_by="self_confidence"))
    yield "# Wrong labels in Fashion-MNIST's test set"
    yield ""
    yield f"Made by `python -m benchmarks.accuracy.label_noise report {' '.join(names)}` on {hardware()}."
    yield ""
    yield (
        f"cleanlab finds {issues} of {len(labels):,} labels wrong, from the mean probabilities of these bundles. One reader "
        f"checked the {DOUBTFUL} most doubtful images and {OTHERS} random others once, enlarged, beside their label and the "
        "most probable other one, without knowing which was which or which images were doubtful:"
    )
    yield ""
    counts = {doubtful: Counter(one.label for one in looked if one.doubtful == doubtful) for doubtful in (True, False)}
    kinds = ("right", "cannot be told", "wrong")
    rows = zip(("most doubtful", "random others"), counts.values(), strict=True)
    titles = ("", "n", *(f"label {kind}" for kind in kinds))
    yield from table(titles, ([name, str(sum(some.values())), *(str(some[kind]) for kind in kinds)] for name, some in rows))
    wrong, unclear = counts[True]["wrong"], counts[True]["cannot be told"]
    mistaken = predicted.argmax(1) != labels
    excused = Counter(one.label for one in looked if one.doubtful and mistaken[one.index])
    yield (
        f"Among the most doubtful alone {wrong} labels are wrong, {100 * wrong / len(labels):.1f} % of the test set, and "
        f"{unclear} more cannot be told from 28x28 pixels. The bundles together predict {mistaken.sum()} images wrong; of the "
        f"{sum(excused.values())} of these that were checked, {excused['wrong']} have a wrong label and "
        f"{excused['cannot be told']} cannot be told. A network that errs nowhere else, and guesses where it cannot be told, "
        f"would be right on {100 - 100 * (wrong + unclear / 2) / len(labels):.1f} %: the ceiling, as far as these show. "
        f"Of the others {counts[False]['wrong']} of {sum(counts[False].values())} seem wrong too, where the reader may be."
    )


def main() -> None:
    """Draw the sheets, or write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("draw", "report"):
        command = commands.add_parser(name)
        command.add_argument("bundles", nargs="+", metavar="BUNDLE")
        if name == "draw":
            command.add_argument("--sheets", type=Path, required=True, metavar="DIR")
        else:
            command.add_argument("--out", type=Path, default=RESULTS / "label_noise.md")
    questions = parser.parse_args()
    if questions.command == "report":
        write(questions.out, report(questions.bundles))
        return
    test = fashion_mnist.load_fashion_mnist("test")
    drawn = questions(probabilities(questions.bundles, test), test.labels.numpy())
    draw(drawn, test, questions.sheets)
    with (questions.sheets / VERDICTS.name).open("w", encoding="utf-8", newline="") as file:
        rows = list(form(drawn))
        table_of_rows = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table_of_rows.writeheader()
        table_of_rows.writerows(rows)


if __name__ == "__main__":
    main()
