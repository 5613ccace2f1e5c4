"""Record the answers of a table or of Label Studio as decisions in a ledger, each once and all or none."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from tagger.catalog.label_table import NONE, canonical_labels, count_and_examples, first_few, spelling_notes
from tagger.errors import SourceError, reason_of
from tagger.review.answers import Answer, Answers, read_answers
from tagger.review.corrections import known_labels
from tagger.review.ledger_reader import LedgerReader
from tagger.review.photo_matching import Match, PhotoFinder
from tagger.run.ledger_values import stored_time
from tagger.run.review_values import Decision, Shown
from tagger.run.reviews import ReviewStore


@dataclass
class Imported:
    """The outcome of an import."""

    recorded: int = 0
    """Decisions, one for all copies of a photo."""
    unchanged: int = 0
    """Decisions that the ledger has already."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was left out, and on labels that the bundle lacks."""


def import_answers(
    ledger: Path,
    file: Path,
    default_reviewer: str,
    reviewer: str | None = None,
    label_column: str | None = None,
    url_prefix: str = "",
) -> Imported:
    """Record the answers of a file as decisions in the ledger, in one transaction.

    Of answers about the same bytes the latest counts; different ones of one time are left out. What was decided in the ledger
    after an answer, or after the file was written where the answer has no time, stays.

    Args:
        ledger: of the last run.
        file: a table with an image and a label column, or an export of Label Studio.
        default_reviewer: name for answers of which the file does not tell who gave them.
        reviewer: name for all answers, whatever the file tells.
        label_column: column of the labels, or name of Label Studio's control tag, where names do not tell.
        url_prefix: what stands before the paths of the photos in the file.

    Raises `SourceError` where the file is neither, or none of its photos is in the ledger, and `LedgerError` where the ledger
    is missing, damaged or from a newer fmtag.
    """
    with LedgerReader(ledger) as reader, closing(ReviewStore(ledger)) as store:
        read = read_answers(file, label_column)
        if not read.answers:
            raise SourceError(_without_answers(file, read))
        matches = PhotoFinder(reader, url_prefix).find_all(read.answers)
        known = known_labels(reader)
        pairs = [(one, match) for one, match in zip(read.answers, matches, strict=True) if isinstance(match, Match)]
        if not pairs:
            names = first_few([_name(one) for one in read.answers])
            raise SourceError(
                f"No photo of {file} is among those of {ledger} ({names}); give the ledger of the run that tagged them."
            )
        spellings = canonical_labels([one.label for one in read.answers if one.label != NONE], known)
        changed_only = [(one, match) for one, match in pairs if _is_decision(one, match, spellings)]
        decisions, conflicting = _decisions(changed_only, spellings, reviewer, default_reviewer)
        try:
            merged = store.merge(decisions, _written(file), reviewer or default_reviewer)
        except ValueError as error:
            raise SourceError(f"{file} cannot be taken: {error}; correct it. Nothing was recorded.") from error
    path_of = {match.sha256: _name(one) for one, match in reversed(pairs)}
    result = Imported(len(merged.recorded), len(merged.unchanged))
    foreign = sorted({one.label for one in decisions if one.label and one.label not in known})
    result.notes = [
        *spelling_notes({given: name for given, name in spellings.items() if any(one.label == name for one in decisions)}),
        *_labels_note(foreign, known),
        *_notes(read, matches),
        *_listed("Photos with two different labels, left out", conflicting),
        *_listed(
            "Photos decided otherwise in the ledger since then, left as they are", [path_of[one.sha256] for one in merged.later]
        ),
        *_listed("Photos whose bytes have changed meanwhile, left out", [path_of[one.sha256] for one in merged.unknown]),
    ]
    if unchanged_rows := len(pairs) - len(changed_only):
        result.notes.append(f"Rows of the output that have the run's own tag, which are no decisions: {unchanged_rows:,}.")
    return result


def _is_decision(one: Answer, match: Match, spellings: dict[str, str]) -> bool:
    """Return whether an answer is a person's: of an output of a run, rows whose tag was changed or whose flag was removed."""
    return not one.of_run or spellings.get(one.label, one.label) != match.tag or (match.flagged and not one.flagged)


def _decisions(
    pairs: Sequence[tuple[Answer, Match]], spellings: dict[str, str], reviewer: str | None, default_reviewer: str
) -> tuple[list[Decision], list[str]]:
    """Return one decision for the bytes of each photo, and the names of those with different answers of one time."""
    by_content: defaultdict[bytes, list[tuple[Answer, Match]]] = defaultdict(list)
    for one, match in pairs:
        by_content[match.sha256].append((one, match))
    decisions, conflicting = list[Decision](), list[str]()
    for sha256, several in by_content.items():
        latest = max(one.decided or "" for one, _ in several)
        last = [(one, match) for one, match in several if (one.decided or "") == latest]
        labels = {spellings.get(one.label, one.label) for one, _ in last}
        one, match = last[0]
        if len(labels) > 1:
            conflicting.append(_name(one))
            continue
        label = labels.pop()
        shown = Shown(match.item, sha256)
        decisions.append(
            Decision(shown, "" if label == NONE else label, reviewer or one.reviewer or default_reviewer, one.decided)
        )
    return decisions, conflicting


def _written(file: Path) -> str:
    """Return when a file was written last, at most now."""
    try:
        written = datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {reason_of(error)}.") from error
    except (ValueError, OverflowError):  # times of damaged disks
        written = datetime.now(timezone.utc)
    return stored_time(min(written, datetime.now(timezone.utc)))


# Notes -------------------------------------------------------------------------------------------------------------


def _name(one: Answer) -> str:
    return next(iter(one.paths), "")


def _without_answers(file: Path, read: Answers) -> str:
    if read.unusable:
        return f"{file} has no answer that can be taken ({first_few(read.unusable)}); each photo needs one label."
    return (
        f"{file} labels no photo; fill its label column in, or complete tasks in Label Studio. If the labels have another name "
        "than usual, give it with --label-column."
    )


def _labels_note(foreign: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    if foreign and known:
        yield count_and_examples("Labels that the bundle lacks", [repr(label) for label in foreign])


def _notes(read: Answers, matches: Sequence[object]) -> Iterator[str]:
    named: defaultdict[object, list[str]] = defaultdict(list)
    for one, match in zip(read.answers, matches, strict=True):
        if isinstance(match, str):
            named[match].append(_name(one))
    yield from _listed("Rows and tasks that cannot be taken, as they are damaged or have several labels", read.unusable)
    yield from _listed("Photos that the ledger does not have, left out", named["unknown"])
    yield from _listed("Paths that fit several photos, left out; give --url-prefix or a column sha256", named["ambiguous"])
    yield from _listed("Photos whose bytes have changed, left out", named["changed"])
    yield from _listed("Photos that could not be read when fmtag ran, left out", named["unread"])
    if read.without_label:
        yield f"Rows and tasks without a label, passed over: {read.without_label:,}."


def _listed(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield count_and_examples(what, names)
