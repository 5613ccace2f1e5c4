"""Report an inspection: as JSON values for machines, and as sections of names and texts for people."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tagger.inspection.advice import advise
from tagger.inspection.environment import Environment, describe_environment
from tagger.inspection.estimate import Estimate, estimate_run
from tagger.inspection.inspect import Inspection, why_nothing
from tagger.inspection.left_out import pictures_left_out
from tagger.inspection.listing import EXAMPLES, Noted, shortened
from tagger.inspection.remedies import REMEDIES, remedy_of
from tagger.storage.addresses import shown as shown_address

CAUSES = 4
"""Causes of one reason that the text tells apart."""

FORMAT = 1
"""Version of the report's keys."""


class Report(NamedTuple):
    """An inspection with what follows from it."""

    inspection: Inspection
    environment: Environment
    estimate: Estimate
    advice: list[str]
    command: str
    """The run that the source is ready for, quoted for a shell."""


def make_report(inspection: Inspection, command: str) -> Report:
    """Return the report of an inspection."""
    environment = describe_environment()
    processors = inspection.settings.workers or environment.processors
    return Report(inspection, environment, estimate_run(inspection, processors), advise(inspection, environment), command)


# For machines ------------------------------------------------------------------------------------------------------


def error_values(source: str, error: str) -> dict[str, Any]:
    """Return the JSON values of a source that cannot be read as a whole."""
    return {"format": FORMAT, "source": source, "error": error}


def as_values(report: Report) -> dict[str, Any]:
    """Return all of a report as JSON values."""
    inspection, listing = report.inspection, report.inspection.listing
    columns = listing.column_facts
    return {
        **error_values(shown_address(inspection.settings.source), why_nothing(inspection)),
        "kind": listing.kind,
        "table": {"columns": [*listing.columns], "facts": dict(listing.facts)} if listing.kind == "table" else None,
        "complete": inspection.complete,
        "seconds": round(inspection.seconds, 3),
        "counts": {
            "items": listing.items,
            "files": len(listing.places),
            "remote": listing.remote.count,
            "looked_at": inspection.looked_at,
            "decoded": inspection.decoded,
            "without_image": listing.without_image,
            "failed": dict(inspection.failed_by_reason()),
            "addresses": inspection.addresses,
            "matched_addresses": listing.matched_addresses,
            "respelled": listing.respelled.count,
            "not_utf8": listing.not_utf8.count,
            "ignored": sum(noted.count for noted in listing.ignored.values()),
            "duplicates": inspection.duplicates,
            "bytes": inspection.bytes,
        },
        "photos": {
            "formats": dict(inspection.formats.most_common()),
            "colours": dict(inspection.colours.most_common()),
            "longer_side": dict(inspection.sides),
            "largest": [*inspection.largest],
            "several_frames": inspection.with_frames,
            "tiny": inspection.tiny,
        },
        "failures": [
            {
                "reason": reason,
                "cause": cause,
                "count": fault.count,
                "remedy": remedy_of(reason, cause),
                "first": fault.detail,
                "paths": fault.paths,
            }
            for (reason, cause), fault in inspection.faults.items()
        ],
        "ignored": [
            {"why": why, "count": noted.count, "examples": noted.examples} for why, noted in sorted(listing.ignored.items())
        ],
        "pictures_left_out": {
            kind: {"count": noted.count, "examples": noted.examples}
            for kind, noted in pictures_left_out(listing.ignored_paths).items()
        },
        "warnings": listing.warnings,
        "duplicates": {"complete": inspection.duplicates_complete, "groups": inspection.duplicate_paths},
        "products": {"column": columns.product_column, "products": columns.products, "rows": columns.rows_with_product}
        if columns.product_column
        else None,
        "labels": {"column": columns.label_column, "rows": dict(columns.labels)} if columns.label_column else None,
        "estimate": {**report.estimate._asdict(), "seconds": round(report.estimate.seconds, 1)},
        "environment": report.environment._asdict(),
        "advice": report.advice,
        "command": report.command,
    }


# For people --------------------------------------------------------------------------------------------------------


class Section(NamedTuple):
    """A part of the report."""

    title: str
    rows: list[tuple[str, str]]
    """Name and text of each line; a text without a name has an empty one."""


def sections(report: Report) -> list[Section]:
    """Return the report in sections; those without content are left out."""
    inspection = report.inspection
    found = [
        Section("Source", [*_source_rows(inspection)]),
        Section(f"Photos ({_extent(inspection)})", [*_photo_rows(inspection)]),
        Section("Photos that would fail", [*_failure_rows(inspection)]),
        Section("Left out", [*_left_out_rows(inspection)]),
        Section("Warnings", [(str(number), sentence) for number, sentence in enumerate(inspection.listing.warnings, 1)]),
        Section("Estimate and machine", [*_machine_rows(report)]),
        Section("What to do first", [(str(number), sentence) for number, sentence in enumerate(report.advice, 1)]),
        Section("Then run", [("command", report.command)]),
    ]
    return [section for section in found if section.rows]


