"""Reading a catalog for adaptation: which photos are read, and which catalogs are refused or call for caution."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adaptation_helpers import confident, write_table
from helpers import write_photos

from tagger.adaptation import catalog_photos
from tagger.adaptation.catalog_photos import LEAST_PHOTOS, CatalogPhotos, check_catalog, read_catalog, unreadable_notes
from tagger.adaptation.settings import AdaptSettings
from tagger.catalog.label_table import read_label_table
from tagger.errors import DatasetError
from tagger.inference.predictor import Features, Predictor
from tagger.models import bundle
from tagger.records import Item

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = AdaptSettings("catalog", "mine")


def catalog_of(classes: Sequence[int], none: float = 0.0) -> CatalogPhotos:
    """Return a catalog in which the network is sure of these of ten classes, and gives `none` to none of them."""
    probabilities = confident(classes, 11) * (1 - none)
    probabilities[:, -1] += none
    return CatalogPhotos(
        [Item(str(number), None) for number in range(len(classes))], Features(probabilities, np.eye(1, dtype=np.float32))
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve photos and a file that is none."""
    root = write_photos(tmp_path_factory.mktemp("photos") / "catalog", 12, (90, 120), digits=2)
    (root / "broken.jpg").write_bytes(b"no photo")
    return root


def read(settings: AdaptSettings, photo_bundle: Path, labels: Path | None = None) -> tuple[list[str], list[str], list[str]]:
    """Return the paths of the photos that are read, those of unreadable ones, and the notes on these."""
    table = read_label_table(str(labels), settings.catalog) if labels else None
    calls: list[tuple[int, int]] = []
    predictor = Predictor(bundle.load(str(photo_bundle)), "cpu")
    catalog, unreadable = read_catalog(settings, table, predictor, lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == list(range(1, len(calls) + 1))
    assert all(done <= total for done, total in calls)
    assert len(catalog.features.maps) == len(catalog.items)
    paths = [Path(item.path).name for item in catalog.items]
    return paths, [Path(item.path).name for item, _ in unreadable], unreadable_notes(unreadable, table)


def test_labelled_photos_come_first_and_once(folder: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """Labelled photos, also those outside of the catalog, are read before the others, and none twice."""
    other = write_photos(tmp_path / "others", 1, (90, 120), digits=3) / "000.jpg"
    labels = write_table(tmp_path / "labels.csv", [("05.jpg", "Bag"), (str(other), "Coat")])
    paths, unreadable, notes = read(AdaptSettings(str(folder), "mine"), photo_bundle, labels)
    assert paths[:2] == ["05.jpg", "000.jpg"]
    assert sorted(paths) == sorted([*(f"{number:02}.jpg" for number in range(12)), "000.jpg"])
    assert unreadable == ["broken.jpg"]
    assert notes == ["Photos that cannot be read, left out: 1."]


def test_unreadable_labelled_photos_are_named(folder: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """A labelled photo that cannot be read is counted and named."""
    labels = write_table(tmp_path / "labels.csv", [("broken.jpg", "Bag"), ("01.jpg", "Bag")])
    notes = read(AdaptSettings(str(folder), "mine"), photo_bundle, labels)[2]
    assert len(notes) == 2
    assert "broken.jpg" in notes[1]


def test_large_catalogs_are_sampled_evenly(folder: Path, photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more photos than `MOST_PHOTOS`, evenly spaced ones are read."""
    monkeypatch.setattr(catalog_photos, "MOST_PHOTOS", 4)
    paths, unreadable, _ = read(AdaptSettings(str(folder), "mine"), photo_bundle)
    read_files = sorted([*paths, *unreadable])
    every = sorted(file.name for file in folder.iterdir())
    assert read_files == [every[int(number * len(every) / 4)] for number in range(4)]


def test_product_images_are_kept_for_fine_tuning_alone(folder: Path, photo_bundle: Path) -> None:
    """Only with `deep` the product images stay in memory, as uint8 (n, 1, 28, 28)."""
    predictor = Predictor(bundle.load(str(photo_bundle)), "cpu")
    settings = AdaptSettings(str(folder), "mine")
    assert not read_catalog(settings, None, predictor, lambda *_: None)[0].products
    pixels = read_catalog(replace(settings, deep=True), None, predictor, lambda *_: None)[0].pixels
    assert (pixels.shape, pixels.dtype) == ((12, 1, 28, 28), np.uint8)
    assert len(np.unique(pixels.reshape(12, -1), axis=0)) == 12


def test_a_catalog_without_a_product_is_refused(tmp_path: Path, photo_bundle: Path) -> None:
    """A folder without any readable photo gives one sentence."""
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    predictor = Predictor(bundle.load(str(photo_bundle)), "cpu")
    with pytest.raises(DatasetError, match="no readable photo that shows a product"):
        read_catalog(AdaptSettings(str(tmp_path), "mine"), None, predictor, lambda *_: None)


@pytest.mark.parametrize("count", [LEAST_PHOTOS - 1, LEAST_PHOTOS])
def test_small_catalogs_need_labels(count: int) -> None:
    """Without labels a catalog needs 50 photos, unless forced; with labels any number will do."""
    catalog = catalog_of([number % 10 for number in range(count)])
    if count < LEAST_PHOTOS:
        with pytest.raises(DatasetError, match=f"{count}.*--labels"):
            check_catalog(catalog, SETTINGS, labelled=False)
    else:
        assert check_catalog(catalog, SETTINGS, labelled=False) == []
    assert check_catalog(catalog, replace(SETTINGS, force=True), labelled=False) == []
    assert check_catalog(catalog, SETTINGS, labelled=True) == []


@pytest.mark.parametrize(("none", "reasons"), [(0.2, 0), (0.3, 1), (0.7, 1)])
def test_foreign_photos_call_for_caution(none: float, reasons: int) -> None:
    """Above a quarter of photos that are none of the labels neighbours get less weight, for a reason that is told."""
    notes = check_catalog(catalog_of([number % 10 for number in range(100)], none), SETTINGS, labelled=False)
    assert len(notes) == reasons
    assert all("neighbours count less" in note for note in notes)


def test_mostly_foreign_catalogs_need_labels() -> None:
    """Above three quarters a catalog without labels is refused."""
    catalog = catalog_of([number % 10 for number in range(100)], 0.8)
    with pytest.raises(DatasetError, match="none of the bundle's labels; label some photos"):
        check_catalog(catalog, SETTINGS, labelled=False)
    assert len(check_catalog(catalog, SETTINGS, labelled=True)) == 1


@pytest.mark.parametrize(("labels", "one_sided"), [([5, 7, 9], True), ([0, 1, 2, 3, 4], False)])
def test_one_sided_catalogs_call_for_caution(labels: Sequence[int], one_sided: bool) -> None:
    """Fewer than four effective labels make a catalog one-sided."""
    notes = check_catalog(catalog_of([labels[number % len(labels)] for number in range(60)]), SETTINGS, labelled=False)
    assert any("one-sided" in note for note in notes) == one_sided
