"""`Tagger.tag`: paths, PIL images and arrays, mixed, in order; failures as tags; wrong input as one error."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import draw_photo
from PIL import Image

from tagger.errors import BundleError
from tagger.inference.tagger import PhotoInput, Tagger
from tagger.records import Item, Tag

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tagger(photo_bundle: Path) -> Tagger:
    """A tagger with a small bundle, which works in batches of three photos."""
    return Tagger(photo_bundle, device="cpu", batch_size=3, workers=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos, two of other formats, one file that is no image, one empty file."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(5):
        draw_photo(number).save(root / f"{number}.png")
    (root / "notes.txt").write_text("no image")
    (root / "empty.jpg").write_bytes(b"")
    return root


def without_path(tags: list[Tag]) -> list[tuple[object, ...]]:
    """Return the tags without the path that each was made of."""
    return [(tag.ranked, tag.low_confidence, tag.reason, tag.group, tag.group_confidence) for tag in tags]


def test_tags_come_in_order_with_their_paths(tagger: Tagger, folder: Path) -> None:
    """Each path, a string or a `Path`, gets one tag in its place, over several batches, and the tag holds the path."""
    paths = [folder / f"{number}.png" for number in (3, 0, 4, 1, 2, 0, 3)]
    alone = {path: next(tagger.tag([path])) for path in paths}
    tags = list(tagger.tag(str(path) if number % 2 else path for number, path in enumerate(paths)))
    assert [tag.path for tag in tags] == [str(path) for path in paths]
    assert tags == [alone[path] for path in paths]
    assert len({tag.ranked for tag in tags}) == 5


def test_images_and_arrays_get_the_tag_of_their_file(tagger: Tagger, folder: Path) -> None:
    """A path, an image opened, one loaded and the array of its pixels, mixed in one call, all get the same tag."""
    for number in (0, 1):
        file = folder / f"{number}.png"
        with Image.open(file) as opened, Image.open(file) as loaded:
            loaded.load()
            same: list[PhotoInput] = [opened, file, loaded, np.asarray(loaded), str(file), np.asfortranarray(loaded)]
            tags = list(tagger.tag(same))
        assert len({*without_path(tags)}) == 1
        assert tags[0].label
        assert [tag.path for tag in tags] == ["", str(file), "", "", str(file), ""]


def test_grey_arrays_are_grey_images(tagger: Tagger, folder: Path) -> None:
    """An array without channels gets the tag of the grey image, and one in Fashion-MNIST's own form that of its file."""
    grey = draw_photo(2).convert("L")
    assert len({*without_path(list(tagger.tag([grey, np.asarray(grey)])))}) == 1
    small = np.zeros((28, 28), np.uint8)
    small[4:24, 8:20] = 180
    Image.fromarray(small).save(folder / "native.png")
    assert len({*without_path(list(tagger.tag([small, folder / "native.png"])))}) == 1


def test_photos_that_cannot_be_read_are_tags_with_a_reason(tagger: Tagger, folder: Path) -> None:
    """A missing file, one that is no image and an empty one get no label and their reason, and the others their tags."""
    paths = ["missing.jpg", folder / "notes.txt", folder / "0.png", folder / "empty.jpg", "null\0byte.jpg"]
    tags = list(tagger.tag(paths))
    assert [tag.reason for tag in tags if not tag.label] == ["missing", "not_an_image", "truncated", "missing"]
    assert all(tag.low_confidence and tag.confidence == 0 for tag in tags if not tag.label)
    assert tags[2].label
    assert [tag.path for tag in tags] == [str(path) for path in paths]


def test_photos_are_taken_as_they_are_needed(tagger: Tagger, folder: Path) -> None:
    """Of an endless stream the first tags come at once: no photo is read much before its turn."""
    taken = 0

    def endless() -> Iterator[PhotoInput]:
        nonlocal taken
        while True:
            taken += 1
            yield draw_photo(0) if taken % 7 == 0 else folder / "0.png"

    tags = tagger.tag(endless())
    assert [next(tags).label for _ in range(4)]
    assert taken < 40


