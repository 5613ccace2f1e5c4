"""Photos that are divided among processes come as those of threads do; a process that ends early ends the run, not its rows."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import draw_photo
from run_helpers import age

from tagger.errors import WorkerError
from tagger.models import card
from tagger.photos.loader import LoadedPhoto, load_photos
from tagger.photos.settings import DEFAULT_DECODING
from tagger.records import Failed, Item, ProductImage
from tagger.run import worker_processes
from tagger.run.networks import Networks
from tagger.run.worker_processes import WorkerSettings, load_in_processes


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Write photos, a text and a copy; return items of these, of a missing file and of a bad row, with cells."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(40):
        draw_photo(number % 20, (60, 80)).save(folder / f"{number:02}.png")
    (folder / "07.png").write_text("no image")
    age(*folder.iterdir())  # of a file that was written just now, the time is known to be reliable only a moment later
    names = [*sorted(file.name for file in folder.iterdir()), "missing.png"]
    rows = [Item(name, str(folder / name), {"sku": name}) for name in names]
    return [*rows[:5], Item("", None, problem=Failed("bad_row", "row 5 has no path")), *rows[5:]]


def settings(bundle: Path) -> WorkerSettings:
    """Return settings for a bundle, whose networks run in the processes."""
    return WorkerSettings(card.read(str(bundle)), True, DEFAULT_DECODING, False)


def networks_of(bundle: Path) -> Networks:
    """Return the networks of a bundle."""
    return Networks(card.read(str(bundle)), "cpu")


def same(one: LoadedPhoto, other: LoadedPhoto) -> bool:
    """Return whether two photos are equal to the bit."""
    if one.item is not other.item or one.content != other.content or type(one.outcome) is not type(other.outcome):
        return False
    if not isinstance(one.outcome, ProductImage) or not isinstance(other.outcome, ProductImage):
        return one.outcome == other.outcome
    if one.outputs is None or other.outputs is None:
        return one.outputs is other.outputs
    return (
        np.array_equal(one.outcome.pixels, other.outcome.pixels)
        and np.array_equal(one.outputs.small, other.outputs.small)
        and np.array_equal(one.outputs.maps, other.outputs.maps)
    )


def test_photos_are_those_of_threads(items: list[Item], small_bundle: Path) -> None:
    """Order, items, hashes, failures and what the networks return are the same, to the bit, and known bytes are left out."""
    networks = networks_of(small_bundle)
    stored = next(load_photos(items[2:3])).content
    assert stored is not None

    def known(sha256: bytes) -> bool:
        return sha256 == stored.sha256

    expected = list(load_photos(items, 1, known=known, compute=networks.tagger.compute, colour=False))
    found = list(load_in_processes(items, 3, settings(small_bundle), known, networks))
    assert len(items) == len(found)
    assert all(map(same, expected, found))
    assert found[2].outcome is None


def test_stopping_early_ends_the_processes(items: list[Item], small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are taken a bounded number ahead, and no process is left after `close`."""
    started: list[int] = []
    own = worker_processes._Worker

    def noting(*arguments: object) -> object:
        worker = own(*arguments)  # type: ignore[arg-type]
        started.append(worker._process.pid)
        return worker

    monkeypatch.setattr(worker_processes, "_Worker", noting)
    taken: list[Item] = []

    def many() -> Iterator[Item]:
        for item in items * 10:
            taken.append(item)
            yield item

    photos = load_in_processes(many(), 2, settings(small_bundle), lambda sha256: False, networks_of(small_bundle))
    next(photos)
    photos.close()
    assert len(taken) <= 2 * worker_processes.OUTSTANDING
    for process in started:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_process_that_is_killed_fails_the_run(items: list[Item], small_bundle: Path) -> None:
    """Its end is told in one sentence that names the signal and what to do."""

    def fatal(sha256: bytes) -> bool:
        for child in worker_processes.multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
        return False

    with pytest.raises(WorkerError, match=r"was ended by signal 9.*--workers"):
        list(load_in_processes(items, 2, settings(small_bundle), fatal, networks_of(small_bundle)))


def test_a_process_that_ends_before_it_has_items_fails_the_run(
    items: list[Item], small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items that are sent to a process that has ended already fail, and are not waited for."""
    own = worker_processes._Worker.listen

    def listen(worker: worker_processes._Worker) -> None:
        assert worker._process.pid is not None
        os.kill(worker._process.pid, signal.SIGKILL)
        own(worker)
        worker._thread.join(30)

    monkeypatch.setattr(worker_processes._Worker, "listen", listen)
    with pytest.raises(WorkerError, match="was ended by signal 9"):
        list(load_in_processes(items, 2, settings(small_bundle), lambda sha256: False, networks_of(small_bundle)))
