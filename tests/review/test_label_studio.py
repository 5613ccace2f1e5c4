"""What Label Studio imports and exports: tasks, its labelling interface, answers of several people."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import OutputError, SourceError
from tagger.review.corrections import Correction
from tagger.review.label_studio import TaskAnswer, image_address, is_export, label_config, read_tasks, task, write_tasks

ONE = Correction(
    "sub/a b.jpg", "Bag", "Ada", "2026-01-02T03:04:05.678+00:00", "Coat", "0.5321", "low_confidence", b"\1" * 32, "m@1"
)


def choice(label: str, name: str = "label") -> dict[str, Any]:
    """Return a result as Label Studio writes it."""
    return {"from_name": name, "to_name": "image", "type": "choices", "value": {"choices": [label]}, "origin": "manual"}


def annotation(number: int, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an annotation of a JSON export."""
    time = f"2026-02-0{number}T10:00:00.123456Z"
    return {"id": number, "completed_by": number, "result": [*results], "was_cancelled": False, "updated_at": time} | more


def answers(*tasks: dict[str, Any], control: str | None = None) -> list[TaskAnswer]:
    """Return the answers of tasks."""
    return list(read_tasks("export.json", tasks, control))


def exported(*annotations: dict[str, Any], image: str = "/data/upload/1/0123abcd-a.jpg") -> dict[str, Any]:
    """Return a task of a JSON export."""
    return {"id": 7, "data": {"image": image}, "annotations": [*annotations], "predictions": [{"result": [choice("Coat")]}]}


def test_a_task_has_photo_prediction_and_decision() -> None:
    """The prediction is the networks' with its confidence; the annotation names no annotator, who may be unknown there."""
    made = task(ONE, "/data/local-files/?d=shop/")
    assert made["data"]["image"] == "/data/local-files/?d=shop/sub/a%20b.jpg"
    assert made["predictions"] == [{"model_version": "m@1", "score": 0.5321, "result": [_plain("Coat")]}]
    assert made["annotations"] == [{"result": [_plain("Bag")]}]
    assert task(ONE._replace(label=""))["annotations"] == []


@pytest.mark.parametrize("before", [{"tag_before": ""}, {"reason_before": "reviewed"}])
def test_only_networks_predict(before: dict[str, str]) -> None:
    """A photo without a tag, or whose row was an earlier decision, has no prediction."""
    assert task(ONE._replace(**before))["predictions"] == []


def _plain(label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}


@pytest.mark.parametrize(
    ("path", "prefix", "address"),
    [
        ("a b.jpg", "", "a b.jpg"),
        ("a b#ü.jpg", "https://shop.example/m/", "https://shop.example/m/a%20b%23%C3%BC.jpg"),
        ("b\udcff.jpg", "/data/local-files/?d=", "/data/local-files/?d=b%FF.jpg"),
        ("a b.jpg", "s3://bucket/", "s3://bucket/a b.jpg"),
    ],
)
def test_addresses_are_encoded_where_they_are_read_so(path: str, prefix: str, address: str) -> None:
    """Percent codes after a prefix, but not in a bucket's keys; without one the path as it is."""
    assert image_address(path, prefix) == address


def test_the_file_is_one_array(tmp_path: Path) -> None:
    """Valid JSON in UTF-8 whatever the names, replaced as a whole."""
    out = tmp_path / "t.json"
    assert write_tasks([ONE, ONE._replace(path="\udcff\n.jpg")], str(out)) == 2
    assert [one["data"]["path"] for one in json.loads(out.read_text(encoding="utf-8"))] == ["sub/a b.jpg", "\\udcff\n.jpg"]
    assert write_tasks([], str(out)) == 0
    assert json.loads(out.read_text(encoding="utf-8")) == []
    with pytest.raises(OutputError, match="cannot be written"):
        write_tasks([ONE], str(tmp_path / "none" / "t.json"))


