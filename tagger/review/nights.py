"""Read the nights from the ledger: what each finished run uploaded and wrote, per bundle, and what has changed.

Nights are grouped by bundle and settings (threshold, names of labels), as each of them changes the shares on purpose: a new
bundle starts with a new reference.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tagger.records import FAILED_REASONS, NO_IMAGE
from tagger.review.night_alarms import BINS, STATISTICS, Alarm, Cell, Counts, Statistic, Watched, statistic_of, watch
from tagger.run.ledger_file import database_errors, missing_ledger
from tagger.run.migrations import migrate

_RUNS = """
    SELECT runs.id, started, finished, decision, name, fingerprint, min_confidence, labels, names, root IS NULL AS before
    FROM runs JOIN decisions ON decisions.id = decision JOIN models ON models.id = model
    WHERE finished IS NOT NULL ORDER BY runs.id
"""

_COUNTS = "SELECT run, uploads, tag, low_confidence, reason, confidence_bin, photos FROM night_counts"

Quartiles = tuple[float, float, float]
"""Lower quartile, median and upper quartile, 0..1."""


@dataclass(frozen=True)
class Night:
    """A finished run. Uploads are the photos whose path is new in it; `judged` ones have a tag or were not recognised."""

    run: int
    started: str
    """UTC, ISO 8601."""
    photos: int
    """In the output, without rows that name no image."""
    open: int
    """Flagged rows of the output that no person has decided on and that could be read."""
    uploads: int
    failed: int
    """Uploads that could not be read."""
    judged: Counts
    """Uploads that the networks judged: all but failed ones and those that a person has decided on."""
    evidence: bool
    """Whether the night counts for the alarms."""

    @property
    def flagged(self) -> float | None:
        """Share of the judged uploads that a person should check, 0..1; None without uploads."""
        return statistic_of(self.judged, "flagged")

    @property
    def unknown(self) -> float | None:
        """Share of the judged uploads that were not recognised, 0..1; None without uploads."""
        return statistic_of(self.judged, "unknown")

    @property
    def confidence(self) -> float | None:
        """Mean confidence of the judged uploads that have one, 0..1, by twentieths; None without any."""
        return statistic_of(self.judged, "confidence")

    @property
    def quartiles(self) -> Quartiles | None:
        """Quartiles of the same confidences, taken as even within each twentieth; None without any."""
        return quartiles_of(self.judged)

    def share(self, tag: str) -> float | None:
        """Return the share of a tag among the judged uploads, 0..1; None without uploads."""
        return statistic_of(self.judged, "tags", tag)

    def value(self, statistic: Statistic, tag: str = "") -> float | None:
        """Return a watched statistic of the night, 0..1; None without uploads that tell it."""
        return statistic_of(self.judged, statistic, tag)


class FoundAlarm(NamedTuple):
    """An alarm with the nights that it is about."""

    alarm: Alarm
    at: Night
    """With which it was found."""
    since: Night
    """The first one that is likely of after the change."""


@dataclass(frozen=True)
class BundleNights:
    """The nights of one bundle with one threshold and one set of names."""

    decision: int
    """Number of the bundle and its settings in the ledger."""
    bundle: str
    """As the column `model` of the output has it."""
    fingerprint: str
    min_confidence: float
    """Threshold below which a tag is flagged, 0..1."""
    tags: tuple[str, ...]
    """All tags that photos may have, sorted; the empty one for none comes last."""
    nights: tuple[Night, ...]
    """In the order of time."""
    watched: Mapping[Statistic, Watched]
    """The outcome of each statistic."""

    @property
    def evidence(self) -> tuple[Night, ...]:
        """The nights that count; the indices of `Alarm` are theirs."""
        return tuple(night for night in self.nights if night.evidence)

    @property
    def alarms(self) -> list[FoundAlarm]:
        """All alarms, the latest first."""
        counted = self.evidence
        found = [alarm for statistic in STATISTICS for alarm in self.watched[statistic].alarms]
        return [FoundAlarm(alarm, counted[alarm.at], counted[alarm.since]) for alarm in sorted(found, key=lambda a: -a.at)]

    @property
    def moved(self) -> list[FoundAlarm]:
        """The latest alarm of each statistic whose new reference is not complete, the latest first."""
        latest = {statistic: watched.alarms[-1] for statistic, watched in self.watched.items() if watched.state == "moved"}
        return [found for found in self.alarms if found.alarm is latest.get(found.alarm.statistic)]

    @property
    def uploads(self) -> Counts:
        """The judged uploads of all nights that count."""
        total = Counter[Cell]()
        for night in self.evidence:
            total.update(night.judged)
        return total


@dataclass(frozen=True)
class Nights:
    """All finished runs of a ledger that have counts."""

    bundles: tuple[BundleNights, ...]
    """By their last run, the current one first."""
    uncounted: int
    """Finished runs of before the ledger had counts, which are left out."""


def read_nights(ledger: Path, together: int = 1) -> Nights:
    """Return the nights of the ledger file `ledger`; raises `LedgerError` where there is none or it cannot be read.

    `together` nights, at least, are one batch of the tests (`night_alarms.watch`).

    A run may go on meanwhile. The result changes with a finished run only.
    """
    if not ledger.is_file():
        raise missing_ledger(ledger)
    with database_errors(str(ledger)), closing(sqlite3.connect(ledger, isolation_level=None)) as sql:
        migrate(sql, str(ledger))
        sql.execute("BEGIN")  # both queries of one state, should a run finish between them
        sql.row_factory = sqlite3.Row
        runs = sql.execute(_RUNS).fetchall()
        counts = defaultdict[int, list[sqlite3.Row]](list)
        for row in sql.execute(_COUNTS):
            counts[row["run"]].append(row)
    counted = [run for run in runs if run["id"] in counts or not run["before"]]
    by_decision = defaultdict[int, list[tuple[sqlite3.Row, Night]]](list)
    for run in counted:
        first = run["id"] == runs[0]["id"]
        by_decision[run["decision"]].append((run, _night(run, counts[run["id"]], first)))
    bundles = [
        _bundle([row for row, _ in group][-1], [night for _, night in group], together) for group in by_decision.values()
    ]
    bundles.sort(key=lambda bundle: -bundle.nights[-1].run)
    return Nights(tuple(bundles), len(runs) - len(counted))


def quartiles_of(counts: Counts) -> Quartiles | None:
    """Return the quartiles of binned confidences, taken as even within each bin; None where no photo has one."""
    sizes = [0] * BINS
    for cell, number in counts.items():
        if cell.bin >= 0:
            sizes[cell.bin] += number
    total = sum(sizes)
    if not total:
        return None

    def quantile(share: float) -> float:
        below = 0
        for number, size in enumerate(sizes):
            if size and below + size >= share * total:
                return (number + (share * total - below) / size) / BINS
            below += size
        return 1.0

    return quantile(0.25), quantile(0.5), quantile(0.75)


def _night(run: sqlite3.Row, rows: Sequence[sqlite3.Row], first: bool) -> Night:
    """Return a night from its run and its counts; the first run of all holds the catalog as it was, and is no evidence."""
    photos = waiting = uploads = failed = 0
    judged = Counter[Cell]()
    for row in rows:
        tag, reason, number, flagged = row["tag"], row["reason"], row["photos"], row["low_confidence"] == "true"
        unread = not tag and reason in FAILED_REASONS
        if not tag and reason == NO_IMAGE:
            continue
        if not row["uploads"]:
            photos += number
            waiting += number if flagged and not unread and reason != "reviewed" else 0
            continue
        uploads += number
        if unread:
            failed += number
        elif reason != "reviewed":
            judged[Cell(tag, flagged, reason == "not_recognised", row["confidence_bin"])] += number
    evidence = bool(judged) and not first
    return Night(run["id"], run["started"], photos, waiting, uploads, failed, judged, evidence)


def _bundle(run: sqlite3.Row, nights: Sequence[Night], together: int) -> BundleNights:
    names = json.loads(run["names"])
    tags = (*sorted({names.get(label, label) for label in json.loads(run["labels"])} - {""}), "")
    evidence = [night for night in nights if night.evidence]
    watched = watch([night.judged for night in evidence], tags, [night.run for night in evidence], together)
    return BundleNights(run["decision"], run["name"], run["fingerprint"], run["min_confidence"], tags, tuple(nights), watched)
