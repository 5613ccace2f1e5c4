"""Evaluation gives one row per photo, and metrics that are computed from these rows alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_helpers import example, write_source
from helpers import draw_photo
from PIL import Image

from tagger.cli.main import main
from tagger.data.images import Images
from tagger.data.labels import GROUPS, LABELS
from tagger.errors import DatasetError, SourceError
from tagger.evaluation.evaluate import Evaluation, evaluate, evaluate_test_set, metrics_of
from tagger.evaluation.settings import EvaluateSettings
from tagger.inference.tagger import Tagger
from tagger.records import ProductImage, Tag

pytestmark = pytest.mark.usefixtures("one_thread")

Evaluate = Callable[..., Evaluation]


# Rows --------------------------------------------------------------------------------------------------------------


def test_a_folder_with_a_table_of_labels_is_that_table(evaluated: Evaluate, shop: Path) -> None:
    """A folder that holds a labels.csv gives the rows of that table, under the folder's name."""
    folder, table = evaluated(shop), evaluated(shop / "labels.csv")
    assert list(folder.sources) == list(table.sources) == ["shop"]
    assert folder == table
    assert len(folder.sources["shop"]) == 24


def test_rows_hold_the_tags_of_the_library(evaluated: Evaluate, shop: Path, small_bundle: Path) -> None:
    """Each row holds the tag that the library gives its photo; prediction, confidence and flag are that tag's."""
    rows = evaluated(shop).sources["shop"]
    tags = list(Tagger(str(small_bundle)).tag(shop / f"{number}.jpg" for number in range(24)))
    assert [replace(tag, path="") for tag in tags] == [row.tag for row in rows]
    for row, tag in zip(rows, tags, strict=True):
        assert (row.predicted, row.confidence) == tag.ranked[0]
        assert row.right == (tag.ranked[0][0] == row.label)
        assert row.unflagged != tag.low_confidence


def test_labels_may_be_spelled_loosely(evaluated: Evaluate, tmp_path: Path) -> None:
    """Case, spaces and slashes of a label do not matter; the row has the bundle's own spelling and its group."""
    folder = write_source(tmp_path / "loose", [("tshirt TOP",), ("ankle-boot",), ("Hat",)], ("path", "label"))
    rows = evaluated(folder).sources["loose"]
    assert [(row.label, row.known) for row in rows] == [("T-shirt/top", True), ("Ankle boot", True), ("Hat", False)]
    assert [row.true_group for row in rows] == [GROUPS["T-shirt/top"], "footwear", ""]


def test_each_photo_is_its_own_group_where_none_is_given(evaluated: Evaluate, worn: Path) -> None:
    """Without a column of groups, as with an empty cell in a CSV or Parquet file, every photo is a group of its own."""

    def groups(source: Path) -> list[str]:
        return [row.group for row in evaluated(source).sources["worn" if source.is_dir() else source.name]]

    assert len(set(groups(worn))) == 12
    lines = (worn / "labels.csv").read_text().splitlines()
    (worn / "some.csv").write_text("\n".join(["path,label,group", *(f"{line}," for line in lines[1:9]), f"{lines[9]},8"]))
    assert len(set(groups(worn / "some.csv"))) == 9
    parts = {"path": ["0.jpg", "1.jpg", "2.jpg", "3.jpg"], "label": list(LABELS[:4]), "group": [None, None, 0.0, 0.0]}
    pd.DataFrame(parts).to_parquet(worn / "some.parquet")
    assert len(set(groups(worn / "some.parquet"))) == 3


def test_group_right_needs_a_known_label() -> None:
    """The group of a tag counts as right for a label of the same group, never for a label that the bundle lacks."""
    tag = Tag((("Sneaker", 0.9),), False, "", "footwear")
    assert example("Sandal", "", 0).right is False
    boots = example("Ankle boot", "", 0, tag=tag, true_group="footwear")
    assert (boots.right, boots.group_right) == (False, True)
    assert not example("Hat", "", 0, tag=Tag((), True, "", ""), true_group="", known=False).group_right


