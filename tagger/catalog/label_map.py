"""Read a label map: a shop's own names for a bundle's labels."""

import csv
from collections.abc import Sequence
from pathlib import Path

from tagger.catalog.tables import damaged_table, separator_of
from tagger.errors import SourceError, reason_of
from tagger.file_kinds import check_table


def read_label_map(path: Path, labels: Sequence[str]) -> dict[str, str]:
    """Return the shop's name of each of `labels`, from a CSV whose first two columns are label and name.

    The first line holds column names. Raises `SourceError` where the file cannot be read, names a label that is not one of
    `labels`, or lacks one of them.
    """
    try:
        check_table(path)
        separator = separator_of(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter=separator) if any(row)][1:]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {reason_of(error)}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise damaged_table(path, error) from error
    names = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}
    unknown, missing = sorted(set(names) - set(labels)), [label for label in labels if label not in names]
    if unknown or missing:
        what = f"names labels that the bundle lacks: {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise SourceError(f"{path} {what}; below a line of column names it needs a line for each of {', '.join(labels)}.")
    return names
