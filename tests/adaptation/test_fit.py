"""What tables of labels become, how a network learns from them, and where a user's own bundles lie."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import write_photos
from torch import Tensor
from torch.nn import functional

from tagger.adaptation import backbone
from tagger.adaptation import fit as learn_room
from tagger.adaptation.active_learning import select_photos
from tagger.adaptation.adapt import LEAST_PHOTOS, Adapted, adapt
from tagger.adaptation.backbone import fine_tune_backbone
from tagger.adaptation.examples import ExamplesAndNotes, LabelledExamples, build_examples
from tagger.adaptation.fit import cross_validate, fit_adapter, fit_translation
from tagger.adaptation.settings import AdaptSettings, OtherLabels
from tagger.catalog.label_table import LabelledPhoto, read_label_table
from tagger.data.labels import LABELS
from tagger.errors import BundleError, DatasetError, TrainingError
from tagger.inference.predictor import Features, Predictor, pool_maps
from tagger.inference.tagger import Tagger
from tagger.models import bundle
from tagger.models.adapter import ShopAdapter
from tagger.models.bundle import set_default_model
from tagger.models.card import bundle_folder
from tagger.models.registry import default_model, shipped_bundles, user_bundles, user_folder
from tagger.records import Item, ProductImage
from tagger.settings import DEFAULT_MODEL

WIDTH = 64
COUNT = 24


pytestmark = pytest.mark.usefixtures("one_thread")


def maps_of(kinds: Sequence[int], noise: float = 0.15) -> Tensor:
    """Return maps of photos, each near its kind's own."""
    centres = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(9))[list(kinds)]
    return centres + noise * torch.randn(len(kinds), WIDTH, generator=torch.Generator().manual_seed(1))


def sure_of(classes: Sequence[int], ends: int = 4) -> Tensor:
    """Return probabilities of a network that is sure of these classes."""
    return 0.96 * functional.one_hot(torch.tensor(classes), ends) + 0.04 / ends


def lesson_on(photos: Sequence[int], classes: Sequence[int], labels: Sequence[str], known: Sequence[int]) -> LabelledExamples:
    """Return a lesson in which every photo is a product of its own."""
    return LabelledExamples(tuple(labels), tuple(known), np.array(photos), np.array(classes), np.arange(len(photos)))


# What is learnt ----------------------------------------------------------------------------------------------------


def test_a_label_taken_from_another_leaves_that_one_right() -> None:
    """Things that the network calls by another label get their own, and what that label is right for keeps it."""
    kinds = [0, 1, 2, 3] * 12
    look = Features(sure_of([kind % 3 for kind in kinds]), maps_of(kinds))  # the network calls the fourth kind the first
    labelled = [number for number, kind in enumerate(kinds) if kind == 3][:5]
    shop = fit_adapter(look, lesson_on(labelled, [3] * 5, ("a", "b", "c", "skirt"), (0, 1, 2, -1)))
    assert kinds == shop.predict(look.probabilities, look.maps)[:, :-1].argmax(1).tolist()