# Metrics -----------------------------------------------------------------------------------------------------------


def test_several_sources_each_have_the_metrics_that_they_have_alone(evaluated: Evaluate, shop: Path, worn: Path) -> None:
    """Evaluated together, sources keep their order, and none changes another's metrics."""
    together = metrics_of(evaluated(worn, shop))
    assert list(together) == ["sources"]
    assert together["sources"] == {"worn": metrics_of(evaluated(worn)), "shop": metrics_of(evaluated(shop))}
    assert list(together["sources"]) == ["worn", "shop"]


def test_loosely_mapped_photos_are_left_out_of_the_second_metrics(evaluated: Evaluate, shop: Path) -> None:
    """The metrics without the ambiguous kinds are those of the table without their rows."""
    lines = (shop / "labels.csv").read_text().splitlines()
    (shop / "fewer.csv").write_text("\n".join(line for line in lines if "(ambiguous)" not in line))
    both, fewer = metrics_of(evaluated(shop)), metrics_of(evaluated(shop / "fewer.csv"))
    assert both["n"] > fewer["n"]
    assert both["unambiguous"] == fewer
    assert "unambiguous" not in fewer


def test_ood_photos_alone_have_flags_alone(evaluated: Evaluate, ood: Path, worn: Path) -> None:
    """A source of out-of-distribution photos, beside one that can be measured, has a count of flags and no accuracy."""
    evaluation = evaluated(worn, ood)
    metrics = metrics_of(evaluation)["sources"]["ood"]
    assert (metrics["n"], metrics["other_labels"]) == (0, {"OOD": 8})
    assert metrics["other_labels_flagged"] == sum(not row.unflagged for row in evaluation.sources["ood"])
    assert "accuracy" not in metrics


def test_a_photo_without_a_product_is_wrong_with_no_confidence(evaluated: Evaluate, worn: Path) -> None:
    """A blank photo is counted as wrong, flagged, of confidence 0 and without a tag."""
    Image.new("RGB", (60, 80), "white").save(worn / "0.jpg")
    evaluation = evaluated(worn)
    row = evaluation.sources["worn"][0]
    assert (row.predicted, row.confidence, row.right, row.unflagged, row.failed) == ("", 0.0, False, False, False)
    metrics = metrics_of(evaluation)
    assert (metrics["n"], metrics["not_recognised"]) == (12, 1)
    assert sum(metrics["confusion"]["without_tag"]) == 1


def test_unreadable_photos_are_counted_and_left_out(evaluated: Evaluate, worn: Path) -> None:
    """A file that is no image is counted under `failed` and by no metric."""
    (worn / "0.jpg").write_bytes(b"no image")
    metrics = metrics_of(evaluated(worn))
    assert metrics["n"] == 11
    assert sum(metrics["failed"].values()) == 1


# Fashion-MNIST -----------------------------------------------------------------------------------------------------


def test_fashion_mnist_is_scored_as_product_images(fashion_mnist: Images, photo_bundle: Path) -> None:
    """The test set goes to the network as it is, through the head for Fashion-MNIST rather than the one for photos."""
    tagger = Tagger(str(photo_bundle))
    pixels = fashion_mnist.pixels[:, 0].numpy()
    native, photo = (
        tagger._predict([ProductImage(image, found=True, native=native) for image in pixels]).argmax(1)
        for native in (True, False)
    )
    assert list(native) != list(photo)
    evaluation = evaluate(EvaluateSettings(("fashion-mnist",), model=str(photo_bundle)))
    rows = evaluation.sources["fashion-mnist"]
    assert [row.predicted for row in rows] == [LABELS[number] for number in native]
    assert [row.label for row in rows] == [LABELS[number] for number in fashion_mnist.labels]
    assert all(np.array_equal(row.image, image) for row, image in zip(rows, pixels, strict=True))
    metrics = metrics_of(evaluation)
    assert metrics["n"] == 200
    assert metrics["accuracy"] == pytest.approx(np.mean(native == fashion_mnist.labels.numpy()), abs=1e-6)
    with pytest.raises(DatasetError, match="fashion-mnist holds none"):
        evaluation.photos()


