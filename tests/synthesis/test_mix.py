"""The mix that `catalog` learns: drawings, pictures as shops would show them, and photos with labels."""
# ruff: noqa: SIM300 - what is expected stands first, as in every test here

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT, draw_photo
from PIL import Image
from torch import Tensor

from tagger.arrays import Pixels
from tagger.data.clothing import LABEL_CLASSES, ClothingPhoto, read_clothing_photos
from tagger.data.images import Images
from tagger.data.labels import LABELS, NONE
from tagger.data.splits import kept_for_calibration, kept_for_reporting
from tagger.errors import DatasetError
from tagger.models.config import NetworkConfig
from tagger.models.network import Network
from tagger.synthesis import compose, drawing, mix, shoes
from tagger.synthesis.compose import Outfit
from tagger.synthesis.drawing import CANVAS, Rng
from tagger.synthesis.mix import (
    SHIRT,
    TEACHING,
    TOP,
    ProductCut,
    calibration_mix,
    drawings,
    on_canvas,
    product_cuts,
    training_mix,
    variants_of,
)

DRAWN = 24
"""Shoes and bags, and as many strangers, in a mix of these tests instead of thousands."""


def fashion_mnist() -> Images:
    with np.load(ROOT / "tests" / "fixtures" / "fashion-mnist-test-200.npz") as part:
        return Images(torch.from_numpy(part["pixels"])[:, None], torch.from_numpy(part["labels"].astype(np.int64)))


PICTURES = fashion_mnist()
SOME = PICTURES.take(torch.arange(60))
CUTS = [ProductCut(np.full((50 + 3 * at, 40), 90 + 10 * at, np.uint8), at % (NONE + 1)) for at in range(8)] + [
    ProductCut(np.tri(30, 90, dtype=np.uint8) * 200, NONE)
]


@pytest.fixture
def few_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a few things instead of thousands."""
    monkeypatch.setattr(mix, "SHOES_AND_BAGS", DRAWN)
    monkeypatch.setattr(mix, "STRANGERS", DRAWN)


def network(photo_classes: int = 0) -> Network:
    torch.manual_seed(3)
    made = Network(NetworkConfig(widths=(8, 16), photo_classes=photo_classes)).eval()
    for head in (made.head, made.photo_head):
        if head is not None:
            torch.nn.init.normal_(head.weight, std=2.0)
    return made


def one_hot(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels, NONE + 1).float()


def canvases(*labels: str) -> list[Pixels]:
    """Return the slice's products of these classes, or all of them, as drawings."""
    wanted = {LABELS.index(label) for label in labels or LABELS}
    return [on_canvas(PICTURES.pixels[at, 0].numpy()) for at, label in enumerate(PICTURES.labels.tolist()) if label in wanted]


def same(first: Images, second: Images) -> bool:
    return torch.equal(first.pixels, second.pixels) and torch.equal(first.labels, second.labels)


def assert_pictures(pictures: Images, count: int) -> None:
    """Hold that there are so many pictures, uint8 (28, 28), none of them empty."""
    assert (count, 1, 28, 28) == tuple(pictures.pixels.shape)
    assert (torch.uint8, torch.int64) == (pictures.pixels.dtype, pictures.labels.dtype)
    assert count == len(pictures.labels)
    empty = torch.nonzero(pictures.pixels.amax(dim=(1, 2, 3)) == 0)[:, 0]
    assert [] == empty.tolist()


# Drawings ----------------------------------------------------------------------------------------------------------


