"""What is measured on labelled photos: one row a photo, and figures, report and sheet that all agree with these rows."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT, draw_photo
from PIL import Image
from sklearn.metrics import roc_auc_score

from tagger.cli.main import main
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS
from tagger.errors import DatasetError, SourceError
from tagger.evaluation.contact_sheet import COLUMNS, contact_sheet
from tagger.evaluation.evaluate import Evaluation, Example, evaluate, metrics_of
from tagger.evaluation.markdown_report import markdown_report
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.tagger import Tagger
from tagger.records import ProductImage

Row = Sequence[object]
SHARE = re.compile(r"([\d.]+) \(([\d.]+)-([\d.]+)\)")


def write_source(folder: Path, rows: Sequence[Row], header: Row = ("path", "label", "kind", "group"), first: int = 0) -> Path:
    """Write a folder of a photo a row, each another one from the seed `first` on, with its labels.csv, and return it."""
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        for number, row in enumerate(rows):
            draw_photo(first + number).save(folder / f"{number}.jpg")
            table.writerow([f"{number}.jpg", *row])
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """24 photos of four classes and of things of none, two a product, a third of them loosely mapped."""
    labels = [(*LABELS[:4], "OOD")[number % 5] for number in range(24)]
    kinds = ["Blouse (ambiguous)" if number % 3 == 0 else label for number, label in enumerate(labels)]
    return write_source(tmp_path / "shop", [(label, kinds[at], at // 2) for at, label in enumerate(labels)])


@pytest.fixture
def clear(tmp_path: Path) -> Path:
    """20 photos of all ten classes, two a product, none of them loosely mapped."""
    return write_source(tmp_path / "clear", [(LABELS[at % 10], "plain", at // 2) for at in range(20)], first=100)


@pytest.fixture
def worn(tmp_path: Path) -> Path:
    """12 photos of six classes without a column of groups or kinds."""
    return write_source(tmp_path / "worn", [(LABELS[at % 6],) for at in range(12)], ("path", "label"), 200)


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """8 photos of things of no class."""
    return write_source(tmp_path / "strange", [("OOD", "Belts", at) for at in range(8)], first=300)


Judge = Callable[..., Evaluation]


@pytest.fixture
def judge(small_bundle: Path) -> Judge:
    """Evaluate sources with the small bundle."""
    return lambda *sources: evaluate(EvaluateSettings(tuple(map(str, sources)), model=str(small_bundle)))


def tables(report: str) -> list[list[dict[str, str]]]:
    """Return the report's tables, each as its rows by the names of their columns."""
    found: list[list[list[str]]] = [[]]
    for line in report.splitlines():
        if line.startswith("| "):
            found[-1].append([cell.strip() for cell in line[1:-1].split("|")])
        elif not line.startswith("|---"):
            found.append([])
    return [[dict(zip(lines[0], line, strict=True)) for line in lines[1:]] for lines in found if lines]