@pytest.mark.parametrize(
    "array",
    [
        np.full((20, 20, 3), 0.5),
        np.full((20, 20, 3), np.nan, np.float32),
        np.zeros((20, 20, 3), np.int64),
        np.zeros((20, 20), bool),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((3, 20, 20), np.uint8),
        np.zeros((20,), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_other_arrays_are_refused(tagger: Tagger, array: np.ndarray) -> None:
    """An array of another dtype or shape is one error that says which photo it is and what is accepted."""
    with pytest.raises(ValueError, match=r"^Photo 2 .*uint8 arrays of shape \(height, width, 3\)") as caught:
        list(tagger.tag([np.zeros((9, 9, 3), np.uint8), array]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("photo", [None, 7, b"a.jpg", ["a.jpg"]])
def test_other_objects_are_refused(tagger: Tagger, photo: object) -> None:
    """What is no photo at all is one error that says which it is and what is accepted."""
    with pytest.raises(TypeError, match=r"Photo 1 is a .*paths, PIL images and uint8 arrays"):
        list(tagger.tag([photo]))  # type: ignore[list-item]


@pytest.mark.parametrize("photo", ["a.jpg", Path("a.jpg"), Image.new("L", (9, 9)), np.zeros((9, 9, 3), np.uint8)])
def test_a_single_photo_is_refused_at_once(tagger: Tagger, photo: PhotoInput) -> None:
    """One photo in place of several, whose characters or rows would be taken for photos, is refused before any is read."""
    with pytest.raises(TypeError, match="into a list"):
        tagger.tag(photo)  # type: ignore[arg-type]


def test_a_stack_of_photos_is_several(tagger: Tagger) -> None:
    """An array (n, height, width, 3) is n photos."""
    stack = np.stack([np.asarray(draw_photo(number)) for number in range(4)])
    assert without_path(list(tagger.tag(stack))) == without_path(list(tagger.tag(list(stack))))


def test_the_threshold_is_the_given_or_that_of_the_precision(photo_bundle: Path, folder: Path) -> None:
    """`min_confidence` comes before `precision`, and that before the card's own; an unknown precision is refused."""
    made = [Tagger(photo_bundle), Tagger(photo_bundle, precision=0.8), Tagger(photo_bundle, precision=0.8, min_confidence=0.99)]
    assert [one.min_confidence for one in made] == [0.5, 0.31, 0.99]
    tag = next(made[2].tag([folder / "0.png"]))
    assert tag.low_confidence == (tag.confidence < 0.99)
    with pytest.raises(BundleError, match="precision"):
        Tagger(photo_bundle, precision=0.5)


def test_the_size_of_batches_changes_no_tag(photo_bundle: Path, tagger: Tagger, folder: Path) -> None:
    """Photos get the same tags, bit for bit, in any batches."""
    paths = [folder / f"{number % 5}.png" for number in range(8)]
    for size in (1, 8):
        assert list(Tagger(photo_bundle, batch_size=size).tag(paths)) == list(tagger.tag(paths))


def test_truncated_files_are_tagged_where_they_are_allowed(photo_bundle: Path, tmp_path: Path) -> None:
    """With `allow_truncated` a file that ends early, opened as an image or not, has a tag that is always flagged."""
    draw_photo(0).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 3 // 4])
    strict, lenient = (Tagger(photo_bundle, allow_truncated=allowed) for allowed in (False, True))
    with Image.open(tmp_path / "cut.jpg") as opened:
        for photo in (tmp_path / "cut.jpg", opened):
            assert [(tag.label, tag.reason) for tag in strict.tag([photo])] == [("", "truncated")]
            (tag,) = lenient.tag([photo])
            assert (bool(tag.label), tag.low_confidence, tag.reason) == (True, True, "truncated")


def test_a_photo_that_was_not_scored_has_no_tag(tagger: Tagger) -> None:
    """Deciding on a photo whose bytes were known, so that nothing was scored, is an error and not a tag."""
    from tagger.photos.loader import ScoredPhoto

    with pytest.raises(ValueError, match=r"a\.jpg was not scored"):
        tagger.decide(ScoredPhoto(Item("a.jpg", Path("a.jpg")), None))
