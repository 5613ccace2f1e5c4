"""Items are loaded in threads, in order and a bounded number ahead; results go to the photos that they belong to."""
# ruff: noqa: SIM300 - the expected value stands first

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import draw_photo, write_photos
from PIL import Image

from tagger.photos import loader
from tagger.photos.decode import decode
from tagger.photos.loader import READ_AHEAD, LoadedPhoto, attach_results, load_bytes, load_photos, product_images
from tagger.photos.product import extract_product
from tagger.photos.reading import READERS
from tagger.photos.settings import DEFAULT_DECODING, DecodeSettings
from tagger.records import Content, Failed, Item, NetworkOutputs, Photo, ProductImage

SIZE = (60, 80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write twelve photos, a blank one and a text file."""
    folder = write_photos(tmp_path_factory.mktemp("loader") / "photos", 12, SIZE)
    Image.new("RGB", SIZE, "white").save(folder / "blank.jpg")
    (folder / "text.jpg").write_text("no image")
    return folder


def items_of(folder: Path, *names: str) -> list[Item]:
    """Return items of these files, or of all numbered photos."""
    return [Item(name, folder / name) for name in names or sorted(path.name for path in folder.glob("0*.jpg"))]


def image(level: int, found: bool = True, truncated: bool = False) -> ProductImage:
    """Return a product image of one grey level."""
    return ProductImage(np.full((28, 28), level, np.uint8), found, truncated)


@pytest.mark.parametrize("workers", [1, 3, None])
def test_photos_come_in_order(folder: Path, workers: int | None) -> None:
    """Each item comes once, in its place, with the product image and content that reading it alone gives."""
    items = items_of(folder)
    loaded = list(load_photos(items, workers))
    assert items == [photo.item for photo in loaded]
    for photo in loaded:
        file = Path(str(photo.item.place))
        decoded = decode(file)
        assert isinstance(decoded, Photo)
        assert isinstance(photo.outcome, ProductImage)
        assert np.array_equal(extract_product(decoded).pixels, photo.outcome.pixels)
        assert photo.content is not None
        assert (hashlib.sha256(file.read_bytes()).digest(), file.stat().st_size) == (photo.content.sha256, photo.content.size)


def test_failures_are_outcomes_of_their_items(folder: Path) -> None:
    """A missing file, a text, an item without a file and one with a problem fail by themselves; a blank photo is empty."""
    problem = Failed("bad_row", "row 7 has no path")
    items = [
        *items_of(folder, "0000.jpg", "none.jpg", "text.jpg", "blank.jpg"),
        Item("", None),
        Item("x", folder / "0001.jpg", problem=problem),
    ]
    loaded = list(load_photos(items, 2))
    outcomes = [photo.outcome for photo in loaded]
    reasons = [outcome.reason if isinstance(outcome, Failed) else "" for outcome in outcomes]
    assert ["", "missing", "not_an_image", "", "bad_row", "bad_row"] == reasons
    assert isinstance(outcomes[3], ProductImage)
    assert not outcomes[3].found
    assert problem is outcomes[5]
    assert [True, False, True, True, False, False] == [photo.content is not None for photo in loaded]


def test_known_bytes_are_not_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose hash is known comes with its content and without an outcome, and is not decoded."""
    decoded: list[str] = []
    own = loader.decode_bytes

    def noting(content: bytes, name: str, settings: DecodeSettings = DEFAULT_DECODING) -> Photo | Failed:
        decoded.append(Path(name).name)
        return own(content, name, settings)

    monkeypatch.setattr(loader, "decode_bytes", noting)
    known = hashlib.sha256((folder / "0001.jpg").read_bytes()).digest()
    first, second = load_photos(items_of(folder, "0001.jpg", "0002.jpg"), 1, known=lambda sha256: sha256 == known)
    assert first.outcome is None
    assert first.content is not None
    assert known == first.content.sha256
    assert isinstance(second.outcome, ProductImage)
    assert ["0002.jpg"] == decoded


def test_truncated_files_follow_the_option(tmp_path: Path) -> None:
    """A truncated file fails, or is loaded and marked where the option allows it."""
    draw_photo(1, (300, 400)).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 8 // 10])
    items = items_of(tmp_path, "cut.jpg")
    [strict], [lenient] = (list(load_photos(items, 1, DecodeSettings(allow))) for allow in (False, True))
    assert isinstance(strict.outcome, Failed)
    assert "truncated" == strict.outcome.reason
    assert isinstance(lenient.outcome, ProductImage)
    assert lenient.outcome.truncated


def test_an_exception_of_extraction_fails_one_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where extraction raises, that photo is unreadable, the detail names it, and the next one is loaded."""
    own, calls = loader.extract_product, []

    def failing(photo: Photo, colour: bool = True) -> ProductImage:
        calls.append(photo)
        if len(calls) == 1:
            raise ZeroDivisionError
        return own(photo, colour)

    monkeypatch.setattr(loader, "extract_product", failing)
    first, second = load_photos(items_of(folder, "0001.jpg", "0002.jpg"), 1)
    assert isinstance(first.outcome, Failed)
    assert "unreadable" == first.outcome.reason
    assert "0001.jpg" in first.outcome.detail
    assert "ZeroDivisionError" in first.outcome.detail
    assert isinstance(second.outcome, ProductImage)


@pytest.mark.parametrize("workers", [1, 3])
def test_items_are_taken_a_bounded_number_ahead(folder: Path, workers: int) -> None:
    """`READ_AHEAD` items per worker are taken from the source before the first photo is yielded, and those read together."""
    taken: list[int] = []

    def endless() -> Iterator[Item]:
        for number in range(10_000):
            taken.append(number)
            yield Item("a", folder / "0001.jpg")

    loading = load_photos(endless(), workers)
    counts = []
    for _ in range(READERS + 1):
        next(loading)
        counts.append(len(taken))
    loading.close()
    assert counts == [READ_AHEAD * workers, *[READ_AHEAD * workers + READERS] * READERS]


def test_closing_waits_for_the_threads(folder: Path) -> None:
    """After `close` no thread of the loader is left, and photos not yet begun are not loaded."""
    hashes: list[bytes] = []
    loading = load_photos(items_of(folder), 2, known=lambda sha256: hashes.append(sha256) is not None)
    next(loading)
    loading.close()
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("photos")]
    assert len(hashes) <= 2 * READ_AHEAD


def test_the_default_is_a_thread_per_processor(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Without a number of workers there is one per processor that the process may use."""
    monkeypatch.setattr(loader, "available_processors", lambda: 3)
    taken: list[Item] = []

    def noting() -> Iterator[Item]:
        for item in items_of(folder) * 6:
            taken.append(item)
            yield item

    loading = load_photos(noting())
    next(loading)
    loading.close()
    assert 3 * READ_AHEAD == len(taken)


def test_photos_keep_what_the_networks_return_in_place_of_their_colours(folder: Path) -> None:
    """The networks run on each product that is found, in the threads; a blank photo has none, and others keep their colours."""
    outputs = NetworkOutputs(np.ones((1, 3), np.float32), np.ones((1, 2), np.float32))
    items = items_of(folder, "0001.jpg", "blank.jpg", "0002.jpg")
    threads: set[str] = set()

    def compute(image: ProductImage) -> NetworkOutputs:
        assert image.colour is not None
        threads.add(threading.current_thread().name.split("_")[0])
        return outputs

    computed, plain = list(load_photos(items, 2, compute=compute)), list(load_photos(items, 2))
    assert {"photos"} == threads
    assert [outputs, None, outputs] == [photo.outputs for photo in computed]
    assert [None] * 3 == [photo.outputs for photo in plain]
    for one, other in zip(computed, plain, strict=True):
        assert isinstance(one.outcome, ProductImage)
        assert isinstance(other.outcome, ProductImage)
        assert one.outcome.colour is None
        assert other.outcome.found == (other.outcome.colour is not None)
        assert np.array_equal(one.outcome.pixels, other.outcome.pixels)


def test_opencv_has_its_threads_back_afterwards(folder: Path) -> None:
    """While photos are loaded, OpenCV starts no threads beside those of the loader; afterwards it may again."""
    before = cv2.getNumThreads()
    loading = load_photos(items_of(folder), 2)
    next(loading)
    assert 1 == cv2.getNumThreads()
    loading.close()
    assert before == cv2.getNumThreads()


def test_the_networks_input_is_what_was_found() -> None:
    """Failed, known and empty photos give the network no image; the others keep their order."""
    outcomes = [image(1), Failed("missing", "a"), image(0, found=False), None, image(2)]
    images = product_images(LoadedPhoto(Item("a", None), outcome) for outcome in outcomes)
    assert [1, 2] == [int(one.pixels[0, 0]) for one in images]


def test_results_go_to_their_photos() -> None:
    """Each found product gets the next row of probabilities; other photos get none, and take none from the next one."""
    failed = Failed("missing", "a")
    content = Content(b"hash", 5, None)
    outcomes = [image(0, found=False), image(1), failed, None, image(2, truncated=True)]
    batch = [LoadedPhoto(Item(str(number), None), outcome, content) for number, outcome in enumerate(outcomes)]
    rows = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    scored = list(attach_results(batch, rows))
    assert ["0", "1", "2", "3", "4"] == [photo.item.path for photo in scored]
    assert all(photo.content is content for photo in scored)
    empty, first, missing, known, second = (photo.result for photo in scored)
    assert known is None
    assert empty is not None
    assert (None, None, False) == (empty.failed, empty.probabilities, empty.truncated)
    assert missing is not None
    assert (failed, None) == (missing.failed, missing.probabilities)
    assert first is not None
    assert second is not None
    assert np.array_equal(rows[0], first.probabilities)
    assert np.array_equal(rows[1], second.probabilities)
    assert (False, True) == (first.truncated, second.truncated)


def test_bytes_are_loaded_as_their_file(folder: Path) -> None:
    """The same product image, failure and content, but for the file's time; the colours stay, and the name opens nothing."""
    for name in ("0000.jpg", "blank.jpg", "text.jpg"):
        (of_file,) = load_photos(items_of(folder, name))
        alone = load_bytes((folder / name).read_bytes(), name)
        assert alone.content is not None
        assert of_file.content is not None
        assert alone.content.sha256 == of_file.content.sha256
        assert alone.item == Item(name, None)
        if isinstance(alone.outcome, ProductImage) and isinstance(of_file.outcome, ProductImage):
            assert np.array_equal(alone.outcome.pixels, of_file.outcome.pixels)
            assert (alone.outcome.colour is not None) == alone.outcome.found
        else:
            assert isinstance(alone.outcome, Failed)
            assert isinstance(of_file.outcome, Failed)
            assert (alone.outcome.reason, alone.outcome.detail.startswith(name)) == (of_file.outcome.reason, True)