DRAWINGS: dict[str, Callable[[Rng], Pixels]] = {
    "stranger": drawing.ood_object,
    "bag": drawing.bag,
    **{label: lambda rng, label=label: shoes.shoes(rng, label) for label in mix.SHOES},
    **{draw.__name__[1:]: draw for draw in drawing._OOD_OBJECTS},
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_never_empty(name: str) -> None:
    """Whatever the seed, a drawing is a square of bytes on which a thing is to be seen, whose ground is 0."""
    for seed in range(40):
        canvas = DRAWINGS[name](np.random.default_rng(seed))
        assert ((CANVAS, CANVAS), np.uint8) == (canvas.shape, canvas.dtype)
        assert np.count_nonzero(canvas) >= 20, seed


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_hang_on_the_seed_alone(name: str) -> None:
    """The same seed draws the same thing, and ten seeds hardly ever the same one twice."""
    first, again = ([DRAWINGS[name](np.random.default_rng(seed)) for seed in range(10)] for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({canvas.tobytes() for canvas in first}) >= 8


@pytest.mark.parametrize("seed", range(5))
def test_shoes_are_about_a_canvas_wide(seed: int) -> None:
    """Shoes stay on the canvas as a whole and are no specks on it."""
    for label in mix.SHOES:
        _, _, width, height = cv2.boundingRect(shoes.shoes(np.random.default_rng(seed), label))
        assert CANVAS / 5 <= max(width, height)


def test_a_view_from_the_side_shows_the_length() -> None:
    """From the side a shoe is one unit long and shows its height; from the front it has no length, from above no height."""
    ends = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0, 1]])
    heel, toes, above = shoes.View(0, 0).project(ends)
    assert np.allclose((shoes.UNIT, 0), toes - heel)
    assert np.allclose(shoes.UNIT, np.linalg.norm(above - (heel + toes) / 2))
    heel, toes, _ = shoes.View(90, 0).project(ends)
    assert np.allclose(heel, toes)
    heel, toes, above = shoes.View(0, 90).project(ends)
    assert np.allclose(above, (heel + toes) / 2)


def test_drawings_are_of_their_classes() -> None:
    """Shoes and bags come first, sandals twice as often as the others, then strangers, which are none of the classes."""
    made = drawings(20, 9, 5)
    assert_pictures(made, 29)
    counts = Counter(made.labels[:20].tolist())
    assert {"Sandal": 8, "Sneaker": 4, "Ankle boot": 4, "Bag": 4} == {LABELS[label]: count for label, count in counts.items()}
    assert 9 * [NONE] == made.labels[20:].tolist()
    assert same(made, drawings(20, 9, 5))
    assert not torch.equal(made.pixels, drawings(20, 9, 6).pixels)


# What photos do to products ----------------------------------------------------------------------------------------


STATES: dict[str, Callable[[Pixels, Rng], Pixels]] = {
    "cut from a figure": compose.cut_from_figure,
    "spread": compose.spread_sleeves,
    "pair": compose.pair,
    "askew": compose.warp_perspective,
    "ragged": compose.roughen_edges,
    "toned": compose.change_tone,
    "patterned": compose.add_pattern,
    "worn above": lambda canvas, rng: compose.photo_of_top(Outfit(canvas), rng),
    "worn above with trousers": lambda canvas, rng: compose.photo_of_top(Outfit(canvas, canvas), rng),
    "worn over": lambda canvas, rng: compose.photo_of_top(Outfit(canvas, canvas, canvas), rng),
    "worn over nothing": lambda canvas, rng: compose.photo_of_top(Outfit(over=canvas), rng),
    "worn below": lambda canvas, rng: compose.photo_of_bottom(Outfit(None, canvas), rng),
    "worn below a top": lambda canvas, rng: compose.photo_of_bottom(Outfit(canvas, canvas), rng),
}


@pytest.mark.parametrize("state", STATES)
def test_states_keep_something_to_see(state: str) -> None:
    """In every state there is something to see of a product, as bytes, the same for one seed; the product is left alone."""
    for number, canvas in enumerate(canvases()[:100]):
        before = canvas.copy()
        made, again = (STATES[state](canvas, np.random.default_rng(number)) for _ in range(2))
        assert (2, np.uint8) == (made.ndim, made.dtype)
        assert np.count_nonzero(made) >= 20, number
        assert np.array_equal(made, again)
        assert np.array_equal(before, canvas)


