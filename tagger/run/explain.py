"""Explain the row of one photo from the ledger, as JSON values and as text."""

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tagger.errors import BundleError, LedgerError
from tagger.escaping import for_terminal
from tagger.models.registry import find_bundle
from tagger.run.explain_networks import by_label, networks_of, networks_text
from tagger.run.ledger_file import database_errors, missing_ledger
from tagger.run.ledger_values import storable, text_of
from tagger.run.migrations import migrate

MAX_SUGGESTIONS = 5
"""Paths suggested where the ledger does not have the one given."""

_UNSCORED: Mapping[str, Any] = {
    "model": "",
    "fingerprint": "",
    "scored": None,
    "embedded": None,
    "truncated": False,
    "probabilities": {},
    "networks": None,
    "networks_unknown": "",
}
"""Of a photo that no bundle has scored."""


def explain(path: str, ledger: Path, model: str | None = None) -> dict[str, Any]:
    """Return all that the ledger file `ledger` has about the photo `path`, as JSON values.

    Args:
        path: that of the output or one that leads to the file.
        ledger: of the runs.
        model: name or folder of the bundle that scored the photo; None where that is one with a name. Of a bundle with a
            backbone it is needed to tell what each network makes of the photo.

    Raises:
        LedgerError: the ledger does not have the photo or cannot be read.
        BundleError: there is no bundle `model`.
    """
    folder = None if model is None else find_bundle(model)
    if not ledger.is_file():
        raise missing_ledger(ledger)
    with database_errors(str(ledger)), closing(sqlite3.connect(ledger, isolation_level=None)) as sql:
        migrate(sql, str(ledger))
        sql.row_factory = sqlite3.Row
        item = _find(sql, path, ledger)
        file = {
            "path": text_of(item["key"]),
            "file": {name: item[name] for name in ("size", "mtime_ns")} | {"sha256": item["sha256"]},
            "failure": item["failure"] and {"reason": item["failure"], "detail": text_of(item["detail"] or "")},
            "tries": item["tries"],
            "looked_at": _run(sql, item["run"]),
            "reviews": _reviews(sql, item),
        }
        return {
            **file,
            **_probabilities(sql, item, folder),
            **_published_row(item),
            "copies": _copies(sql, item),
            **_history(sql, item["id"]),
        }


def as_text(known: Mapping[str, Any]) -> str:
    """Format the result of `explain` for a terminal, one fact per line."""
    lines = [known["path"], f"  why: {known['why']}"]
    row = known["row"]
    if row is not None:
        lines.append(
            f"  row: {row['tag'] or 'no tag'} {row['confidence']}, group {row['group'] or '-'} {row['group_confidence']}"
        )
    lines.append(f"  file: {known['file']['size']} bytes, sha256 {known['file']['sha256'] or 'unknown'}")
    if known["failure"]:
        lines.append(f"  could not be read in {known['tries']} runs: {known['failure']['detail']}")
    if known["model"]:
        source = f" from the embedding of {_run_name(known['embedded'])}" if known["embedded"] else ""
        lines.append(f"  scored by {known['model']} ({known['fingerprint']}) in {_run_name(known['scored'])}{source}")
        lines += [f"    {value:.4f}  {label}" for label, value in known["probabilities"].items()]
        if known["networks"]:
            lines += [f"  {line}" for line in networks_text(known["networks"])]
        elif known["networks_unknown"]:
            lines.append(f"  each network: not known. {known['networks_unknown']}")
    lines += [f"  {_review_text(review)}" for review in known["reviews"]]
    lines.append(f"  last read in {_run_name(known['looked_at'])}")
    lines += [f"  same bytes: {path}" for path in known["copies"]]
    lines.append(f"  in the output of {len(known['nights'])} runs:")
    lines += [f"    {first} to {last}" if first != last else f"    {first}" for first, last in _spans(known["nights"])]
    lines.append("  history:")
    lines += [
        f"    {_run_name(event['run'])}: {event['change'].replace('_', ' ')}"
        f" ({' '.join(filter(None, event['before'])) or '-'} -> {' '.join(filter(None, event['after'])) or '-'})"
        for event in known["history"]
    ]
    return "\n".join(map(for_terminal, lines))


