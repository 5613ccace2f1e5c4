"""Write tasks that Label Studio imports, with its labelling interface, and read what it exports.

The format is that of https://labelstud.io/guide/task_format and /guide/export (JSON and JSON-MIN) of Label Studio 1.x.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from tagger.catalog.columns import LABEL_COLUMNS, given_column, key_of, usual_image_column
from tagger.catalog.label_table import NONE
from tagger.errors import OutputError, SourceError, reason_of
from tagger.escaping import for_terminal
from tagger.file_names import escape_surrogates
from tagger.files import atomic_write
from tagger.review.corrections import Correction

NAME_ENDING = ".label-studio.json"
"""Ending of an output's name that stands for this format, as `.json` alone does for rows of a table."""

FROM_NAME, TO_NAME = "label", "image"
"""Names of the tags `Choices` and `Image` in the labelling interface, which results refer to."""

CONTROL_NAMES = (*LABEL_COLUMNS, "choice", "choices")
"""Usual names of the tag that holds the label, in projects that fmtag has not set up, the likeliest first."""

PLAIN_SCHEMES = ("s3://", "gs://", "azure-blob://")
"""Beginnings of addresses whose path Label Studio takes as it is; in all others it is percent-encoded."""

OWN_KEYS = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "id", "agreement")
"""Keys that Label Studio adds to a task's data in JSON-MIN."""


class TaskAnswer(NamedTuple):
    """What a task of an export holds."""

    name: str
    """Of the task, for messages."""
    paths: tuple[str, ...]
    """Spellings of the photo's path, the surest first."""
    labels: tuple[str, ...] | None
    """What was chosen; None where the task was skipped or is not done."""
    reviewer: str = ""
    completed: str | None = None
    """When, as the export spells it."""
    exported: str | None = None
    """When the decision was made that the task came with, for files that have not been through Label Studio."""
    sha256: str | None = None


# Write -------------------------------------------------------------------------------------------------------------


def write_tasks(corrections: Iterable[Correction], out: str, url_prefix: str = "") -> int:
    """Write corrections as a JSON array of tasks, one a line, replaced as a whole, and return their number.

    `url_prefix` goes before the photo's path. Raises `OutputError` where `out` cannot be written.
    """
    count = 0
    try:
        with nullcontext(sys.stdout.buffer) if out == "-" else atomic_write(Path(out)) as file:
            file.write(b"[")
            for one in corrections:
                separator = b",\n" if count else b"\n"
                count += 1
                file.write(
                    separator + json.dumps(task(one, url_prefix), ensure_ascii=False).encode("utf-8", "backslashreplace")
                )
            file.write(b"\n]\n")
            file.flush()
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({reason_of(error)}); nothing was changed there.") from error
    return count


def task(one: Correction, url_prefix: str = "") -> dict[str, Any]:
    """Return the task of a photo: its data, what was predicted and, where somebody has decided, an annotation.

    The annotation names no annotator: Label Studio refuses those of people who are no users of it.
    """
    data = {
        "image": image_address(one.path, url_prefix),
        "path": escape_surrogates(one.path),
        "sha256": one.sha256.hex(),
        "reviewer": one.reviewer,
        "decided": one.decided,
    }
    predicted = one.tag_before and one.reason_before != "reviewed"
    score = float(one.confidence_before) if one.confidence_before else None
    predictions = [{"model_version": one.model, "score": score, "result": [_choice(one.tag_before)]}] if predicted else []
    annotations = [{"result": [_choice(one.label)]}] if one.label else []
    return {"data": data, "predictions": predictions, "annotations": annotations}


def image_address(path: str, url_prefix: str) -> str:
    """Return the address of a photo for Label Studio: the prefix and the path, percent-encoded where addresses are."""
    if not url_prefix:
        return escape_surrogates(path)
    if url_prefix.startswith(PLAIN_SCHEMES):
        return url_prefix + escape_surrogates(path)
    return url_prefix + quote(os.fsencode(path), safe="/")


def label_config(labels: Iterable[str]) -> str:
    """Return the labelling interface, as XML: the photo, and one choice of these labels or of none of them."""
    choices = [f"    <Choice value={_attribute(label)}/>" for label in labels]
    return "\n".join(
        [
            "<View>",
            f'  <Image name="{TO_NAME}" value="$image"/>',
            f'  <Choices name="{FROM_NAME}" toName="{TO_NAME}" choice="single" showInline="true" required="true">',
            *choices,
            f'    <Choice value="none of these labels" alias="{NONE}"/>',
            "  </Choices>",
            "</View>",
            "",
        ]
    )


def _choice(label: str) -> dict[str, Any]:
    return {"from_name": FROM_NAME, "to_name": TO_NAME, "type": "choices", "value": {"choices": [label]}}


def _attribute(label: str) -> str:
    """Return a label as an attribute's value in quotes; characters that XML lacks are escaped as for a terminal."""
    return quoteattr(for_terminal(label))


# Read --------------------------------------------------------------------------------------------------------------


def is_export(document: Sequence[Any]) -> bool:
    """Return whether the elements of a JSON array are tasks of Label Studio: `JSON`, or `JSON-MIN`."""
    first = next(iter(document), None)
    return isinstance(first, dict) and (isinstance(first.get("data"), dict) or "annotation_id" in first or "annotator" in first)