@pytest.mark.parametrize("state", ["toned", "patterned"])
def test_tones_and_patterns_keep_the_outline(state: str) -> None:
    """Another tone and a pattern change no pixel from product to ground, nor from ground to product."""
    for number, canvas in enumerate(canvases()[:60]):
        assert np.array_equal(canvas > 0, STATES[state](canvas, np.random.default_rng(number)) > 0)


@pytest.mark.parametrize("size", [(28, 28), (1, 1), (1, 200), (200, 1), (160, 120), (30, 31)])
def test_products_of_any_size_come_on_the_canvas(size: tuple[int, int]) -> None:
    """A product of any size stands on the canvas as a whole, on 0."""
    canvas = on_canvas(np.full(size, 200, np.uint8))
    assert ((CANVAS, CANVAS), np.uint8) == (canvas.shape, canvas.dtype)
    assert canvas.max() >= 190
    _, _, width, height = cv2.boundingRect(canvas)
    assert 0.8 * CANVAS <= max(width, height) <= CANVAS


@pytest.mark.parametrize("seed", range(3))
def test_variants_are_pictures_with_their_labels(seed: int) -> None:
    """Each of all pictures gets its variants, none empty, each with the picture's label, in order and then again."""
    made = variants_of(PICTURES, 2, seed)
    assert_pictures(made, 400)
    assert 2 * PICTURES.labels.tolist() == made.labels.tolist()
    assert made.targets is None is made.photo


def test_variants_hang_on_the_seed_alone() -> None:
    """The same seed gives the same variants, another one others, and every variant is another picture."""
    first = variants_of(SOME, 2, 1)
    torch.manual_seed(9)
    np.random.seed(9)
    assert same(first, variants_of(SOME, 2, 1))
    other = variants_of(SOME, 2, 2)
    changed = (first.pixels != other.pixels).flatten(1).any(1).float().mean()
    assert changed > 0.9
    assert (first.pixels[:60] != first.pixels[60:]).flatten(1).any(1).float().mean() > 0.9


def test_variants_leave_the_pictures_alone() -> None:
    """The pictures that variants are made of stay as they were."""
    before = SOME.pixels.clone()
    variants_of(SOME, 1, 1)
    assert torch.equal(before, SOME.pixels)


@pytest.mark.parametrize("label", range(NONE))
def test_one_class_alone_can_be_varied(label: int) -> None:
    """Where the other classes are missing, people wear nothing of them, and no picture is lost."""
    alone = PICTURES.take(torch.nonzero(PICTURES.labels == label)[:, 0])
    made = variants_of(alone, 2, 0)
    assert_pictures(made, 2 * len(alone))


def test_cuts_get_their_variants() -> None:
    """Each photo's cut gets so many variants with its own label, also one of none of the classes."""
    made = mix.variants_of_cuts(CUTS, SOME, 4, 0)
    assert_pictures(made, 36)
    assert 4 * [cut.label for cut in CUTS] == made.labels.tolist()
    assert same(made, mix.variants_of_cuts(CUTS, SOME, 4, 0))


# The mix -----------------------------------------------------------------------------------------------------------


def test_the_own_pictures_come_first(few_drawings: None) -> None:
    """First of all stand Fashion-MNIST's pictures, unchanged and as no photos; all others stand for photos."""
    whole = training_mix(SOME, CUTS, network(), network(11), 0)
    assert_pictures(whole, 2 * 60 + mix.TIMES_PHOTO * len(CUTS) + 2 * DRAWN)
    assert torch.equal(SOME.pixels, whole.pixels[:60])
    assert torch.equal(SOME.labels, whole.labels[:60])
    assert torch.equal(SOME.labels, whole.labels[60:120])
    assert whole.photo is not None
    assert 60 * [False] + (len(whole) - 60) * [True] == whole.photo.tolist()
    assert DRAWN * [NONE] == whole.labels[-DRAWN:].tolist()