def _find(sql: sqlite3.Connection, path: str, ledger: Path) -> sqlite3.Row:
    query = (
        "SELECT items.*, lower(hex(sha256)) AS sha256, min_confidence, decisions.model != contents.model AS outdated,"
        " EXISTS (SELECT 1 FROM reviews WHERE reviews.content = contents.id) AS reviewed"
        " FROM items LEFT JOIN contents ON contents.id = content"
        " LEFT JOIN decisions ON decisions.id = decision WHERE key = ?"
    )
    for key in _keys(sql, path):
        if row := sql.execute(query, (storable(key),)).fetchone():
            return row  # type: ignore[no-any-return]
    suggestions = sql.execute(
        "SELECT key FROM items WHERE key = :name OR key LIKE '%/' || :name LIMIT :count",
        {"name": storable(os.path.basename(path)), "count": MAX_SUGGESTIONS},
    ).fetchall()
    others = ", ".join(text_of(row["key"]) for row in suggestions)
    hint = f"photos of that name: {others}." if others else "give a path as the output has it."
    raise LedgerError(f"The ledger {ledger} does not have the photo {path}; {hint}")


def _keys(sql: sqlite3.Connection, path: str) -> list[str]:
    """Return the keys under which the ledger may have a path: itself, or relative to the source of the last run."""
    keys = [path]
    last = sql.execute("SELECT source FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    if last is not None and last["source"] != "-":
        source = Path(text_of(last["source"]))
        for root in (source, source.parent):
            try:
                keys.append(Path(path).resolve().relative_to(root).as_posix())
            except ValueError:
                continue
    return keys


def _probabilities(sql: sqlite3.Connection, item: sqlite3.Row, folder: Path | None) -> Mapping[str, Any]:
    scored = sql.execute(
        "SELECT contents.run, truncated, probabilities, labels, name, fingerprint, embedding, embedded.run AS read"
        " FROM contents JOIN models ON models.id = contents.model"
        " LEFT JOIN embeddings embedded ON content = contents.id AND probabilities IS NOT NULL AND models.eyes != ''"
        " AND embedded.model IN (SELECT id FROM models same WHERE same.eyes = models.eyes)"
        " WHERE contents.id = ?",
        (item["content"],),
    ).fetchone()
    if scored is None:
        return _UNSCORED
    probabilities = {}
    if scored["probabilities"] is not None:
        values = np.frombuffer(scored["probabilities"], "<f4").tolist()
        probabilities = by_label(json.loads(scored["labels"]), [*values, max(0.0, 1 - sum(values))])
    return {
        "model": scored["name"],
        "fingerprint": scored["fingerprint"],
        "scored": _run(sql, scored["run"]),
        "embedded": None if scored["read"] == scored["run"] else _run(sql, scored["read"]),
        "truncated": bool(scored["truncated"]),
        "probabilities": probabilities,
        **_networks(scored["embedding"], scored["fingerprint"], folder),
    }


def _networks(embedding: bytes | None, fingerprint: str, folder: Path | None) -> dict[str, Any]:
    """Return what each network makes of a photo with an embedding, or a sentence why that is not known."""
    if embedding is None:
        return {"networks": None, "networks_unknown": ""}
    try:
        return {"networks": networks_of(embedding, fingerprint, folder), "networks_unknown": ""}
    except BundleError as error:
        return {"networks": None, "networks_unknown": str(error)}


def _published_row(item: sqlite3.Row) -> dict[str, Any]:
    """Return the row of the last output and, in a sentence, why it is flagged or not."""
    if item["published"] is None:
        return {"row": None, "why": "it is not in the last output"}
    if item["decision"] is None and item["reviewed"]:
        return {"row": None, "why": "a person decided about it since its row was made; the next run makes its row"}
    if item["decision"] is None:  # a run that was killed has read its file again
        return {"row": None, "why": "its file was read again by a run that did not finish; the next run makes its row"}
    if item["outdated"]:  # a run that was killed has scored it from its embedding
        return {"row": None, "why": "another bundle has scored it since its row was made; the next run makes its row"}
    names = ("tag", "confidence", "low_confidence", "reason", "group_confidence")
    row = {name: item[name] for name in names} | {"group": item["group_"]}
    return {"row": row, "why": why_flagged(*(item[name] for name in ("tag", "confidence", "reason", "min_confidence")))}


def why_flagged(tag: str, confidence: str, reason: str, min_confidence: float) -> str:
    """Return why a row is flagged or not, in words without a full stop; the first three are its cells."""
    match reason:
        case "":
            return f"not flagged: its confidence {confidence} reaches the threshold of {min_confidence:.4f}"
        case "reviewed":
            return "a person decided on it"
        case "low_confidence":
            return f"flagged: its confidence {confidence} is below the threshold of {min_confidence:.4f}"
        case "not_recognised" if not tag:
            return "flagged: no product stands out from the background"
        case "not_recognised":
            return "flagged: it is more likely none of the labels than the most likely one"
        case "truncated" if tag:
            return "flagged: its file ends early or is damaged inside"
    return f"flagged: it could not be read ({reason})"


def _reviews(sql: sqlite3.Connection, item: sqlite3.Row) -> list[dict[str, Any]]:
    """Return what people decided about the bytes, oldest first; the label is None where a decision was taken back."""
    reviews = sql.execute(
        "SELECT label, reviewer, decided, tag, confidence, reason, id IS (SELECT review FROM contents WHERE id = content)"
        " AS counts FROM reviews WHERE content = ? ORDER BY id",
        (item["content"],),
    )
    return [{**dict(row), "counts": bool(row["counts"])} for row in reviews]


def _review_text(review: Mapping[str, Any]) -> str:
    """Return who decided what about a photo, and what its row was before."""
    decision = "took the decision back" if review["label"] is None else f"decided: {review['label'] or 'none of the labels'}"
    before = " ".join(filter(None, (review["tag"], review["confidence"], review["reason"]))) or "no tag"
    counts = ", which counts" if review["counts"] else ""
    return f"{review['reviewer']} {decision} ({review['decided']}; the row was {before}){counts}"


def _copies(sql: sqlite3.Connection, item: sqlite3.Row) -> list[str]:
    copies = sql.execute(
        "SELECT key FROM items WHERE content = ? AND id != ? AND published IS NOT NULL ORDER BY key",
        (item["content"], item["id"]),
    )
    return [text_of(row["key"]) for row in copies]


def _history(sql: sqlite3.Connection, item: int) -> dict[str, Any]:
    """Return all changes of an item's row, and the finished runs that had it in their output."""
    finished = {row["id"]: row["started"] for row in sql.execute("SELECT id, started FROM runs WHERE finished IS NOT NULL")}
    events = {row["run"]: row for row in sql.execute("SELECT * FROM events WHERE item = ? ORDER BY run", (item,))}
    nights, present = [], False
    for run in sorted(finished):
        present = events[run]["change"] != "vanished" if run in events else present
        if present:
            nights.append({"run": run, "started": finished[run]})
    history = [
        {
            "run": {"run": run, "started": finished.get(run)},
            "change": row["change"],
            "before": [row["tag_before"], row["reason_before"]],
            "after": [row["tag"], row["reason"]],
        }
        for run, row in events.items()
    ]
    return {"nights": nights, "history": history}


def _run(sql: sqlite3.Connection, run: int | None) -> dict[str, Any] | None:
    row = sql.execute("SELECT id AS run, started FROM runs WHERE id = ?", (run,)).fetchone()
    return None if row is None else dict(row)


def _run_name(run: Mapping[str, Any] | None) -> str:
    return "no run" if run is None else f"run {run['run']} ({run['started']})"


def _spans(nights: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the first and last run of each series of consecutive runs."""
    spans: list[list[Mapping[str, Any]]] = []
    for night in nights:
        if spans and night["run"] == spans[-1][-1]["run"] + 1:
            spans[-1].append(night)
        else:
            spans.append([night])
    return [(_run_name(span[0]), _run_name(span[-1])) for span in spans]