def test_what_tests_a_photo_was_not_taught_its_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lesson that each part of cross-validation learns from shares no product with the photos that it is asked of."""
    kinds = [0, 1] * 12
    look = Features(sure_of(kinds), maps_of(kinds))
    products = np.arange(24) // 4 * 2 + np.array(kinds)
    lesson = replace(lesson_on(range(24), kinds, ("a", "b"), (0, 1)), products=products)
    asked: list[set[int]] = []
    taught: list[set[int]] = []

    def spied(look: Features, rest: LabelledExamples, *more: object) -> object:
        taught.append(set(rest.products.tolist()))
        return fit_adapter(look, rest, *more)  # type: ignore[arg-type]

    def look_without(left_out: np.ndarray) -> Features:
        asked.append(set(products[left_out].tolist()))
        return look

    monkeypatch.setattr(learn_room, "fit_adapter", spied)
    trial = cross_validate(look_without, lesson)
    assert trial is not None
    assert len(asked) == len(taught) > 1
    assert all(not one & other for one, other in zip(asked, taught, strict=True))
    assert torch.allclose(trial.said.sum(1), torch.ones(24), atol=1e-4)


def test_picks_end_where_all_is_told() -> None:
    """Near duplicates are picked once, and at most as many as asked for."""
    look = Features(torch.full((12, 4), 0.25), maps_of([0, 1, 2] * 4, noise=0.01))
    picked = select_photos(look, 100)
    assert {0, 1, 2} == {number % 3 for number in picked}
    assert 3 == len(picked)
    assert picked[:2] == select_photos(look, 2)


# The table ---------------------------------------------------------------------------------------------------------


def row_of(label: str, product: str = "", flagged: bool = False) -> LabelledPhoto:
    return LabelledPhoto(Item("x.jpg", Path("x.jpg")), label, product, flagged)


def taught_by(
    rows: Sequence[LabelledPhoto], other_labels: OtherLabels | None = None, tags: Sequence[str] = ()
) -> ExamplesAndNotes:
    """Return the lesson of rows on photos that are all unlike, for a bundle of two labels."""
    numbers = range(len(rows))
    return build_examples(
        numbers, rows, ("T-shirt/top", "Bag"), torch.eye(len(rows)), tags or ["Bag"] * len(rows), other_labels
    )


def test_ways_to_write_a_label_are_one() -> None:
    """Case and punctuation make no label of their own: the bundle's spelling wins, else the table's most frequent one."""
    taught = taught_by([row_of(label) for label in ("t-shirt top", "T-Shirt/Top", "Maxi skirt", "maxi-skirt", "Maxi skirt")])
    assert ("T-shirt/top", "Bag", "Maxi skirt") == taught.lesson.labels
    assert (0, 1, -1) == taught.lesson.known
    assert [0, 0, 2, 2, 2] == taught.lesson.classes.tolist()
    assert "'maxi-skirt' as 'Maxi skirt'" in taught.said[0]


def test_a_single_photo_of_a_new_label_is_left_out_and_said() -> None:
    """One photo of the shop's own label teaches nothing, while one of the bundle's does, and so does one of none."""
    taught = taught_by([row_of(label) for label in ("Skirt", "Bag", "T-shirt/top", "-")])
    assert ("T-shirt/top", "Bag") == taught.lesson.labels
    assert ([1, 2, 3], [1, 0, 2]) == (taught.lesson.photos.tolist(), taught.lesson.classes.tolist())
    assert any("'Skirt'" in sentence for sentence in taught.said)


def test_labels_that_are_not_named_are_kept_or_dropped_as_said() -> None:
    """Foreign labels alone are refused until it is said what becomes of the bundle's; a single label is refused always."""
    foreign = [row_of(label) for label in ("Hose", "Hose", "Rock", "Rock")]
    with pytest.raises(DatasetError, match="--other-labels"):
        taught_by(foreign)
    assert ("T-shirt/top", "Bag", "Hose", "Rock") == taught_by(foreign, "keep").lesson.labels
    assert ("Hose", "Rock") == taught_by(foreign, "drop").lesson.labels
    with pytest.raises(DatasetError, match="One label alone"):
        taught_by(foreign[:2], "drop")


def test_what_is_flagged_still_is_nobodys_word() -> None:
    """Of a run's output, rows that are flagged and have the bundle's own tag teach nothing; corrected ones do."""
    rows = [row_of("Bag", flagged=True), row_of("T-shirt/top", flagged=True), row_of("Bag")]
    taught = taught_by(rows)
    assert [1, 2] == taught.lesson.photos.tolist()
    assert "Rows still flagged" in taught.said[0]
    assert "left out: 1." in taught.said[0]


def test_products_are_the_tables_and_those_that_look_the_same() -> None:
    """Photos with one number of a product, or with nearly the same look, are one product, and so is what these link."""
    directions = functional.normalize(torch.eye(5) + torch.eye(5)[[1, 1, 2, 3, 4]] * torch.tensor([[9.0], [0], [0], [0], [0]]))
    rows = [row_of("Bag", product) for product in ("", "7", "7", "8", "")]
    products = build_examples(range(5), rows, ("Dress", "Bag"), directions, ["Dress"] * 5, None).lesson.products.tolist()
    assert products[0] == products[1] == products[2]
    assert 3 == len(set(products))


