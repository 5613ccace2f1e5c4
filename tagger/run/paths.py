"""List the files that a run reads and writes."""

import os
from pathlib import Path

from tagger.catalog.output_paths import Input, Output
from tagger.models import card
from tagger.run.ledger_file import SIDE_SUFFIXES, SUFFIX, lock_path
from tagger.run.settings import RunSettings


def ledger_path(settings: RunSettings) -> Path | None:
    """Return the ledger's file: `--ledger`, else the one beside the output, or None where the output is not a file."""
    if settings.ledger is not None:
        return settings.ledger
    out = Path(settings.out)
    if settings.out == "-" or (os.path.exists(out) and not os.path.isfile(out)):
        return None
    return out.with_suffix(SUFFIX)


def outputs_of(settings: RunSettings) -> list[Output]:
    """Return all files that a run writes; the report comes last, so that it is the one refused where two paths are equal."""
    path = ledger_path(settings)
    side_files = (
        [] if path is None else [lock_path(path), *(Path(f"{os.path.realpath(path)}{suffix}") for suffix in SIDE_SUFFIXES)]
    )
    return [
        Output("--out", settings.out),
        Output("--changes", settings.changes),
        *(Output("--ledger", file) for file in (path, *side_files)),
        Output("--debug-garments", settings.debug_garments, "images"),
        Output("--report", settings.report),
    ]


def inputs_of(settings: RunSettings) -> list[Input]:
    """Return all files that a run reads, except for the photos of the source."""
    return [
        *([] if settings.source == "-" else [Input("the source itself", settings.source)]),
        *([] if settings.label_map is None else [Input("the label map", settings.label_map)]),
        *(Input("a file of the bundle that tags", file) for file in card.files_of(settings.model)),
    ]
