"""The Markdown report shows the metrics of the rows, whole and by half, each share within its interval."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation_helpers import markdown_tables
from PIL import Image
from sklearn.metrics import roc_auc_score

from tagger.data.labels import GROUPS, LABELS
from tagger.errors import DatasetError
from tagger.evaluation.evaluate import Evaluation, evaluate, metrics_of
from tagger.evaluation.markdown_report import markdown_report
from tagger.evaluation.settings import EvaluateSettings

SHARE = re.compile(r"([\d.]+) \(([\d.]+)-([\d.]+)\)")

pytestmark = pytest.mark.usefixtures("one_thread")

Evaluate = Callable[..., Evaluation]


def by_photos(table: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the rows of a table by the name of their photos."""
    return {row["photos"]: row for row in table}


def share(cell: str) -> float:
    """Return the share in a cell, which lies within its interval."""
    found = SHARE.fullmatch(cell)
    assert found, cell
    value, low, high = map(float, found.groups())
    assert 0 <= low <= value <= high <= 1
    return value


def test_the_report_shows_the_metrics(evaluated: Evaluate, shop: Path) -> None:
    """The summary's n, shares and errors are those of the metrics, each share within its interval."""
    evaluation = evaluated(shop)
    metrics = metrics_of(evaluation)
    summary = by_photos(markdown_tables(markdown_report(evaluation, ""))[0])
    for row, expected in ((summary["shop"], metrics), (summary["shop, unambiguous"], metrics["unambiguous"])):
        assert int(row["n (groups)"].split()[0]) == expected["n"]
        assert share(row["macro accuracy"]) == pytest.approx(expected["macro_accuracy"], abs=6e-4)
        assert share(row["accuracy"]) == pytest.approx(expected["accuracy"], abs=6e-4)
        assert share(row["group right"]) == pytest.approx(expected["group_accuracy"], abs=6e-4)
        assert float(row["calibration error"]) == pytest.approx(expected["calibration_error"], abs=6e-4)
        assert float(row["unflagged"]) == pytest.approx(expected["unflagged_share"], abs=6e-4)
        assert share(row["of these right"]) == pytest.approx(expected["unflagged_accuracy"], abs=6e-4)
        flagged = expected["other_labels_flagged"] / expected["other_labels"]["OOD"]
        assert share(row["others flagged"]) == pytest.approx(flagged, abs=6e-4)
    assert "(12)" in summary["shop"]["n (groups)"]


def test_the_report_begins_with_model_and_command(evaluated: Evaluate, worn: Path) -> None:
    """The first line names the model, the second the command that made it."""
    evaluation = evaluated(worn)
    lines = markdown_report(evaluation, "fmtag evaluate worn").splitlines()
    assert lines[:2] == [f"# Real photos, {evaluation.model}", "`fmtag evaluate worn`"]


def test_photos_without_groups_are_independent(evaluated: Evaluate, worn: Path) -> None:
    """Without a column of groups the summary counts as many groups as photos."""
    assert markdown_tables(markdown_report(evaluated(worn), ""))[0][0]["n (groups)"] == "12 (12)"


def test_photos_without_a_tag_are_named(evaluated: Evaluate, worn: Path) -> None:
    """A photo in which no product was found stands among what its class is mostly taken for."""
    Image.new("RGB", (60, 80), "white").save(worn / "0.jpg")
    classes = markdown_tables(markdown_report(evaluated(worn), ""))[4]
    assert "no product 1" in next(row["mostly taken for"] for row in classes if row["class"] == LABELS[0])


def test_the_halves_make_the_whole(evaluated: Evaluate, shop: Path, clear: Path, ood: Path) -> None:
    """Both halves have the summary's columns, and together its photos, no group in both."""
    evaluation = evaluated(shop, clear, ood)
    whole, looked, kept = (by_photos(table) for table in markdown_tables(markdown_report(evaluation, ""))[:3])
    assert list(whole["shop"]) == list(looked["shop"]) == list(kept["shop"])
    for name in ("shop", "clear", "shop, unambiguous"):
        sizes = [tuple(map(int, re.findall(r"\d+", table[name]["n (groups)"]))) for table in (whole, looked, kept)]
        assert sizes[0] == tuple(map(sum, zip(*sizes[1:], strict=True)))
        assert sizes[1] > (0, 0) < sizes[2]
    rows = evaluation.sources["ood"]
    for table, half in ((looked, False), (kept, True)):
        flagged = np.mean([not row.unflagged for row in rows if row.kept == half])
        assert share(table["ood"]["others flagged"]) == pytest.approx(flagged, abs=6e-4)