def write_table(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("path", "label")) -> str:
    """Write a CSV and return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def test_a_table_is_read_once_a_photo(tmp_path: Path) -> None:
    """Rows without a label are passed over, repeated ones count once, and contradictions are left out and said."""
    for name in "abcd":
        (tmp_path / f"{name}.jpg").touch()
    rows = [("a.jpg", "Bag"), ("a.jpg", "BAG"), ("b.jpg", "Bag"), ("b.jpg", "Coat"), ("c.jpg", " "), ("d.jpg", "-")]
    table = read_label_table(write_table(tmp_path / "table.csv", rows), "nowhere")
    assert {"a.jpg": "Bag", "d.jpg": "-"} == {file.name: row.label for file, row in table.photos.items()}
    assert 1 == len(table.said)
    assert "b.jpg" in table.said[0]
    with pytest.raises(DatasetError, match="labels no photo"):
        read_label_table(write_table(tmp_path / "empty.csv", [("a.jpg", "")]), "nowhere")


def test_paths_are_the_catalogs_first(tmp_path: Path) -> None:
    """A run's output names photos within its source, wherever it was written to."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "a.jpg").touch()
    (tmp_path / "b.jpg").touch()
    table = write_table(tmp_path / "tags.csv", [("a.jpg", "Bag"), ("b.jpg", "Bag")])
    expected = {(tmp_path / name).resolve() for name in ("catalog/a.jpg", "b.jpg")}
    assert expected == set(read_label_table(table, str(tmp_path / "catalog")).photos)


# The network -------------------------------------------------------------------------------------------------------


def judged_loss(network: torch.nn.Module, pixels: Tensor, look: Features, lesson: LabelledExamples) -> float:
    """Return the loss on the products that judge, by the head that the others teach."""
    judged, taught = backbone.split(lesson, 0)
    shop = fit_adapter(look, taught, 1e-3)
    photos = torch.from_numpy(judged.photos)
    with torch.no_grad():
        scores = backbone._label_scores(shop, look.probabilities[photos], pool_maps(network.maps(pixels[photos])))
    return float(functional.cross_entropy(scores, torch.from_numpy(judged.classes)))


