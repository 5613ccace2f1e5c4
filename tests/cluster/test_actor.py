"""An actor scores rows of a manifest as a run on one machine scores items, wherever its bundle was unpacked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import draw_photo

from tagger import __version__
from tagger.cluster.actor import Actor, ActorSettings, bundle_files
from tagger.cluster.manifest import write_manifest
from tagger.cluster.results import in_order
from tagger.errors import WorkerError
from tagger.inference.tagger import Tagger
from tagger.models import card
from tagger.photos.settings import DEFAULT_DECODING
from tagger.records import Failed, Item


@pytest.fixture(autouse=True)
def _in_the_same_folder() -> Iterator[None]:
    before = Path.cwd()
    yield
    os.chdir(before)


def settings(folder: Path, version: str = __version__) -> ActorSettings:
    """Return settings of a run that was started in a folder."""
    return ActorSettings(version, str(folder), DEFAULT_DECODING, "cpu")


def rows_of(items: list[Item], folder: Path) -> pa.Table:
    """Return the rows of items in a manifest."""
    (file,) = write_manifest(items, folder)
    return pq.read_table(file)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Photos, a damaged one, a missing one and a row without one; their paths start from the folder of the test."""
    for number in range(4):
        draw_photo(number).save(tmp_path / f"{number}.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "0.jpg").read_bytes()[:2000])
    names = ["0.jpg", "1.jpg", "cut.jpg", "gone.jpg", "2.jpg", "3.jpg"]
    return [Item(name, name) for name in names] + [Item("", None, problem=Failed("bad_row", "row 5 has no path"))]


def test_results_are_those_of_a_tagger(items: list[Item], fused_bundle: Path, tmp_path: Path) -> None:
    actor = Actor(settings(tmp_path), bundle_files(card.read(fused_bundle)))
    found = [*in_order([actor(rows_of(items, tmp_path))], len(items))]
    expected = [*Tagger(fused_bundle, device="cpu").score(items)]
    assert [one.content for one in found] == [one.content for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.result is not None
        assert other.result is not None
        assert (one.result.failed, one.result.embedding) == (other.result.failed, other.result.embedding)
        packed = [None if each.probabilities is None else each.probabilities.tobytes() for each in (one.result, other.result)]
        assert packed[0] == packed[1]


def test_another_version_of_fmtag_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"has fmtag .*started by 0.0.1; install the same version"):
        Actor(settings(tmp_path, "0.0.1"), bundle_files(card.read(small_bundle)))


def test_relative_paths_need_the_folder_of_the_run(items: list[Item], small_bundle: Path, tmp_path: Path) -> None:
    actor = Actor(settings(tmp_path / "elsewhere"), bundle_files(card.read(small_bundle)))
    with pytest.raises(WorkerError, match=r"has no folder .*elsewhere"):
        actor(rows_of(items, tmp_path))