def by_photos(table: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the rows of a table by the name of their photos."""
    return {row["photos"]: row for row in table}


def share(cell: str) -> float:
    """Return the share in a cell, which lies within its interval."""
    found = SHARE.fullmatch(cell)
    assert found, cell
    said, low, high = map(float, found.groups())
    assert 0 <= low <= said <= high <= 1
    return said


# Rows and figures --------------------------------------------------------------------------------------------------


def test_a_folder_with_a_table_of_labels_is_that_table(judge: Judge, shop: Path) -> None:
    """A folder that holds a labels.csv is measured by it, under its own name, as the table alone is."""
    folder, table = judge(shop), judge(shop / "labels.csv")
    assert ["shop"] == list(folder.sources) == list(table.sources)
    assert folder == table
    assert 24 == len(folder.sources["shop"])


def test_what_was_said_is_what_the_tagger_says(judge: Judge, shop: Path, small_bundle: Path) -> None:
    """Each row holds the very tag that the library gives its photo, and its right, confidence and flag are that tag's."""
    rows = judge(shop).sources["shop"]
    tags = list(Tagger(str(small_bundle)).tag(shop / f"{number}.jpg" for number in range(24)))
    assert tags == [row.tag for row in rows]
    for row, tag in zip(rows, tags, strict=True):
        assert (row.predicted, row.confidence) == tag.ranked[0]
        assert row.right == (tag.ranked[0][0] == row.label)
        assert row.unflagged != tag.low_confidence


def test_several_sources_each_have_the_figures_that_they_have_alone(judge: Judge, shop: Path, worn: Path) -> None:
    """Measured together, sources keep their order, and none changes another's figures."""
    together = metrics_of(judge(worn, shop))
    assert ["sources"] == list(together)
    assert {"worn": metrics_of(judge(worn)), "shop": metrics_of(judge(shop))} == together["sources"]
    assert ["worn", "shop"] == list(together["sources"])


def test_loosely_mapped_photos_are_left_out_of_the_second_figures(judge: Judge, shop: Path) -> None:
    """The figures without the ambiguous kinds are those of the table without their rows."""
    lines = (shop / "labels.csv").read_text().splitlines()
    (shop / "fewer.csv").write_text("\n".join(line for line in lines if "(ambiguous)" not in line))
    both, fewer = metrics_of(judge(shop)), metrics_of(judge(shop / "fewer.csv"))
    assert both["n"] > fewer["n"]
    assert fewer == both["unambiguous"]
    assert "unambiguous" not in fewer


def test_strangers_alone_have_flags_alone(judge: Judge, strange: Path, worn: Path) -> None:
    """A source of things of no class, beside one that can be measured, has a count of flags and no accuracy."""
    figures = metrics_of(judge(worn, strange))["sources"]["strange"]
    assert (0, {"OOD": 8}) == (figures["n"], figures["other_labels"])
    assert figures["other_labels_flagged"] == sum(not row.unflagged for row in judge(worn, strange).sources["strange"])
    assert "accuracy" not in figures


def test_a_photo_without_a_product_is_wrong_with_no_confidence(judge: Judge, worn: Path) -> None:
    """A blank photo is counted, wrong, flagged and of confidence 0, and stands under no tag."""
    Image.new("RGB", (60, 80), "white").save(worn / "0.jpg")
    evaluation = judge(worn)
    row = evaluation.sources["worn"][0]
    assert ("", 0.0, False, False, False) == (row.predicted, row.confidence, row.right, row.unflagged, row.failed)
    figures = metrics_of(evaluation)
    assert (12, 1) == (figures["n"], figures["not_recognised"])
    assert 1 == sum(figures["confusion"]["without_tag"])
    assert "no product 1" in markdown_report(evaluation, "")


def test_fashion_mnist_is_scored_like_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test set's pictures go to the network as they are, and beside photos they are one more source."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        slice_ = dict(part)
    pictures = Images(torch.from_numpy(slice_["pixels"])[:, None], torch.from_numpy(slice_["labels"].astype(np.int64)))
    monkeypatch.setattr("tagger.data.fashion_mnist.load_fashion_mnist", lambda split, folder: pictures)
    evaluation = evaluate(EvaluateSettings(("fashion-mnist",)))
    figures = metrics_of(evaluation)
    garments = [ProductImage(picture, found=True, native=True) for picture in slice_["pixels"]]
    right = Tagger()._predict(garments).argmax(1) == slice_["labels"]
    assert right.mean() == pytest.approx(figures["accuracy"], abs=1e-6)
    assert 200 == figures["n"]
    for made_of_photos in (lambda: markdown_report(evaluation, ""), lambda: contact_sheet(evaluation)):
        with pytest.raises(DatasetError, match="fashion-mnist holds none"):
            made_of_photos()


def test_fashion_mnist_is_no_photo(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle with a head for photos is asked of the test set as of Fashion-MNIST's own pictures, not as of photos."""
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        pictures = Images(torch.from_numpy(part["pixels"])[:, None], torch.from_numpy(part["labels"].astype(np.int64)))
    monkeypatch.setattr("tagger.data.fashion_mnist.load_fashion_mnist", lambda split, folder: pictures)
    tagger = Tagger(str(photo_bundle))
    native, photo = (
        tagger._predict([ProductImage(picture, found=True, native=native) for picture in pictures.pixels[:, 0].numpy()])
        for native in (True, False)
    )
    said = [LABELS[number] for number in native.argmax(1)]
    assert said != [LABELS[number] for number in photo.argmax(1)]
    rows = evaluate(EvaluateSettings(("fashion-mnist",), model=str(photo_bundle))).sources["fashion-mnist"]
    assert said == [row.predicted for row in rows]


# Names and halves --------------------------------------------------------------------------------------------------


def test_names_that_collide_get_their_parents(judge: Judge, tmp_path: Path) -> None:
    """Two folders of one name are told apart by their parents, a third keeps its own name; none shares another's groups."""
    rows = [("Bag", "", 1), ("Coat", "", 2)]
    folders = [write_source(tmp_path / place, rows) for place in ("a/photos", "b/photos", "b/other")]
    evaluation = judge(*folders)
    assert ["a/photos", "b/photos", "other"] == list(evaluation.sources)
    groups = {row.group for rows in evaluation.sources.values() for row in rows}
    assert 6 == len(groups)


def test_a_source_given_twice_is_refused(judge: Judge, worn: Path) -> None:
    """The same photos would count twice, by whatever path they are given."""
    with pytest.raises(SourceError, match="given more than once"):
        judge(worn, worn / "labels.csv")


def test_the_halves_never_change(judge: Judge, tmp_path: Path) -> None:
    """Which groups are kept for reporting hangs on folder and group alone, also beside a folder of the same name."""
    kept = {("packshots", "28"): False, ("packshots", "149"): True, ("home", "227"): False}
    for (folder, group), expected in kept.items():
        first = write_source(tmp_path / f"{group}" / folder, [("Bag", "", group)])
        second = write_source(tmp_path / f"{group}-again" / folder, [("Bag", "", group)])
        assert [expected] == [row.kept for row in judge(first).sources[folder]]
        assert {expected} == {row.kept for rows in judge(first, second).sources.values() for row in rows}


# The report --------------------------------------------------------------------------------------------------------


def test_the_report_says_what_the_figures_say(judge: Judge, shop: Path) -> None:
    """The summary's n, shares and errors are those of the figures, each share within its interval."""
    evaluation = judge(shop)
    figures = metrics_of(evaluation)
    summary = by_photos(tables(markdown_report(evaluation, ""))[0])
    for row, said in ((summary["shop"], figures), (summary["shop, unambiguous"], figures["unambiguous"])):
        assert said["n"] == int(row["n (groups)"].split()[0])
        assert said["macro_accuracy"] == pytest.approx(share(row["macro accuracy"]), abs=6e-4)
        assert said["accuracy"] == pytest.approx(share(row["accuracy"]), abs=6e-4)
        assert said["group_accuracy"] == pytest.approx(share(row["group right"]), abs=6e-4)
        assert said["calibration_error"] == pytest.approx(float(row["calibration error"]), abs=6e-4)
        assert said["unflagged_share"] == pytest.approx(float(row["unflagged"]), abs=6e-4)
        assert said["unflagged_accuracy"] == pytest.approx(share(row["of these right"]), abs=6e-4)
        flagged = said["other_labels_flagged"] / said["other_labels"]["OOD"]
        assert flagged == pytest.approx(share(row["others flagged"]), abs=6e-4)
    assert "(12)" in summary["shop"]["n (groups)"]


def test_the_report_begins_with_model_and_command(judge: Judge, worn: Path) -> None:
    """The first line names the model, the second the command that made it."""
    evaluation = judge(worn)
    lines = markdown_report(evaluation, "fmtag evaluate worn").splitlines()
    assert [f"# Real photos, {evaluation.model}", "`fmtag evaluate worn`"] == lines[:2]


def test_each_photo_is_its_own_group_where_none_is_given(judge: Judge, worn: Path) -> None:
    """Without a column of groups, as with an empty cell, no photo hangs together with another."""
    assert "12 (12)" == tables(markdown_report(judge(worn), ""))[0][0]["n (groups)"]
    lines = (worn / "labels.csv").read_text().splitlines()
    (worn / "some.csv").write_text("\n".join(["path,label,group", *(f"{line}," for line in lines[1:9]), f"{lines[9]},8"]))
    assert "9 (9)" == tables(markdown_report(judge(worn / "some.csv"), ""))[0][0]["n (groups)"]
    parts = {"path": ["0.jpg", "1.jpg", "2.jpg", "3.jpg"], "label": list(LABELS[:4]), "group": [None, None, 0.0, 0.0]}
    pd.DataFrame(parts).to_parquet(worn / "some.parquet")
    assert "4 (3)" == tables(markdown_report(judge(worn / "some.parquet"), ""))[0][0]["n (groups)"]


def test_the_halves_make_the_whole(judge: Judge, shop: Path, clear: Path, strange: Path) -> None:
    """Both halves have the summary's columns, and together its photos, no group in both."""
    evaluation = judge(shop, clear, strange)
    whole, looked, kept = (by_photos(table) for table in tables(markdown_report(evaluation, ""))[:3])
    assert list(whole["shop"]) == list(looked["shop"]) == list(kept["shop"])
    for name in ("shop", "clear", "shop, unambiguous"):
        sizes = [tuple(map(int, re.findall(r"\d+", table[name]["n (groups)"]))) for table in (whole, looked, kept)]
        assert sizes[0] == tuple(map(sum, zip(*sizes[1:], strict=True)))
        assert sizes[1] > (0, 0) < sizes[2]
    rows = evaluation.sources["strange"]
    for table, half in ((looked, False), (kept, True)):
        flagged = np.mean([not row.unflagged for row in rows if row.kept == half])
        assert flagged == pytest.approx(share(table["strange"]["others flagged"]), abs=6e-4)


def test_clear_sources_are_summed_up(judge: Judge, shop: Path, clear: Path, worn: Path, strange: Path) -> None:
    """One row joins the sources of known labels without loosely mapped kinds, and strangers are told from these."""
    evaluation = judge(shop, clear, worn, strange)
    report = tables(markdown_report(evaluation, ""))
    rows = [*evaluation.sources["clear"], *evaluation.sources["worn"]]
    joined = by_photos(report[0])["clear + worn"]
    assert "32 (22)" == joined["n (groups)"]
    assert np.mean([row.right for row in rows]) == pytest.approx(share(joined["accuracy"]), abs=6e-4)
    assert np.mean([row.unflagged for row in rows]) == pytest.approx(float(joined["unflagged"]), abs=6e-4)

    others = by_photos(report[4])
    assert ["shop", "clear + worn"] == [others[name]["against the known ones of"] for name in ("shop", "strange")]
    for name, known in (("strange", rows), ("shop", [row for row in evaluation.sources["shop"] if row.known])):
        strangers = [row for row in evaluation.sources[name] if not row.known]
        truth = [True] * len(known) + [False] * len(strangers)
        area = roc_auc_score(truth, [row.tag.ranked[0][1] for row in [*known, *strangers]])
        assert area == pytest.approx(float(others[name]["AUROC"]), abs=6e-4)


def test_groups_of_labels_have_the_mean_of_their_classes(judge: Judge, clear: Path) -> None:
    """The macro accuracy of footwear is the mean recall of sandals, sneakers and boots; so for every group."""
    evaluation = judge(clear)
    recalls = {label: row["recall"] for label, row in metrics_of(evaluation)["per_class"].items()}
    [row] = tables(markdown_report(evaluation, ""))[3]
    assert set(GROUPS.values()) == set(row) - {"photos"}
    for group in set(GROUPS.values()):
        expected = np.mean([recalls[label] for label in LABELS if GROUPS[label] == group])
        assert expected == pytest.approx(share(row[group]), abs=6e-4)


def test_classes_are_also_given_without_the_flagged(judge: Judge, clear: Path) -> None:
    """Each class has its unflagged share and how many of these are right, and the last row their means."""
    evaluation = judge(clear)
    *classes, mean = tables(markdown_report(evaluation, ""))[4]
    assert list(LABELS) == [row["class"] for row in classes]
    for row in classes:
        mine = [one for one in evaluation.sources["clear"] if one.label == row["class"]]
        sure = [one.right for one in mine if one.unflagged]
        assert f"{len(sure) / len(mine):.3f}" == row["unflagged"]
        assert (f"{np.mean(sure):.3f}" if sure else "-") == row["of these right"]
    for column in ("unflagged", "of these right"):
        there = [float(row[column]) for row in classes if row[column] != "-"]
        assert np.mean(there) == pytest.approx(float(mean[column]), abs=1e-3)


# The sheet ---------------------------------------------------------------------------------------------------------


def wrong_ones(evaluation: Evaluation) -> list[Example]:
    """Return the wrong tags of known labels, the surest first."""
    wrong = [row for rows in evaluation.sources.values() for row in rows if row.known and not row.right]
    return sorted(wrong, key=lambda row: -row.confidence)


def test_the_sheet_shows_the_surest_errors(judge: Judge, clear: Path, strange: Path) -> None:
    """The tiles are the wrong photos, the surest first, each with what the network saw of it beside."""
    evaluation = judge(clear, strange)
    wrong = wrong_ones(evaluation)
    assert COLUMNS < len(wrong) < 2 * COLUMNS
    sheet = cv2.imdecode(np.frombuffer(contact_sheet(evaluation), np.uint8), cv2.IMREAD_COLOR)
    assert (2 * 120, COLUMNS * 180, 3) == sheet.shape
    for at, row in enumerate(wrong):
        top, left = at // COLUMNS * 120, at % COLUMNS * 180
        tile = sheet[top : top + 120, left : left + 180].astype(float)
        photo = cv2.resize(cv2.imread(str(row.file)), (63, 84), interpolation=cv2.INTER_AREA)
        assert np.abs(tile[:84, :63] - photo).mean() < 4
        assert 0 == tile[0, 90:174].min() < tile[:84, 90:174].max()
    assert 0 == sheet[120:, len(wrong) % COLUMNS * 180 :].max()


def test_a_sheet_of_no_errors_is_empty(judge: Judge, clear: Path, tmp_path: Path) -> None:
    """Where every tag is right the sheet is a picture all the same, with nothing on it."""
    rows = [row for row in judge(clear).sources["clear"] if row.file]
    for row in rows:
        (tmp_path / "right" / row.predicted.replace("/", "")).mkdir(parents=True, exist_ok=True)
        assert row.file
        row.file.rename(tmp_path / "right" / row.predicted.replace("/", "") / row.file.name)
    sheet = cv2.imdecode(np.frombuffer(contact_sheet(judge(tmp_path / "right")), np.uint8), cv2.IMREAD_COLOR)
    assert (120, COLUMNS * 180, 3) == sheet.shape
    assert 0 == sheet.max()


@pytest.mark.parametrize("option", ["--out", "--report", "--sheet"])
def test_what_is_measured_is_never_replaced(
    option: str, shop: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is to be written and is a source's own table is refused before anything is measured, whatever it is named."""
    (shop / "labels.md").symlink_to("labels.csv")
    before = (shop / "labels.csv").read_bytes()
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(shop), option, str(shop / "labels.md"), "--model", str(small_bundle)])
    assert 1 == caught.value.code
    assert f"give {option} another name" in capsys.readouterr().err
    assert before == (shop / "labels.csv").read_bytes()