def test_the_interface_is_valid_with_any_label() -> None:
    """Each label is a choice, with marks of XML in it too, and `-` is recorded for none of them."""
    labels = ['"Größe" & <more>', "it's", "T-shirt/top", "\x07"]
    root = ET.fromstring(label_config(labels))
    assert [one.attrib["value"] for one in root.iter("Choice")] == [*labels[:3], "\\x07", "none of these labels"]
    assert [one.attrib.get("alias") for one in root.iter("Choice")][-1] == "-"
    assert (root.find("Image").attrib["value"], root.find("Choices").attrib["toName"]) == ("$image", "image")  # type: ignore[union-attr]


def test_the_latest_completed_answer_counts() -> None:
    """Of several people's annotations; skipped ones, empty ones, drafts and predictions are no answers."""
    found = answers(
        exported(
            annotation(2, choice("Bag"), completed_by={"id": 2, "email": "bea@shop.example"}),
            annotation(1, choice("Coat")),
            annotation(3, choice("Dress"), was_cancelled=True),
            annotation(4),
        ),
        exported(annotation(1, was_cancelled=True)),
        exported(),
        exported(annotation(3, choice("Shirt"))),
    )
    assert [one.labels for one in found] == [("Bag",), None, None, ("Shirt",)]
    assert [one.reviewer for one in found] == ["bea@shop.example", "", "", "user 3"]
    assert found[0].completed == "2026-02-02T10:00:00.123456Z"


def test_several_labels_at_once_are_told() -> None:
    """They are all returned, so that no one of them is taken."""
    both = choice("Bag") | {"value": {"choices": ["Bag", "Coat"]}}
    assert answers(exported(annotation(1, both)))[0].labels == ("Bag", "Coat")


def test_the_tag_of_the_label_is_found_or_named() -> None:
    """By a usual name, as the only one, or by the option; of two others none is guessed."""
    assert answers(exported(annotation(1, choice("Bag", "choice"), choice("red", "colour"))))[0].labels == ("Bag",)
    assert answers(exported(annotation(1, choice("Bag", "kind"))))[0].labels == ("Bag",)
    two = exported(annotation(1, choice("Bag", "kind"), choice("red", "colour")))
    assert answers(two, control="kind")[0].labels == ("Bag",)
    with pytest.raises(SourceError, match=r"\(kind, colour\).*--label-column"):
        answers(two)


def test_the_short_export_is_read() -> None:
    """JSON-MIN: a record for each annotation, the label as text, lists of several, the annotator as number or email."""
    record = {"image": "s3://b/a.jpg", "id": 7, "annotation_id": 3, "updated_at": "2026-02-03T10:00:00Z", "lead_time": 1.5}
    tasks = [
        record | {"label": "Bag", "annotator": 4},
        record | {"label": {"choices": ["Bag", "Coat"]}, "annotator": "bea@shop.example"},
        record | {"annotation_id": None, "annotator": {}},
    ]
    assert is_export(tasks)
    found = answers(*tasks)
    assert [one.labels for one in found] == [("Bag",), ("Bag", "Coat"), None]
    assert [one.reviewer for one in found] == ["user 4", "bea@shop.example", ""]
    assert found[0].paths == ("s3://b/a.jpg",)


def test_own_tasks_tell_the_path(tmp_path: Path) -> None:
    """What fmtag wrote comes back with path, hash, reviewer and time, whether or not it was in Label Studio."""
    write_tasks([ONE], str(tmp_path / "t.json"), "https://shop.example/")
    one = answers(*json.loads((tmp_path / "t.json").read_text()))[0]
    assert (one.paths[0], one.sha256, one.labels) == ("sub/a b.jpg", "01" * 32, ("Bag",))
    assert (one.reviewer, one.completed, one.exported) == ("Ada", None, ONE.decided)


@pytest.mark.parametrize("document", [[], [1], [{"path": "a.jpg", "label": "Bag"}]])
def test_other_arrays_are_no_exports(document: list[Any]) -> None:
    """Rows of a table are read as such."""
    assert not is_export(document)


def test_a_mixture_is_refused() -> None:
    """Elements that are no tasks are one sentence."""
    with pytest.raises(SourceError, match=r"export\.json holds elements that are no tasks"):
        answers(exported(), {"image": "a.jpg"})
