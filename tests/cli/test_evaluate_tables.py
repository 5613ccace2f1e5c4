"""The tables of `fmtag evaluate` on a terminal."""

from typing import Any

import pytest

from tagger.cli.evaluate import print_metrics

ROW = {
    "n": 4,
    "accuracy": 0.75,
    "macro_accuracy": 0.7,
    "group_accuracy": 1.0,
    "calibration_error": 0.05,
    "unflagged_share": 0.5,
    "unflagged_accuracy": None,
    "other_labels": {"[b]Sock": 2},
    "other_labels_flagged": 1,
    "failed": {"missing": 1},
}


def source(**more: Any) -> dict[str, Any]:
    """Return the metrics of one source."""
    metrics = ROW | {"model": "x@1", "min_confidence": 0.5, "not_recognised": 0}
    metrics["per_class"] = {
        "[red]Bag": {"n": 4, "precision": 1.0, "recall": 0.75, "f1": 0.857},
        "Coat": {"n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0},
    }
    metrics["confusion"] = {"labels": ["[red]Bag", "Coat"], "counts": [[3, 0], [0, 0]], "without_tag": [1, 0]}
    metrics["reliability"] = [{"from": 0.9, "to": 1.0, "n": 4, "confidence": 0.95, "accuracy": 0.75}]
    metrics["coverage"] = [{"coverage": 0.5, "n": 2, "accuracy": 1.0, "least_confidence": 0.9}]
    return metrics | more


def printed(metrics: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Return the words of each printed line."""
    print_metrics(metrics)
    return [line.replace("│", " ").replace("┃", " ").split() for line in capsys.readouterr().out.splitlines()]


def test_one_source_has_all_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary, then classes, confusion, reliability and coverage; classes without photos are left out, labels are escaped."""
    lines = printed(source(), capsys)
    text = "\n".join(" ".join(words) for words in lines)
    assert lines[0][:2] == ["accuracy", "0.7500,"]
    assert "unflagged at 0.5000: 50.0%, none; no product found: 0" in text
    assert "left out, could not be read: {'missing': 1}" in text
    assert "1 of 2 flagged" in text
    assert ["[red]Bag", "4", "1.000", "0.750", "0.857"] in lines
    assert ["[red]", "3", ".", "1"] in lines  # three tags, none for Coat, one photo without a tag
    assert ["0.90-1.00", "4", "0.950", "0.750"] in lines
    assert ["50%", "2", "1.0000", "0.9000"] in lines
    assert [words for words in lines if words[:1] == ["Coat"]] == []


def test_several_sources_are_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Each source is a row, and one more without its loosely mapped photos; what cannot be computed is a dash."""
    clear = ROW | {"n": 1_200, "other_labels": {}, "unflagged_accuracy": 1.0}
    lines = printed({"sources": {"a": source(), "b": source(unambiguous=clear, failed={})}}, capsys)
    assert lines[0] == ["x@1"]
    assert ["a", "4", "0.700", "0.750", "1.000", "0.050", "0.500", "-", "0.500"] in lines
    assert ["b,", "unambiguous", "1,200", "0.700", "0.750", "1.000", "0.050", "0.500", "1.000", "-"] in lines
    assert [words[0] for words in lines if "left" in words] == ["a:"]