def read_tasks(name: str, tasks: Sequence[Any], control: str | None = None) -> Iterator[TaskAnswer]:
    """Yield what the tasks of an export hold, of several answers to a task the one that was completed last.

    `control` names the tag that holds the label. Raises `SourceError`, which names the export `name`, where that cannot be
    told or an element is no task.
    """
    whole = all(isinstance(one, dict) and isinstance(one.get("data"), dict) for one in tasks)
    if not whole and not all(isinstance(one, dict) and "data" not in one for one in tasks):
        raise SourceError(f"{name} holds elements that are no tasks of Label Studio; export it again as JSON or JSON-MIN.")
    control = _control(name, _control_names(tasks) if whole else _keys_with_choices(tasks), control)
    for number, one in enumerate(tasks, 1):
        yield _whole_task(number, one, control) if whole else _flat_task(number, one, control)


def _whole_task(number: int, one: dict[str, Any], control: str | None) -> TaskAnswer:
    """Return the answer of a task in `JSON`; cancelled annotations, drafts and predictions are none."""
    paths, sha256 = _photo(one["data"])
    name = f"task {one.get('id', number)}"
    completed = [entry for entry in one.get("annotations") or one.get("completions") or () if _is_completed(entry)]
    chosen = [(entry, labels) for entry in completed if (labels := _chosen(entry, control)) is not None]
    if not chosen:
        return TaskAnswer(name, paths, None)
    last, labels = max(chosen, key=lambda pair: (_time(pair[0]) or "", str(pair[0].get("id", "")).zfill(20)))
    reviewer = person(last.get("completed_by"))
    decided = one["data"].get("decided")
    return TaskAnswer(name, paths, labels, reviewer or _own_text(one["data"], "reviewer"), _time(last), decided, sha256)


def _flat_task(number: int, one: dict[str, Any], control: str | None) -> TaskAnswer:
    """Return the answer of a record of `JSON-MIN`, which has one for each annotation that was not cancelled."""
    paths, sha256 = _photo(one)
    name = f"task {one.get('id', number)}"
    labels = _labels_of(one.get(control)) if control is not None and one.get("annotation_id") is not None else None
    return TaskAnswer(name, paths, labels, person(one.get("annotator")), _time(one), None, sha256)


def _photo(data: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Return the spellings of a photo's path in a task's data, fmtag's own first, and its sha256."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and key not in OWN_KEYS}
    image = usual_image_column([*texts])
    if image is None and len(texts) == 1:
        image = next(iter(texts))
    own = texts.get("path") if "sha256" in texts else None
    paths = dict.fromkeys(path for path in (own, texts.get("image"), texts.get(image or "")) if path)
    return tuple(paths), texts.get("sha256")


def _is_completed(entry: Any) -> bool:
    return isinstance(entry, dict) and not entry.get("was_cancelled") and not entry.get("skipped")


def _chosen(entry: dict[str, Any], control: str | None) -> tuple[str, ...] | None:
    """Return what an annotation chose; None for one without a choice."""
    results = [one for one in entry.get("result") or () if isinstance(one, dict) and one.get("from_name") == control]
    values = [one["value"] for one in results if one.get("type") == "choices" and isinstance(one.get("value"), dict)]
    labels = [label for value in values for label in _labels_of(value) or ()]
    return tuple(labels) or None


def _labels_of(value: Any) -> tuple[str, ...] | None:
    """Return the labels of a choice: a text, `{"choices": [...]}` or a list of these; None where there is none."""
    match value:
        case str():
            return (value,) if value.strip() else None
        case {"choices": list() as choices}:
            return tuple(map(str, choices)) or None
        case list():
            return tuple(label for part in value for label in _labels_of(part) or ()) or None
    return None


def _control_names(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the tags that hold a choice in some annotation."""
    entries = (
        entry for one in tasks for entry in one.get("annotations") or one.get("completions") or () if _is_completed(entry)
    )
    results = (result for entry in entries for result in entry.get("result") or () if isinstance(result, dict))
    return [*dict.fromkeys(str(one.get("from_name")) for one in results if one.get("type") == "choices")]


def _keys_with_choices(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys of `JSON-MIN` records that may hold a choice: those of a usual name or with lists of choices."""
    usual = {key_of(name) for name in CONTROL_NAMES}
    found: dict[str, None] = {}
    for one in tasks:
        for key, value in one.items():
            if key not in OWN_KEYS and (key_of(key) in usual or (isinstance(value, dict) and "choices" in value)):
                found[key] = None
    return [*found]


def _control(name: str, found: Sequence[str], given: str | None) -> str | None:
    """Return the tag that holds the label; None where nothing was chosen at all."""
    if given is not None:
        return given_column(found, given) or given
    for usual in CONTROL_NAMES:
        for one in found:
            if key_of(one) == key_of(usual):
                return one
    if len(found) > 1:
        names = ", ".join(found)
        raise SourceError(f"{name} has several choices for each task ({names}); name the one of the label with --label-column.")
    return found[0] if found else None


def person(completed_by: Any) -> str:
    """Return the name of an annotator: the email, or the number of the user; empty where there is none."""
    match completed_by:
        case bool() | None:
            return ""
        case int():
            return f"user {completed_by}"
        case str():
            return completed_by.strip()
        case {"email": str() as email} if email.strip():
            return email.strip()
        case {"id": int() as number}:
            return f"user {number}"
    return ""


def _time(entry: dict[str, Any]) -> str | None:
    """Return when an annotation was completed last."""
    found = entry.get("updated_at") or entry.get("created_at")
    return found if isinstance(found, str) else None


def _own_text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value.strip() if isinstance(value, str) else ""
