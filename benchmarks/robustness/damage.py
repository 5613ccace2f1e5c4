"""Count damaged files that get a wrong tag without a flag, and whole files that are called damaged.

    python -m benchmarks.robustness.damage FOLDERS... [--model catalog] [--photos 100] [--whole 10000] [--out FILE.md]

Each folder has a labels.csv (path,label,kind,group). Photos of the first folder are encoded in several formats, and each file
is damaged in six ways at ten places; a hole is 4 KiB, or a quarter of a smaller file. A damaged file is *wrong* where it has a
tag that is not flagged and not its label. Some photos are so when whole: the column "as whole" counts the wrong files that have
the tag of the whole file, most of them because the damage changed nothing that is seen.

Whole files are the photos of all folders as they are, and re-encodings of them in turn, by Pillow and OpenCV, with what cameras
and programs add. One is *called damaged* where it fails. Files are read by the decoder of `fmtag run` and tagged by its bundle.
The seed is fixed.
"""

import argparse
import random
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2

from benchmarks.reporting import RESULTS, table, write
from benchmarks.robustness.damaged_files import ENCODINGS, WHOLE, damaged
from tagger.catalog.labelled import labelled_items, photo_files
from tagger.inference.tagger import Tagger
from tagger.photos.decode import decode_bytes
from tagger.photos.loader import LoadedPhoto
from tagger.photos.product import extract_product
from tagger.records import Failed, Item, Tag

SEED = 24


@dataclass
class Count:
    """What became of damaged files of one kind."""

    files: int = 0
    refused: int = 0
    flagged: int = 0
    wrong: int = 0
    wrong_as_whole: int = 0

    def add(self, tag: Tag, whole: Tag, label: str) -> None:
        """Count a damaged file by its tag, that of the whole file, and its label."""
        self.files += 1
        self.refused += not tag.ranked and tag.reason in ("truncated", "unreadable", "not_an_image")
        self.flagged += tag.low_confidence and bool(tag.ranked or tag.reason == "not_recognised")
        wrong = not tag.low_confidence and tag.label != label
        self.wrong += wrong
        self.wrong_as_whole += wrong and tag.label == whole.label and not whole.low_confidence

    def __add__(self, other: "Count") -> "Count":
        return Count(*(one + two for one, two in zip(vars(self).values(), vars(other).values(), strict=True)))


def tags(tagger: Tagger, files: Iterable[bytes]) -> Iterator[Tag]:
    """Yield the tag of each file, in their order."""

    def loaded(content: bytes) -> LoadedPhoto:
        photo = decode_bytes(content, "photo")
        return LoadedPhoto(Item("", None), photo if isinstance(photo, Failed) else extract_product(photo))

    return map(tagger.decide, tagger.score_prepared(map(loaded, files)))


def count_damaged(tagger: Tagger, folder: str, photos: int) -> tuple[dict[tuple[str, str], Count], int, int]:
    """Return the counts by (encoding, damage), the number of photos, and how many whole files are unflagged and wrong."""
    labels = set(tagger.bundle.card.labels)
    items = [item for item in labelled_items(folder) if item.file and item.columns["label"] in labels]
    chosen = random.Random(SEED).sample(items, min(photos, len(items)))
    counts: dict[tuple[str, str], Count] = defaultdict(Count)
    wrong = 0
    for item in chosen:
        label, rng = str(item.columns["label"]), random.Random(f"{SEED} {item.path}")
        for encoding, encode in ENCODINGS.items():
            content = encode(Path(str(item.place)).read_bytes())
            kinds, files = zip(*damaged(content, encoding, rng), strict=True)
            whole, *others = tags(tagger, (content, *files))
            wrong += not whole.low_confidence and whole.label != label
            for kind, tag in zip(kinds, others, strict=True):
                counts[encoding, kind].add(tag, whole, label)
    return counts, len(chosen), wrong


def count_whole(folders: Sequence[str], number: int) -> dict[str, Counter[str]]:
    """Return, for each kind of whole file, how many are read, or fail for which reason."""
    files = [path for path in photo_files(folders) if path.is_file()]
    random.Random(SEED).shuffle(files)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    encodings = [("as given", None)] * len(files)
    again = [kind for kind, _ in zip(cycle(WHOLE.items()), range(number - len(files)), strict=False)]
    for (kind, encode), path in zip([*encodings, *again][:number], cycle(files), strict=False):
        content = path.read_bytes()
        photo = decode_bytes(encode(content) if encode else content, str(path))
        counts[kind][photo.reason if isinstance(photo, Failed) else ""] += 1
    return counts


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report."""
    tagger = Tagger(options.model, device="cpu")
    yield f"# Damaged files, {tagger.bundle.model}\n"
    yield f"`python -m benchmarks.robustness.damage {shlex.join(sys.argv[1:])}`\n"
    yield from _damaged_lines(*count_damaged(tagger, options.folders[0], options.photos))
    yield from _whole_lines(count_whole(options.folders, options.whole))


def _damaged_lines(counts: dict[tuple[str, str], Count], photos: int, wrong: int) -> Iterator[str]:
    total = sum(counts.values(), Count())
    yield (
        f"Of {total.files:,} damaged files of {photos} photos, {_share(total.wrong, total.files)} are unflagged and wrong "
        f"({_share(total.wrong - total.wrong_as_whole, total.files)} without those that are tagged as the whole file is); "
        f"of their {photos * len(ENCODINGS)} whole files {_share(wrong, photos * len(ENCODINGS))}.\n"
    )
    titles = ("files", "refused", "flagged", "unflagged and right", "unflagged and wrong", "as whole")
    for title, place in (("format", 0), ("damage", 1)):
        sums: dict[str, Count] = defaultdict(Count)
        for key, count in counts.items():
            sums[key[place]] += count
        yield from table((title, *titles), ((name, *_cells(count)) for name, count in sums.items()))
    rows = ((*key, *_cells(count)) for key, count in counts.items())
    yield from table(("format", "damage", *titles), rows)


def _cells(count: Count) -> tuple[str, ...]:
    right = count.files - count.refused - count.flagged - count.wrong
    shares = (_share(number, count.files) for number in (count.refused, count.flagged, right, count.wrong))
    return (f"{count.files:,}", *shares, _share(count.wrong_as_whole, count.files))


def _whole_lines(counts: dict[str, Counter[str]]) -> Iterator[str]:
    files = sum(count.total() for count in counts.values())
    bad = sum(count.total() - count[""] for count in counts.values())
    yield f"Of {files:,} whole files, {bad} ({_share(bad, files)}) are called damaged.\n"
    rows = (
        (kind, f"{count.total():,}", str(count.total() - count[""]), ", ".join(f"{n} {why}" for why, n in count.items() if why))
        for kind, count in counts.items()
    )
    yield from table(("whole files", "files", "called damaged", "as"), rows)


def _share(part: int, of: int) -> str:
    return f"{100 * part / max(1, of):.2f} %"


def main() -> None:
    """Measure, write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of JPEGs with a labels.csv; photos of the first are damaged")
    parser.add_argument("--model", default="catalog", help="a bundle's name or folder")
    parser.add_argument("--photos", type=int, default=100, help="number of photos to damage")
    parser.add_argument("--whole", type=int, default=10_000, help="number of whole files")
    parser.add_argument("--out", type=Path, default=RESULTS / "damage.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    write(options.out, report(options))


if __name__ == "__main__":
    main()
