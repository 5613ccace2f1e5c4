"""`adapt`: what is refused, what is noted, and what the new bundle's card tells."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from adaptation_helpers import WIDTH, write_table
from helpers import ROOT, write_photos

from tagger.adaptation.adapt import AdaptationResult, adapt
from tagger.adaptation.catalog_photos import LEAST_PHOTOS
from tagger.adaptation.examples import LabelledExamples
from tagger.adaptation.fit import fit_adapter
from tagger.adaptation.settings import AdaptSettings
from tagger.data.labels import LABELS
from tagger.errors import DatasetError, TrainingError
from tagger.inference.predictor import Features, Predictor
from tagger.inference.tagger import Tagger
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter
from tagger.records import ProductImage

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 24


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good photos, each of another product."""
    return write_photos(tmp_path_factory.mktemp("learn") / "photos", COUNT, (90, 120), digits=2)


def adapted(catalog: Path, out: Path, start: Path, labels: str, force: bool = True) -> AdaptationResult:
    return adapt(AdaptSettings(str(catalog), str(out), start=str(start), labels=labels, force=force))


def test_labels_that_cannot_be_read_are_named(catalog: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """Unreadable labelled photos are counted and named, the others are used, and the card tells where the bundle is from."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    rows = [*((f"{number:02d}.jpg", LABELS[number % 2]) for number in range(20)), (str(broken), "Bag"), ("gone.jpg", "Bag")]
    table = str(write_table(tmp_path / "table.csv", rows))
    done = adapted(catalog, tmp_path / "mine", photo_bundle, table)
    assert (done.photos, done.labelled) == (COUNT, 20)
    notes = " ".join(done.notes)
    assert "Photos that cannot be read, left out: 2." in notes
    assert "broken.jpg" in notes
    assert "gone.jpg" in notes
    parent = bundle.load(str(photo_bundle))
    card = bundle.load(str(tmp_path / "mine")).card
    assert (parent.model, parent.fingerprint) == (card.parent, card.data["parent/card.json"])
    assert bundle.load(str(tmp_path / "mine")).weights.keys() == parent.weights.keys()
    assert "shop/table.csv" in card.data


@pytest.mark.slow
def test_labels_that_make_tags_worse_are_refused(catalog: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """Where the accuracy would fall nothing is written, for a reason in one sentence; `force` writes."""
    files = sorted(catalog.iterdir())
    tags = [tag.ranked[0][0] for tag in Tagger(str(photo_bundle)).tag(files)]
    rows = [(file.name, tag) for file, tag in zip(files, tags, strict=True)]
    other = next(label for label in LABELS if label not in tags)
    table = write_table(tmp_path / "table.csv", [(name, other if index < 2 else tag) for index, (name, tag) in enumerate(rows)])
    with pytest.raises(TrainingError, match="accuracy falls") as caught:
        adapted(catalog, tmp_path / "mine", photo_bundle, table, force=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mine").exists()
    done = adapted(catalog, tmp_path / "mine", photo_bundle, table)
    assert done.gains[0].after[0] < done.gains[0].before[0]
    assert (tmp_path / "mine" / "card.json").is_file()


def test_no_module_but_that_of_fine_tuning_imports_torch() -> None:
    """Without `--deep` nothing of an adaptation needs PyTorch: only `backbone` imports it, and is itself imported late."""
    modules = [*(ROOT / "tagger" / "adaptation").glob("*.py")]
    modules += [ROOT / "tagger" / "models" / f"{name}.py" for name in ("adapter", "neighbours")]
    modules.append(ROOT / "tagger" / "metrics" / "calibration.py")
    importing = [module.stem for module in modules if re.search(r"^\s*(import|from) torch\b", module.read_text(), re.MULTILINE)]
    assert importing == ["backbone"]
    early = [
        module.stem for module in modules if re.search(r"^from tagger.adaptation.backbone", module.read_text(), re.MULTILINE)
    ]
    assert early == []


def test_deep_is_refused_for_a_bundle_with_a_backbone(catalog: Path, fused_bundle: Path, tmp_path: Path) -> None:
    """Fine-tuning changes the small network alone, so with a backbone it is refused before anything is written."""
    with pytest.raises(TrainingError, match="leave --deep out"):
        adapt(AdaptSettings(str(catalog), str(tmp_path / "mine"), start=str(fused_bundle), deep=True))
    assert not (tmp_path / "mine").exists()


def predict_everywhere(monkeypatch: pytest.MonkeyPatch, none: float, labels: Sequence[int]) -> None:
    """Let every bundle predict these labels in turn, and none of them with the probability `none`."""

    def extract(predictor: Predictor, products: Sequence[ProductImage]) -> Features:
        kinds = [labels[number % len(labels)] for number in range(len(products))]
        probabilities = (1 - none) * np.eye(len(LABELS) + 1, dtype=np.float32)[kinds]
        probabilities[:, -1] = none
        return Features(probabilities, np.random.default_rng(2).standard_normal((len(products), WIDTH), np.float32))

    monkeypatch.setattr(Predictor, "extract", extract)


@pytest.fixture(scope="module")
def large_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of enough photos for an adaptation without labels."""
    return write_photos(tmp_path_factory.mktemp("large") / "photos", LEAST_PHOTOS, (90, 120), digits=2)


def test_a_foreign_catalog_is_refused(
    large_catalog: Path, photo_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog that nearly all is none of the labels is refused without labels, and nothing is written."""
    predict_everywhere(monkeypatch, none=0.8, labels=range(len(LABELS)))
    with pytest.raises(DatasetError, match="is likely none of the bundle"):
        adapt(AdaptSettings(str(large_catalog), str(tmp_path / "mine"), start=str(photo_bundle)))
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("none", "labels", "reason"),
    [(0.5, range(10), "50% of the catalog is likely none"), (0.0, [5, 7, 9], "one-sided"), (0.0, range(10), "")],
)
def test_neighbours_count_less_in_odd_catalogs_with_a_note(
    large_catalog: Path,
    photo_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    none: float,
    labels: Sequence[int],
    reason: str,
) -> None:
    """Half of the photos none of the labels, or shoes alone, call for caution; a balanced catalog does not."""
    cautious: list[bool] = []

    def recorded(features: Features, examples: LabelledExamples | None = None, **options: bool) -> ShopAdapter:
        cautious.append(options["cautious"])
        return fit_adapter(features, examples, **options)

    predict_everywhere(monkeypatch, none, labels)
    monkeypatch.setattr("tagger.adaptation.adapt.fit_adapter", recorded)
    done = adapt(AdaptSettings(str(large_catalog), str(tmp_path / "mine"), start=str(photo_bundle)))
    assert cautious == [bool(reason)]
    assert reason in " ".join(done.notes)
    assert ("neighbours count less" in " ".join(done.notes)) == bool(reason)