def test_a_network_learns_and_is_no_worse_to_its_judges(photo_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes back with other weights and no greater loss on products that it did not learn from; the old one stays."""
    monkeypatch.setattr(backbone, "STEPS", 40)
    network = bundle.load(str(photo_bundle)).network()
    rng = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 100, (60, 1, 28, 28), generator=rng)
    for number, place in enumerate(torch.randint(2, 22, (60,), generator=rng).tolist()):
        bar = pixels[number, 0] if number % 2 else pixels[number, 0].T  # bars across or along, anywhere
        bar[place : place + 4, 4:24] = 200
    pixels = pixels.to(torch.uint8)
    with torch.no_grad():
        before, last = network.maps(pixels)
        look = Features(torch.softmax(network.photo_logits_of_maps(last) / 2, 1), pool_maps((before, last)))
    lesson = lesson_on(range(60), [number % 2 for number in range(60)], ("Trouser", "Bag"), (1, 8))
    old = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = fine_tune_backbone(network, pixels, look, lesson, 1e-3, 2.0)
    assert any(not torch.equal(old[name], tensor) for name, tensor in made.state_dict().items())
    assert all(torch.equal(old[name], tensor) for name, tensor in network.state_dict().items())
    assert judged_loss(made, pixels, look, lesson) < judged_loss(network, pixels, look, lesson)
    few = lesson.take(np.arange(4))  # too few products for a fifth of them to judge
    assert network is fine_tune_backbone(network, pixels, look, few, 1e-3, 2.0)


# Bundles by name ---------------------------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user's own bundles, not there yet."""
    monkeypatch.setenv("FMTAG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_bundle_of_ones_own_has_a_name(models: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """A bare name is a place in the user's folder, from which it loads; a path is a path, and shipped names are taken."""
    assert models == user_folder()
    assert [] == list(user_bundles())
    assert (models / "mine", Path("here/mine"), tmp_path) == (
        bundle_folder("mine"),
        bundle_folder("here/mine"),
        bundle_folder(str(tmp_path)),
    )
    for folder in shipped_bundles():
        with pytest.raises(BundleError, match="comes with fmtag"):
            bundle_folder(folder.name)
    parent = bundle.load(str(photo_bundle))
    bundle.save(bundle_folder("mine"), replace(parent.card, name="mine"), parent.network())
    assert [models / "mine"] == list(user_bundles())
    assert "mine" == bundle.load("mine").card.name


def test_the_default_is_the_one_that_was_set(models: Path, photo_bundle: Path) -> None:
    """Nothing set is the shipped one; a name stays a name and a folder is kept in full; unknown ones change nothing."""
    assert DEFAULT_MODEL == default_model()
    set_default_model("base")
    assert "base" == default_model()
    with pytest.raises(BundleError, match="There is no bundle 'nobody'"):
        set_default_model("nobody")
    assert "base" == default_model()
    set_default_model(str(photo_bundle))
    assert str(photo_bundle.resolve()) == default_model()


def test_a_card_and_its_shop_belong_together(tmp_path: Path, photo_bundle: Path) -> None:
    """A card that tells of a shop which is not there, or of other labels, is damaged; older bundles load without a shop."""
    parent = bundle.load(str(photo_bundle))
    card = replace(parent.card, base_groups=parent.card.groups)
    with pytest.raises(BundleError, match="damaged"):
        bundle.save(tmp_path / "none", card, parent.network())
    shop = fit_adapter(Features(sure_of([0, 1, 2], 11), torch.eye(3, WIDTH)))
    fewer = replace(card, labels=card.labels[:5], groups={label: card.groups[label] for label in card.labels[:5]})
    with pytest.raises(BundleError, match="the shop's labels are not the card's"):
        bundle.save(tmp_path / "fewer", fewer, parent.network(), shop)
    assert [None] * len(list(shipped_bundles())) == [bundle.load(str(folder)).adapter for folder in shipped_bundles()]


# All together ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good photos, each of another product."""
    return write_photos(tmp_path_factory.mktemp("learn") / "photos", COUNT, (90, 120), digits=2)


def adapted(catalog: Path, out: Path, start: Path, labels: str, force: bool = True) -> Adapted:
    return adapt(AdaptSettings(str(catalog), str(out), start=str(start), labels=labels, force=force))


def test_labels_that_cannot_be_read_are_named(catalog: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """Unreadable labelled photos are counted and named, and all others teach; the card holds where the bundle is from."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    rows = [*((f"{number:02d}.jpg", LABELS[number % 2]) for number in range(20)), (str(broken), "Bag"), ("gone.jpg", "Bag")]
    table = write_table(tmp_path / "table.csv", rows)
    done = adapted(catalog, tmp_path / "mine", photo_bundle, table)
    assert (COUNT, 20) == (done.photos, done.labelled)
    said = " ".join(done.said)
    assert "Photos that cannot be read, left out: 2." in said
    assert "broken.jpg" in said
    assert "gone.jpg" in said
    parent = bundle.load(str(photo_bundle))
    card = bundle.load(str(tmp_path / "mine")).card
    assert (parent.model, parent.fingerprint) == (card.parent, card.data["parent/card.json"])
    assert bundle.load(str(tmp_path / "mine")).weights.keys() == parent.weights.keys()
    assert "shop/table.csv" in card.data


def test_labels_that_make_tags_worse_are_refused(catalog: Path, photo_bundle: Path, tmp_path: Path) -> None:
    """Where tags would be less often right nothing is written, and the reason is one sentence; `force` writes."""
    files = sorted(catalog.iterdir())
    tags = [tag.ranked[0][0] for tag in Tagger(str(photo_bundle)).tag(files)]
    rows = [(file.name, tag) for file, tag in zip(files, tags, strict=True)]
    other = next(label for label in LABELS if label not in tags)
    table = write_table(tmp_path / "table.csv", [(name, other if at < 2 else said) for at, (name, said) in enumerate(rows)])
    with pytest.raises(TrainingError, match="right less often") as caught:
        adapted(catalog, tmp_path / "mine", photo_bundle, table, force=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mine").exists()
    done = adapted(catalog, tmp_path / "mine", photo_bundle, table)
    assert done.gains[0].after[0] < done.gains[0].before[0]
    assert (tmp_path / "mine" / "card.json").is_file()


def sees(monkeypatch: pytest.MonkeyPatch, none: float, labels: Sequence[int]) -> None:
    """Let every bundle see photos that are these labels in turn, and none of them with the probability `none`."""

    def look(predictor: Predictor, pictures: Sequence[ProductImage]) -> Features:
        kinds = [labels[number % len(labels)] for number in range(len(pictures))]
        said = (1 - none) * functional.one_hot(torch.tensor(kinds), len(LABELS) + 1).float()
        said[:, -1] = none
        return Features(said, torch.randn(len(pictures), WIDTH, generator=torch.Generator().manual_seed(2)))

    monkeypatch.setattr(Predictor, "extract", look)


@pytest.fixture(scope="module")
def large_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos enough to learn from without labels."""
    return write_photos(tmp_path_factory.mktemp("large") / "photos", LEAST_PHOTOS, (90, 120), digits=2)


def test_a_foreign_catalog_is_refused(
    large_catalog: Path, photo_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nearly all is none of the labels nothing is learnt without labels, and nothing written."""
    sees(monkeypatch, none=0.8, labels=range(len(LABELS)))
    with pytest.raises(DatasetError, match="is likely none of the bundle"):
        adapt(AdaptSettings(str(large_catalog), str(tmp_path / "mine"), start=str(photo_bundle)))
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("none", "labels", "reason"),
    [(0.5, range(10), "50% of the catalog is likely none"), (0.0, [5, 7, 9], "one-sided"), (0.0, range(10), "")],
)
def test_neighbours_count_less_in_odd_catalogs_and_it_is_said(
    large_catalog: Path,
    photo_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    none: float,
    labels: Sequence[int],
    reason: str,
) -> None:
    """Half foreign ones and those of shoes alone are learnt from with caution, and a balanced one without."""
    cautious: list[bool] = []

    def noted(look: Features, lesson: LabelledExamples | None = None, **options: bool) -> ShopAdapter:
        cautious.append(options["cautious"])
        return fit_adapter(look, lesson, **options)

    sees(monkeypatch, none, labels)
    monkeypatch.setattr("tagger.adaptation.adapt.fit_adapter", noted)
    done = adapt(AdaptSettings(str(large_catalog), str(tmp_path / "mine"), start=str(photo_bundle)))
    assert cautious == [bool(reason)]
    assert reason in " ".join(done.said)
    assert ("neighbours count less" in " ".join(done.said)) == bool(reason)


def test_a_label_without_a_photo_left_could_be_anything() -> None:
    """A fold may leave a new label no photo at all: its translation stays finite."""
    told = fit_translation(sure_of([0, 1, 2]), lesson_on([0], [0], ("a", "b", "skirt"), (0, 1, -1)))
    assert torch.isfinite(told).all()
    assert torch.allclose(told.sum(1), torch.ones(len(told)))


def test_no_label_is_set_aside_whole_for_judging() -> None:
    """A label with photos of two products teaches with one of them at least, however chance falls."""
    lesson = lesson_on(range(40), [0] * 38 + [1] * 2, ("a", "rare"), (0, -1))
    for seed in range(200):
        judged, taught = backbone.split(lesson, seed)
        assert 1 in taught.classes
        assert len(judged.photos) == 8
        assert not set(judged.products) & set(taught.products)