def _source_rows(inspection: Inspection) -> Iterator[tuple[str, str]]:
    listing = inspection.listing
    yield "kind", f"{listing.kind} {shown_address(inspection.settings.source)}"
    yield from listing.facts
    if listing.kind == "table":
        yield "columns", _few(listing.columns, 12)
    yield "rows" if listing.kind in ("table", "list") else "photos", f"{listing.items:,}"
    if listing.without_image:
        yield "rows without an image", f"{listing.without_image:,}; they stay in the output, without a tag"
    if listing.remote.count:
        yield "photos that a run fetches", f"{_with_examples(listing.remote)}; listed here, not looked at"
    if listing.items != len(listing.places) + listing.without_image + len(listing.problems) + listing.remote.count:
        yield "different files", f"{len(listing.places):,}"
    if listing.matched_addresses:
        yield (
            "addresses found by name",
            f"{listing.matched_addresses:,}; each is taken for the file beside the table of its name",
        )
    if listing.respelled.count:
        yield "found by another spelling", _with_examples(listing.respelled)
    if listing.not_utf8.count:
        yield "names that are not UTF-8", f"{_with_examples(listing.not_utf8)}; written as they are shown here"
    columns = listing.column_facts
    if columns.product_column:
        yield (
            "photos per product",
            f"{columns.rows_with_product:,} rows of {columns.products:,} products by column {columns.product_column}, "
            f"at most {columns.most_rows:,} of one",
        )
    if columns.label_column:
        first = ", ".join(f"{label} {count:,}" for label, count in [*columns.labels.items()][:5])
        more = ", ..." if len(columns.labels) > 5 else ""
        yield "labels", f"{len(columns.labels):,} in column {columns.label_column}: {first}{more}"


def _extent(inspection: Inspection) -> str:
    items = inspection.listing.items - inspection.listing.without_image - inspection.listing.remote.count
    if inspection.complete:
        return f"all {items:,} decoded"
    return f"{inspection.looked_at:,} of {items:,} looked at, {inspection.decoded:,} decoded"


def _photo_rows(inspection: Inspection) -> Iterator[tuple[str, str]]:
    readable = inspection.looked_at - inspection.failed
    yield "can be read", f"{readable:,}"
    if not readable:
        return
    yield "format", _counts(inspection.formats)
    if inspection.colours:
        yield "colour", _counts(inspection.colours)
    if inspection.sides:
        yield "longer side in pixels", _counts(inspection.sides)
        yield "largest", "{}x{} pixels".format(*inspection.largest)
    if inspection.tiny:
        yield "smaller than 100 pixels", _with_examples(Noted(len(inspection.tiny), inspection.tiny[:EXAMPLES]))
    if inspection.with_frames:
        yield "several frames or pages", f"{inspection.with_frames:,}; one of them is read"
    if inspection.duplicates:
        least = "" if inspection.duplicates_complete else "at least "
        examples = [" = ".join(group[:2]) for group in inspection.duplicate_paths[:EXAMPLES]]
        yield "same bytes as another", f"{least}{_with_examples(Noted(inspection.duplicates, examples))}; tagged once"


def _failure_rows(inspection: Inspection) -> Iterator[tuple[str, str]]:
    shown: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for (reason, cause), fault in sorted(inspection.faults.items(), key=lambda one: -one[1].count):
        shown[reason] += 1
        if shown[reason] > CAUSES:
            others[reason] += fault.count
            continue
        examples = _with_examples(Noted(fault.count, [path or "(no path)" for path in fault.paths[:EXAMPLES]]))
        remedy = "" if "; " in cause else f" {remedy_of(reason, cause)}"  # many a cause names its own
        yield reason, f"{examples}: {fault.detail if fault.count == 1 else cause}.{remedy}"
    for reason, count in others.items():
        yield reason, f"{count:,} of other causes, which --out FILE.json lists. {REMEDIES.get(reason, '')}"


def _left_out_rows(inspection: Inspection) -> Iterator[tuple[str, str]]:
    for why, noted in sorted(inspection.listing.ignored.items(), key=lambda one: -one[1].count):
        yield why, _with_examples(noted)
    for kind, noted in pictures_left_out(inspection.listing.ignored_paths).items():
        yield f"of these pictures, {kind}", _with_examples(noted)


def _machine_rows(report: Report) -> Iterator[tuple[str, str]]:
    estimate, environment = report.estimate, report.environment
    if estimate.photos:
        yield (
            "first run",
            f"roughly {duration(estimate.seconds)} for {_plural(estimate.photos, 'photo')} on "
            f"{_plural(environment.processors, 'processor')} without a GPU; later runs process new and changed photos only",
        )
        yield "ledger", f"roughly {size(estimate.ledger_bytes)}"
    yield "this folder", "can be written" if environment.writable else "may not be written"
    memory = "" if environment.memory is None else f", {size(environment.memory)} of memory"
    disk = "" if environment.free_disk is None else f", {size(environment.free_disk)} of disk free"
    yield "machine", f"{environment.system}, {_plural(environment.processors, 'processor')}{memory}{disk}"
    packages = {name: number or "not installed" for name, number in environment.packages.items()}
    yield "versions", ", ".join([f"python {environment.python}", *(f"{name} {number}" for name, number in packages.items())])


def duration(seconds: float) -> str:
    """Return a time in words that suit an estimate: "5 seconds", "20 minutes", "3 hours"."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}s"
    return f"{max(1, round(seconds))} seconds" if seconds >= 1.5 else "a second"


def size(count: int) -> str:
    """Return a number of bytes with a unit, in steps of a thousand."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}" if count < 10 * length else f"{count / length:.0f} {unit}"
    return f"{count} bytes"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items(), key=lambda one: -one[1]))


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _with_examples(noted: Noted) -> str:
    more = ", ..." if noted.count > len(noted.examples) else ""
    return f"{noted.count:,} ({', '.join(map(shortened, noted.examples))}{more})" if noted.examples else f"{noted.count:,}"


def _few(names: tuple[str, ...], most: int) -> str:
    more = f", ... ({len(names):,} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
