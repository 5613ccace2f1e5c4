"""Every figure on folders of real photos, with intervals, as one Markdown file, and the worst errors as a contact sheet.

    python benchmarks/photos.py FOLDERS... [--model base] [--out benchmarks/photos.md] [--sheet errors.png]

Each folder has a `labels.csv` of the columns path, label, kind and group. A label that the bundle does not
know stands for "none of these". A kind with "(ambiguous)" is a loosely mapped one: figures come with and without. Photos of
one group, a product or a sender, are not independent, so the intervals are from 2,000 bootstrap draws of whole groups. Half
of the groups, drawn by their hash, is kept for reporting: every choice is to look at the other half alone.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tagger import Tagger
from tagger.metrics import calibration_error, coverage_table, no_guess, reliability_table
from tagger.records import Garment, Item

DRAWS = 2_000


def scored(folder: Path, tagger: Tagger) -> pd.DataFrame:
    """Return a row a photo: its columns, what was said of it, and what the network saw."""
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    items = (Item(path, folder / path) for path in table["path"])
    said = [_said(one, tagger) for one in tagger.score(items)]
    table = pd.concat([table, pd.DataFrame(said)], axis=1)
    table["folder"] = folder.name
    table["file"] = [folder / path for path in table["path"]]
    table["ambiguous"] = table["kind"].str.contains("ambiguous")
    table["known"] = table["label"].isin(tagger.bundle.card.labels)
    table["right"] = table["tag"] == table["label"]
    groups = tagger.bundle.card.groups
    table["group_right"] = table["tag"].map(groups) == table["label"].map(groups)
    table["kept"] = [_kept_for_reporting(folder.name, group) for group in table["group"]]
    return table


def _said(one, tagger: Tagger) -> dict[str, object]:
    tag = tagger.decide(one)
    return {
        "tag": tag.ranked[0][0] if tag.ranked else "",
        "confidence": tag.ranked[0][1] if tag.ranked else 0.0,
        "flagged": tag.low_confidence,
        "probabilities": one.probabilities,
        "saw": one.outcome.pixels if isinstance(one.outcome, Garment) else np.zeros((28, 28), np.uint8),
    }


def _kept_for_reporting(folder: str, group: str) -> bool:
    return hashlib.sha256(f"{folder}/{group}".encode()).digest()[0] % 2 == 1


def macro_interval(photos: pd.DataFrame, column: str = "right") -> tuple[float, float, float]:
    """Return the mean of the classes' shares of `column`, and the ends of its 95 % interval over draws of groups."""
    counts = photos.groupby(["group", "label"])[column].agg(["sum", "count"]).unstack(fill_value=0)
    right, n = counts["sum"].to_numpy(float), counts["count"].to_numpy(float)
    draws = np.random.default_rng(0).multinomial(len(n), np.full(len(n), 1 / len(n)), DRAWS)
    with np.errstate(invalid="ignore"):
        drawn = np.nanmean((draws @ right) / (draws @ n), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float((right.sum(0) / n.sum(0)).mean()), float(low), float(high)


def share_interval(photos: pd.DataFrame, column: str) -> tuple[float, float, float]:
    """Return the share of photos with `column`, and the ends of its 95 % interval over draws of groups."""
    return macro_interval(photos.assign(label="any"), column)


def report(photos: pd.DataFrame, model: str, labels: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of the Markdown file."""
    yield f"# Real photos, {model}\n"
    yield "Printed by `python benchmarks/photos.py FOLDERS...`. Shares with 95 % intervals from draws of groups.\n"
    known = photos[photos["known"]]
    sets = [(name, part) for name, part in known.groupby("folder", sort=False)]
    sets += [(f"{name}, unambiguous", part[~part["ambiguous"]]) for name, part in sets if part["ambiguous"].any()]
    yield "| photos | n (groups) | macro accuracy | accuracy | group right | calibration error | unflagged | of these right |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, part in sets:
        yield _summary(name, part, labels)
    yield "\n## The half that choices look at, and the half that is kept for reporting\n"
    yield "| photos | looked at: n | macro accuracy | kept: n | macro accuracy |\n|---|---|---|---|---|"
    for name, part in sets:
        looked, kept = part[~part["kept"]], part[part["kept"]]
        yield f"| {name} | {len(looked)} | {_text(macro_interval(looked))} | {len(kept)} | {_text(macro_interval(kept))} |"
    yield from _others(photos, known)
    for name, part in sets:
        yield from _by_class(name, part, labels)
        yield from _confidence(name, part, labels)


def _summary(name: str, part: pd.DataFrame, labels: tuple[str, ...]) -> str:
    probabilities, truth = _arrays(part, labels)
    error = calibration_error(reliability_table(probabilities, truth))
    sure = part[~part["flagged"]]
    shares = (share_interval(part, "right"), share_interval(part, "group_right"))
    right = _text(share_interval(sure, "right")) if len(sure) else "-"
    return (
        f"| {name} | {len(part)} ({part['group'].nunique()}) | {_text(macro_interval(part))} | {_text(shares[0])} | "
        f"{_text(shares[1])} | {error:.3f} | {len(sure) / len(part):.3f} | {right} |"
    )


def _others(photos: pd.DataFrame, known: pd.DataFrame) -> Iterator[str]:
    """Yield what is said of photos of none of the classes: how many are flagged, and how well confidence tells them."""
    yield "\n## None of these\n\n| photos | n (groups) | flagged | AUROC against known ones |\n|---|---|---|---|"
    strangers = photos[~photos["known"]]
    mixed = set(strangers["folder"]) & set(known["folder"])
    for name, part in strangers.groupby("folder", sort=False):
        # A folder with both kinds is compared within itself, one of strangers alone with the folders of known ones alone.
        against = known[known["folder"] == name] if name in mixed else known[~known["folder"].isin(mixed)]
        scores = np.concatenate([against["confidence"], part["confidence"]])
        area = roc_auc_score(np.repeat([1, 0], [len(against), len(part)]), scores)
        yield f"| {name} | {len(part)} ({part['group'].nunique()}) | {_text(share_interval(part, 'flagged'))} | {area:.3f} |"


def _by_class(name: str, part: pd.DataFrame, labels: tuple[str, ...]) -> Iterator[str]:
    yield f"\n## {name}: by class\n\n| class | n (groups) | recall | precision | mostly taken for |\n|---|---|---|---|---|"
    for label in labels:
        mine, said = part[part["label"] == label], part[part["tag"] == label]
        if len(mine):
            wrong = mine.loc[~mine["right"], "tag"].replace("", "no product").value_counts().head(3)
            taken = ", ".join(f"{tag} {count}" for tag, count in wrong.items())
            precision = f"{said['right'].mean():.3f}" if len(said) else "-"
            recall = _text(share_interval(mine, "right"))
            yield f"| {label} | {len(mine)} ({mine['group'].nunique()}) | {recall} | {precision} | {taken} |"


def _confidence(name: str, part: pd.DataFrame, labels: tuple[str, ...]) -> Iterator[str]:
    probabilities, truth = _arrays(part, labels)
    yield f"\n{name}: confidence and accuracy\n\n| confidence | n | mean confidence | accuracy |\n|---|---|---|---|"
    for row in reliability_table(probabilities, truth):
        yield f"| {row['from']:.2f}-{row['to']:.2f} | {row['n']} | {row['confidence']:.3f} | {row['accuracy']:.3f} |"
    yield f"\n{name}: accuracy of the surest\n\n| surest | n | accuracy | least confidence |\n|---|---|---|---|"
    for row in coverage_table(probabilities, truth):
        yield f"| {row['coverage']:.0%} | {row['n']} | {row['accuracy']:.3f} | {row['least_confidence']:.3f} |"


def _arrays(part: pd.DataFrame, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (n, classes) and true classes (n,); a photo without a product found is wrong, not a guess."""
    truth = part["label"].map(labels.index).to_numpy()
    said = zip(part["probabilities"], truth, strict=True)
    return np.stack([no_guess(true, len(labels)) if given is None else given for given, true in said]), truth


def _text(interval: tuple[float, float, float]) -> str:
    share, low, high = interval
    return f"{share:.3f} ({low:.3f}-{high:.3f})"


def contact_sheet(photos: pd.DataFrame, file: Path, count: int = 120) -> None:
    """Draw the surest errors: the photo, what the network saw of it, and what was said."""
    wrong = photos[photos["known"] & ~photos["right"]].sort_values("confidence", ascending=False).head(count)
    tiles = [_tile(row) for row in wrong.itertuples()]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 10)
    cv2.imwrite(str(file), np.vstack([np.hstack(tiles[at : at + 10]) for at in range(0, len(tiles), 10)]))


def _tile(row) -> np.ndarray:
    tile = np.full((120, 180, 3), 96, np.uint8)
    pixels = cv2.imread(str(row.file))
    scale = 84 / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile[: small.shape[0], : small.shape[1]] = small
    tile[:84, 90:174] = cv2.resize(row.saw, (84, 84), interpolation=cv2.INTER_NEAREST)[:, :, None]
    for line, text in enumerate((f"{row.label} is called", f"{row.tag or 'no product'} {row.confidence:.2f}")):
        cv2.putText(tile, text, (3, 99 + 15 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def main() -> None:
    """Measure the folders, and write the report and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="folders of photos with a labels.csv each")
    parser.add_argument("--model", default="base")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/photos.md"))
    parser.add_argument("--sheet", type=Path, help="PNG of the surest errors; it shows the photos, so mind whose they are")
    arguments = parser.parse_args()
    tagger = Tagger(arguments.model)
    photos = pd.concat([scored(folder, tagger) for folder in arguments.folders], ignore_index=True)
    lines = report(photos, tagger.bundle.model, tagger.bundle.card.labels)
    arguments.out.write_text("\n".join(lines) + "\n")
    if arguments.sheet:
        contact_sheet(photos, arguments.sheet)


if __name__ == "__main__":
    main()
