"""`Tagger` with a backbone: photos, arrays and images alike, and tags from embeddings."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import draw_photo, write_photos

from tagger.errors import BundleError
from tagger.inference.tagger import Tagger
from tagger.photos.loader import ScoredPhoto
from tagger.records import Item, Result

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 9


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Good photos, and among them one that cannot be read and one without a product."""
    folder = write_photos(tmp_path_factory.mktemp("photos") / "shop", COUNT)
    (folder / "0003.jpg").write_bytes(b"no image")
    draw_photo(0).resize((1, 1)).resize((200, 200)).save(folder / "0005.jpg")
    return [Item(file.name, file) for file in sorted(folder.iterdir())]


def results(fused_bundle: Path, items: list[Item], **options: int) -> list[Result]:
    """Return the results of a tagger with these options."""
    return [scored.result for scored in Tagger(fused_bundle, device="cpu", **options).score(items) if scored.result is not None]


def test_results_hold_the_embeddings_of_their_photos(fused_bundle: Path, items: list[Item]) -> None:
    """Of `embedding_size` bytes; photos that failed or show no product have none."""
    tagger = Tagger(fused_bundle, device="cpu")
    found = results(fused_bundle, items)
    assert COUNT == len(found)
    for number, result in enumerate(found):
        if number in (3, 5):
            assert (None, None) == (result.embedding, result.probabilities)
        else:
            assert isinstance(result.embedding, bytes)
            assert tagger.embedding_size == len(result.embedding) <= 300
            assert result.probabilities is not None
            assert np.array_equal(result.probabilities, tagger.probabilities_of([result.embedding])[0])


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 4, "workers": 1}, {"batch_size": 100, "workers": 3}])
def test_batches_and_workers_change_nothing(fused_bundle: Path, items: list[Item], options: dict[str, int]) -> None:
    """Neither an embedding nor a bit of a probability."""
    for one, other in zip(results(fused_bundle, items), results(fused_bundle, items, **options), strict=True):
        assert one.embedding == other.embedding
        assert (one.probabilities is None) == (other.probabilities is None)
        if one.probabilities is not None and other.probabilities is not None:
            assert one.probabilities.tobytes() == other.probabilities.tobytes()


def test_files_images_and_arrays_get_the_same_tag(fused_bundle: Path, tmp_path: Path) -> None:
    """Also through the colour picture of each."""
    tagger = Tagger(fused_bundle, device="cpu")
    image = draw_photo(4)
    image.save(tmp_path / "photo.png")
    tags = [replace(tag, path="") for tag in tagger.tag([tmp_path / "photo.png", image, np.asarray(image)])]
    assert tags[0] == tags[1] == tags[2]
    assert tags[0].label


def test_a_tag_of_an_embedding_is_the_tag_of_its_photo(fused_bundle: Path, items: list[Item]) -> None:
    """Decided from the probabilities of the embedding alone."""
    tagger = Tagger(fused_bundle, device="cpu")
    for scored in tagger.score(items):
        if scored.result is not None and scored.result.embedding is not None:
            (row,) = tagger.probabilities_of([scored.result.embedding])
            again = ScoredPhoto(scored.item, None, result=Result(None, row))
            assert tagger.decide(scored) == tagger.decide(again)


def test_no_embeddings_give_no_rows(fused_bundle: Path, photo_bundle: Path) -> None:
    """Of the width of the labels; a bundle without a backbone refuses any."""
    assert (0, 10) == Tagger(fused_bundle, device="cpu").probabilities_of([]).shape
    tagger = Tagger(photo_bundle, device="cpu")
    assert 0 == tagger.embedding_size
    for embeddings in ([], [b"abc"]):
        with pytest.raises(BundleError, match="has no backbone"):
            tagger.probabilities_of(embeddings)
