"""Write the nights and their alarms as sentences, as a table for a terminal and as JSON values."""

from collections import Counter
from typing import Any

from tagger.escaping import for_terminal
from tagger.metrics.sequential import REFERENCE
from tagger.review.night_alarms import STATISTICS, Statistic, Watched
from tagger.review.nights import BundleNights, FoundAlarm, Night, Nights

NAMES: dict[Statistic, str] = {
    "flagged": "Share of flagged photos",
    "unknown": "Share of photos that were not recognised",
    "confidence": "Mean confidence",
    "tags": "Mix of tags",
}

NO_TAG = "(no tag)"


def alarm_sentence(found: FoundAlarm) -> str:
    """Return an alarm as a sentence: what moved, since when, from what to what, and when that was found."""
    alarm = found.alarm
    name = f"Share of {tag_name(alarm.tag)}" if alarm.statistic == "tags" else NAMES[alarm.statistic]
    verb = "rose" if alarm.up else "fell"
    values = f"from {percent(alarm.before)} to {percent(alarm.after)}"
    return f"{name} {verb} {values} since about {moment(found.since.started)}; found {moment(found.at.started)}."


def state_sentence(watched: Watched) -> str:
    """Return the state of a statistic as a sentence."""
    if watched.state == "steady":
        return f"steady over {watched.batches} batches of at least {watched.photos} photos"
    return f"gathering a reference: {watched.missing} of {REFERENCE} batches are still missing"


def moment(started: str) -> str:
    """Return the time of a run as day and minute, UTC, from ISO 8601."""
    return started[:16].replace("T", " ")


def tag_name(tag: str) -> str:
    """Return a tag as one line of text, also where there is none."""
    return for_terminal(tag) or NO_TAG


def percent(share: float | None) -> str:
    """Return a share 0..1 in percent, empty where there is none."""
    return "" if share is None else f"{100 * share:.1f} %"


def as_json(nights: Nights) -> dict[str, Any]:
    """Return the nights and alarms as JSON values."""
    return {
        "bundles": [_bundle_as_json(bundle) for bundle in nights.bundles],
        "runs_without_counts": nights.uncounted,
    }


def _bundle_as_json(bundle: BundleNights) -> dict[str, Any]:
    return {
        "bundle": bundle.bundle,
        "fingerprint": bundle.fingerprint,
        "min_confidence": bundle.min_confidence,
        "nights": [_night_as_json(night) for night in bundle.nights],
        "statistics": {
            name: {"state": watched.state, "batches": watched.batches, "missing": watched.missing, "photos": watched.photos}
            for name, watched in bundle.watched.items()
        },
        "alarms": [_alarm_as_json(found) for found in bundle.alarms],
        "moved": [_alarm_as_json(found) for found in bundle.moved],
    }


def _night_as_json(night: Night) -> dict[str, Any]:
    tags = Counter[str]()
    for cell, number in night.judged.items():
        tags[cell.tag] += number
    return {
        "run": night.run,
        "started": night.started,
        "photos": night.photos,
        "open": night.open,
        "uploads": night.uploads,
        "failed": night.failed,
        "judged": sum(night.judged.values()),
        "flagged": _rounded(night.flagged),
        "unknown": _rounded(night.unknown),
        "confidence": _rounded(night.confidence),
        "quartiles": None if night.quartiles is None else [_rounded(value) for value in night.quartiles],
        "tags": dict(sorted(tags.items())),
        "evidence": night.evidence,
    }


def _alarm_as_json(found: FoundAlarm) -> dict[str, Any]:
    alarm = found.alarm
    return {
        "statistic": alarm.statistic,
        "tag": alarm.tag if alarm.statistic == "tags" else None,
        "direction": "up" if alarm.up else "down",
        "run": found.at.run,
        "started": found.at.started,
        "since_run": found.since.run,
        "since": found.since.started,
        "before": _rounded(alarm.before),
        "after": _rounded(alarm.after),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


_TITLES = ("night", "photos", "to review", "uploads", "failed", "flagged", "unknown", "confidence")


def as_text(nights: Nights, at_most: int | None = None) -> str:
    """Return the nights as lines for a terminal: of each bundle the states, the alarms, and a table, the latest night last.

    `at_most` is the number of nights of each bundle that are shown, the latest ones; None for all.
    """
    lines = [line for bundle in nights.bundles for line in [*_bundle_lines(bundle, at_most), ""]]
    if not nights.bundles:
        lines = ["There is no finished run with counts yet. The next `fmtag run` adds one.", ""]
    if nights.uncounted:
        runs = "run has" if nights.uncounted == 1 else "runs have"
        lines += [f"{nights.uncounted} earlier {runs} no counts and {'is' if nights.uncounted == 1 else 'are'} left out.", ""]
    return "\n".join(lines[:-1])


def _bundle_lines(bundle: BundleNights, at_most: int | None) -> list[str]:
    moved = bundle.moved
    by_statistic = {found.alarm.statistic: found for found in moved}
    states = [
        f"  ALARM: {alarm_sentence(by_statistic[name])}"
        if name in by_statistic
        else f"  {NAMES[name]}: {state_sentence(bundle.watched[name])}."
        for name in STATISTICS
    ]
    past = [f"  earlier: {alarm_sentence(found)}" for found in bundle.alarms if found not in moved]
    shown = bundle.nights if at_most is None else bundle.nights[-at_most:]
    rows = [_TITLES, *map(_cells, shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  "
        + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return [f"{for_terminal(bundle.bundle)}, threshold {bundle.min_confidence:.4f}", *states, *past, *table]


def _cells(night: Night) -> tuple[str, ...]:
    numbers = (night.photos, night.open, night.uploads, night.failed)
    shares = (night.flagged, night.unknown, night.confidence)
    return (moment(night.started), *(f"{number:,}" for number in numbers), *(percent(share) or "-" for share in shares))