def test_targets_are_shares(few_drawings: None) -> None:
    """Each row of targets is of shares that sum to 1; beside Fashion-MNIST's pictures and shirts they are the label alone."""
    whole = training_mix(SOME, CUTS, network(), network(11), 0)
    assert whole.targets is not None
    assert ((len(whole), NONE + 1), torch.float32) == (tuple(whole.targets.shape), whole.targets.dtype)
    assert (whole.targets >= 0).all()
    assert torch.allclose(torch.ones(len(whole)), whole.targets.sum(1), atol=1e-5)
    assert torch.equal(one_hot(whole.labels)[120:], whole.targets[120:])


def test_the_teacher_is_asked_of_the_own_pictures(few_drawings: None) -> None:
    """Targets of Fashion-MNIST's pictures hold what the teacher says of picture and mirror image, and none is never likely."""
    teacher = network()
    whole = training_mix(SOME, [], teacher, None, 0)
    with torch.inference_mode():
        said = (teacher(SOME.pixels).softmax(1) + teacher(SOME.pixels.flip(3)).softmax(1)) / 2
    assert whole.targets is not None
    expected = (1 - TEACHING) * one_hot(SOME.labels)[:, :NONE] + TEACHING * said
    assert torch.allclose(expected, whole.targets[:60, :NONE], atol=1e-5)
    assert 0 == whole.targets[:60, NONE].max()


def test_the_judge_moves_shirts_towards_tops(few_drawings: None) -> None:
    """A judge changes no picture, and of the targets those of shirts' variants alone, and these from shirt to top alone."""
    judged, plain = (training_mix(SOME, CUTS, network(), judge, 0) for judge in (network(11), None))
    assert same(judged, plain)
    assert judged.targets is not None
    assert plain.targets is not None
    shirts = 60 + torch.nonzero(SOME.labels == SHIRT)[:, 0]
    assert len(shirts) > 0
    moved = torch.nonzero((judged.targets != plain.targets).any(1))[:, 0]
    assert set(moved.tolist()) <= set(shirts.tolist())
    assert len(moved) > 0
    others = [label for label in range(NONE + 1) if label not in (SHIRT, TOP)]
    assert 0 == judged.targets[shirts][:, others].max()
    assert (judged.targets[shirts, TOP] >= 0).all()
    assert torch.allclose(torch.ones(len(shirts)), judged.targets[shirts][:, [TOP, SHIRT]].sum(1))


def test_the_mix_without_shirts(few_drawings: None) -> None:
    """Pictures among which there is no shirt can be judged too."""
    bags = PICTURES.take(torch.nonzero(PICTURES.labels != SHIRT)[:20, 0])
    whole = training_mix(bags, CUTS, network(), network(11), 0)
    assert whole.targets is not None
    assert torch.equal(one_hot(bags.labels), whole.targets[20:40])


def test_the_mix_without_photos(few_drawings: None) -> None:
    """Without photos the mix is pictures, variants and drawings, and needs no judge."""
    whole = training_mix(SOME, [], network(), None, 0)
    assert_pictures(whole, 2 * 60 + 2 * DRAWN)
    assert whole.targets is not None
    assert torch.equal(one_hot(whole.labels)[60:], whole.targets[60:])