def test_clear_sources_are_pooled(evaluated: Evaluate, shop: Path, clear: Path, worn: Path, ood: Path) -> None:
    """One row pools the sources of known labels without loosely mapped kinds; OOD photos alone are compared with these."""
    evaluation = evaluated(shop, clear, worn, ood)
    report = markdown_tables(markdown_report(evaluation, ""))
    rows = [*evaluation.sources["clear"], *evaluation.sources["worn"]]
    pooled = by_photos(report[0])["clear + worn"]
    assert pooled["n (groups)"] == "32 (22)"
    assert share(pooled["accuracy"]) == pytest.approx(np.mean([row.right for row in rows]), abs=6e-4)
    assert float(pooled["unflagged"]) == pytest.approx(np.mean([row.unflagged for row in rows]), abs=6e-4)

    others = by_photos(report[4])
    assert [others[name]["against the known ones of"] for name in ("shop", "ood")] == ["shop", "clear + worn"]
    for name, known in (("ood", rows), ("shop", [row for row in evaluation.sources["shop"] if row.known])):
        unknown = [row for row in evaluation.sources[name] if not row.known]
        truth = [True] * len(known) + [False] * len(unknown)
        area = roc_auc_score(truth, [row.tag.ranked[0][1] for row in [*known, *unknown]])
        assert float(others[name]["AUROC"]) == pytest.approx(area, abs=6e-4)


def test_groups_of_labels_have_the_mean_of_their_classes(evaluated: Evaluate, clear: Path) -> None:
    """The macro accuracy of footwear is the mean recall of sandals, sneakers and boots; so for every group."""
    evaluation = evaluated(clear)
    recalls = {label: row["recall"] for label, row in metrics_of(evaluation)["per_class"].items()}
    [row] = markdown_tables(markdown_report(evaluation, ""))[3]
    assert set(row) - {"photos"} == set(GROUPS.values())
    for group in set(GROUPS.values()):
        expected = np.mean([recalls[label] for label in LABELS if GROUPS[label] == group])
        assert share(row[group]) == pytest.approx(expected, abs=6e-4)


def test_classes_are_also_given_without_the_flagged(evaluated: Evaluate, clear: Path) -> None:
    """Each class has its unflagged share and how many of these are right, and the last row their means."""
    evaluation = evaluated(clear)
    *classes, mean = markdown_tables(markdown_report(evaluation, ""))[4]
    assert [row["class"] for row in classes] == list(LABELS)
    for row in classes:
        photos = [one for one in evaluation.sources["clear"] if one.label == row["class"]]
        unflagged = [one.right for one in photos if one.unflagged]
        assert row["unflagged"] == f"{len(unflagged) / len(photos):.3f}"
        assert row["of these right"] == (f"{np.mean(unflagged):.3f}" if unflagged else "-")
    for column in ("unflagged", "of these right"):
        values = [float(row[column]) for row in classes if row[column] != "-"]
        assert float(mean[column]) == pytest.approx(np.mean(values), abs=1e-3)


@pytest.mark.usefixtures("fashion_mnist")
def test_fashion_mnist_is_left_out(evaluated: Evaluate, worn: Path, small_bundle: Path) -> None:
    """The report is of photos: beside some the test set is left out, and alone it is refused."""
    assert list(by_photos(markdown_tables(markdown_report(evaluated("fashion-mnist", worn), ""))[0])) == ["worn"]
    with pytest.raises(DatasetError, match="give labelled photos too"):
        markdown_report(evaluate(EvaluateSettings(("fashion-mnist",), model=str(small_bundle))), "")