@pytest.mark.usefixtures("fashion_mnist")
def test_the_test_set_is_evaluated_whatever_the_sources(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`evaluate_test_set` ignores the sources and a folder of that name, which `evaluate` prefers to the test set."""
    write_source(tmp_path / "fashion-mnist", [("Bag",)], ("path", "label"))
    monkeypatch.chdir(tmp_path)
    settings = EvaluateSettings(("fashion-mnist",), model=str(small_bundle))
    assert len(evaluate(settings).sources["fashion-mnist"]) == 1
    assert len(evaluate_test_set(settings).sources["fashion-mnist"]) == 200


# Names and halves --------------------------------------------------------------------------------------------------


def test_names_that_collide_get_their_parents(evaluated: Evaluate, tmp_path: Path) -> None:
    """Two folders of one name are told apart by their parents, a third keeps its own name; none shares another's groups."""
    rows = [("Bag", "", 1), ("Coat", "", 2)]
    folders = [write_source(tmp_path / place, rows) for place in ("a/photos", "b/photos", "b/other")]
    evaluation = evaluated(*folders)
    assert list(evaluation.sources) == ["a/photos", "b/photos", "other"]
    groups = {row.group for rows in evaluation.sources.values() for row in rows}
    assert len(groups) == 6


def test_the_halves_never_change(evaluated: Evaluate, tmp_path: Path) -> None:
    """Which groups are kept for reporting depends on folder and group alone, also beside a folder of the same name."""
    kept = {("packshots", "28"): False, ("packshots", "149"): True, ("home", "227"): False}
    for (folder, group), expected in kept.items():
        first = write_source(tmp_path / f"{group}" / folder, [("Bag", "", group)])
        second = write_source(tmp_path / f"{group}-again" / folder, [("Bag", "", group)])
        evaluation = evaluated(first, second)
        assert len(evaluation.sources) == 2
        assert {row.kept for rows in evaluation.sources.values() for row in rows} == {expected}


# What cannot be evaluated ------------------------------------------------------------------------------------------


def test_a_source_given_twice_is_refused(evaluated: Evaluate, worn: Path) -> None:
    """The same photos would count twice, by whatever path they are given."""
    with pytest.raises(SourceError, match="given more than once"):
        evaluated(worn, worn / "labels.csv")


def test_a_single_photo_has_no_label(evaluated: Evaluate, tmp_path: Path) -> None:
    """One sentence says that a photo alone has no label, and which sources have."""
    draw_photo(0, (60, 80)).save(tmp_path / "one.jpg")
    with pytest.raises(SourceError, match=r"single photo without a label; give a folder .* or a table") as caught:
        evaluated(tmp_path / "one.jpg")
    assert "\n" not in str(caught.value)


def test_sources_without_a_known_label_are_refused(evaluated: Evaluate, ood: Path) -> None:
    """Photos of other labels alone cannot be measured; the sentence names both kinds of labels and the remedy."""
    with pytest.raises(DatasetError, match=r"No readable photo of ood .*T-shirt/top.* the labels found: OOD\. .*--model"):
        evaluated(ood)


def test_a_source_of_unreadable_photos_is_refused(evaluated: Evaluate, worn: Path, tmp_path: Path) -> None:
    """A source without any readable photo is refused even beside one that can be measured."""
    broken = write_source(tmp_path / "broken", [("Bag",)], ("path", "label"))
    (broken / "0.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError, match="broken holds no photo that can be read, of 1"):
        evaluated(worn, broken)


@pytest.mark.parametrize("option", ["--out", "--report", "--sheet"])
def test_sources_are_never_replaced(option: str, shop: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An output that is a source's own table under another name is refused before anything is measured."""
    (shop / "labels.md").symlink_to("labels.csv")
    before = (shop / "labels.csv").read_bytes()
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(shop), option, str(shop / "labels.md"), "--model", str(small_bundle)])
    assert caught.value.code == 1
    assert f"give {option} another name" in capsys.readouterr().err
    assert (shop / "labels.csv").read_bytes() == before