def test_the_mix_hangs_on_the_seed_alone(few_drawings: None) -> None:
    """The same seed gives the same mix; another one changes all but the own pictures."""
    first, again, other = (training_mix(SOME, CUTS, network(), None, seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert torch.equal(first.labels, other.labels)
    assert torch.equal(first.pixels[:60], other.pixels[:60])
    assert (first.pixels[60:] != other.pixels[60:]).flatten(1).any(1).float().mean() > 0.9


@pytest.mark.parametrize("cuts", [[], CUTS], ids=["without photos", "with photos"])
def test_the_mix_to_calibrate_by_is_of_the_same_kinds(
    cuts: Sequence[ProductCut], monkeypatch: pytest.MonkeyPatch, few_drawings: None
) -> None:
    """Pictures to calibrate by are variants, drawings and photos' cuts too, but others than in training with the same seed."""
    monkeypatch.setattr(mix, "SHOES_AND_BAGS", 10 * DRAWN)
    monkeypatch.setattr(mix, "STRANGERS", 10 * DRAWN)
    made = calibration_mix(SOME, cuts, 0)
    assert_pictures(made, 60 + 2 * DRAWN + mix.TIMES_HELD_OUT * len(cuts))
    assert SOME.labels.tolist() == made.labels[:60].tolist()
    assert made.labels.tolist().count(NONE) >= DRAWN
    trained_on = {picture.numpy().tobytes() for picture in training_mix(SOME, cuts, network(), None, 0).pixels}
    shared = sum(picture.numpy().tobytes() in trained_on for picture in made.pixels)
    assert shared < 0.05 * len(made)


# Labelled photos ---------------------------------------------------------------------------------------------------


def write_table(path: Path, *rows: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_our_own_layout_is_read(tmp_path: Path) -> None:
    """`labels.csv` names files beside it, in subfolders too, with label and group; other columns do not matter."""
    write_table(
        tmp_path / "labels.csv",
        ("kind", "path", "label", "group"),
        ("x", "a.jpg", "Bag", "1"),
        ("y", "sub/b.png", "T-shirt/top", "2"),
        ("z", "c.jpg", "OOD", "2"),
    )
    assert [
        ClothingPhoto(tmp_path / "a.jpg", LABELS.index("Bag"), "1"),
        ClothingPhoto(tmp_path / "sub" / "b.png", TOP, "2"),
        ClothingPhoto(tmp_path / "c.jpg", NONE, "2"),
    ] == read_clothing_photos(tmp_path)


@pytest.mark.parametrize("place", ["images", "images_original", "."])
def test_the_clothing_datasets_layout_is_read(tmp_path: Path, place: str) -> None:
    """`images.csv` names photos without their suffix, which lie in a folder `images` or as the dataset has them."""
    (tmp_path / place).mkdir(exist_ok=True)
    write_table(
        tmp_path / "images.csv",
        ("image", "sender_id", "label", "kids"),
        ("ea7b6656-3f84-4eb3", "124", "Not sure", "False"),
        ("ea2ffd4d-9b25-4ca8", "124", "T-Shirt", "False"),
        ("3b86d877-2b9e-4c8b", "88", "Skirt", "True"),
    )
    assert [
        ClothingPhoto(tmp_path / place / "ea2ffd4d-9b25-4ca8.jpg", TOP, "124"),
        ClothingPhoto(tmp_path / place / "3b86d877-2b9e-4c8b.jpg", NONE, "88"),
    ] == read_clothing_photos(tmp_path)


def test_our_own_table_comes_first(tmp_path: Path) -> None:
    """Where both tables are, ours is read."""
    write_table(tmp_path / "images.csv", ("image", "sender_id", "label"), ("a", "1", "Hat"))
    write_table(tmp_path / "labels.csv", ("path", "group", "label"), ("b.jpg", "1", "Bag"))
    assert [tmp_path / "b.jpg"] == [photo.file for photo in read_clothing_photos(tmp_path)]


def test_unknown_labels_are_left_out(tmp_path: Path) -> None:
    """Labels of which no class is known are left out, all known ones are there, and nothing else is."""
    labels = [*LABEL_CLASSES, "Not sure", "Other", "", "bag", "Skip"]
    write_table(
        tmp_path / "labels.csv", ("path", "label", "group"), *((f"{at}.jpg", label, at) for at, label in enumerate(labels))
    )
    assert [(tmp_path / f"{at}.jpg", LABEL_CLASSES[label]) for at, label in enumerate(LABEL_CLASSES)] == [
        (photo.file, photo.label) for photo in read_clothing_photos(tmp_path)
    ]


def test_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    """A table that a spreadsheet wrote, with a byte order mark, is read alike."""
    (tmp_path / "labels.csv").write_text("path,label,group\r\na.jpg,Bag,1\r\n", encoding="utf-8-sig", newline="")
    assert 1 == len(read_clothing_photos(tmp_path))


BAD: dict[str, tuple[str, bytes]] = {
    "no table": ("other.csv", b"path,label,group\na.jpg,Bag,1\n"),
    "empty table": ("labels.csv", b""),
    "header alone": ("labels.csv", b"path,label,group\n"),
    "no group": ("labels.csv", b"path,label\na.jpg,Bag\n"),
    "no label": ("images.csv", b"image,sender_id\na,1\n"),
    "another header": ("images.csv", b"path,label,group\na.jpg,Bag,1\n"),
    "no known label": ("labels.csv", b"path,label,group\na.jpg,Sock,1\nb.jpg,Glove,1\n"),
    "no text": ("labels.csv", b"path,label,group\n\xff\xfe\x00\x80.jpg,Bag,1\n"),
    "a picture": ("labels.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))),
    "short rows": ("labels.csv", b"label,path,group\nBag\n"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_tables_are_refused(tmp_path: Path, bad: str) -> None:
    """A folder whose table is missing, empty, of other columns, of no known label or damaged is refused in one sentence."""
    name, content = BAD[bad]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_clothing_photos(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing folder is refused by name, as an empty one is."""
    with pytest.raises(DatasetError, match="none"):
        read_clothing_photos(tmp_path / "none")


def test_cuts_are_the_products_in_the_photos(tmp_path: Path) -> None:
    """Each photo that can be read and shows a product gives its cut with its label; others are left out, none fails."""
    for number in range(3):
        draw_photo(number).save(tmp_path / f"{number}.jpg")
    Image.new("RGB", (60, 80), "white").save(tmp_path / "blank.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    names = ["0.jpg", "blank.jpg", "1.jpg", "broken.jpg", "gone.jpg", "2.jpg"]
    cuts = product_cuts([ClothingPhoto(tmp_path / name, label, "1") for label, name in enumerate(names)])
    assert [0, 2, 5] == [cut.label for cut in cuts]
    for cut in cuts:
        assert (2, np.uint8) == (cut.product.ndim, cut.product.dtype)
        assert cut.product.any(axis=0).all()
        assert cut.product.any(axis=1).all()


# Halves ------------------------------------------------------------------------------------------------------------


GROUPS = [str(number) for number in range(3000)]


def test_the_halves_are_halves() -> None:
    """About half of the groups is kept for reporting, and of the others about a sixth for calibration."""
    for folder in ("images", "packshots"):
        left = [group for group in GROUPS if not kept_for_reporting(folder, group)]
        assert 0.5 == pytest.approx(len(left) / len(GROUPS), abs=0.03)
        assert 1 / 6 == pytest.approx(np.mean([kept_for_calibration(folder, group) for group in left]), abs=0.03)


def test_the_halves_hang_on_names_alone() -> None:
    """Which half a group is in hangs on folder and group, is the same on every machine, and differs between folders."""
    assert [False, True, False] == [
        kept_for_reporting(*names) for names in (("packshots", "28"), ("packshots", "149"), ("home", "227"))
    ]
    expected = "000001000110010000000000000001010000100"
    assert expected == "".join(str(int(kept_for_calibration("home", str(group)))) for group in range(len(expected)))
    one, other = ([kept_for_reporting(folder, group) for group in GROUPS] for folder in ("one", "other"))
    assert 0.4 < np.mean(np.array(one) == np.array(other)) < 0.6
