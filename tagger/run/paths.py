"""List the files that a run reads and writes."""

import os
from pathlib import Path

from tagger.catalog.output_paths import Input, Output
from tagger.models import card
from tagger.run import ledger
from tagger.run.settings import RunSettings


def ledger_place(settings: RunSettings) -> Path | None:
    """Return the ledger's file: the one asked for, else the one beside the output, or None beside what is no file."""
    if settings.ledger is not None:
        return settings.ledger
    out = Path(settings.out)
    if settings.out == "-" or (os.path.exists(out) and not os.path.isfile(out)):
        return None
    return out.with_suffix(ledger.SUFFIX)


def outputs_of(settings: RunSettings) -> list[Output]:
    """Return all files that a run writes, the report last, so that of two in one place it is the one to be refused."""
    place = ledger_place(settings)
    beside = (
        [] if place is None else [ledger.lock_of(place), *(Path(f"{os.path.realpath(place)}{end}") for end in ledger.BESIDE)]
    )
    return [
        Output("--out", settings.out),
        Output("--changes", settings.changes),
        *(Output("--ledger", file) for file in (place, *beside)),
        Output("--debug-garments", settings.debug_garments, "images"),
        Output("--report", settings.report),
    ]


def inputs_of(settings: RunSettings) -> list[Input]:
    """Return all files that a run reads."""
    return [
        *([] if settings.source == "-" else [Input("the source itself", settings.source)]),
        *([] if settings.label_map is None else [Input("the label map", settings.label_map)]),
        *(Input("a file of the bundle that tags", file) for file in card.files_of(settings.model)),
    ]
