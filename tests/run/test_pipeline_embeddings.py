"""A bundle with another head over the same backbone tags a known catalog from its embeddings, without opening a photo."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from embedding_helpers import PLAIN, set_eyes, use_embeddings, with_other_head
from helpers import ROOT, draw_photo, rows_of, save_bundle
from PIL import Image
from run_helpers import LAST_YEAR, Command, Night, age, query

from tagger.models.config import NetworkConfig
from tagger.photos.settings import DecodeSettings
from tagger.records import Tag
from tagger.run import pipeline

Rows = Callable[..., bytes]


@pytest.fixture(autouse=True)
def with_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every bundle a backbone."""
    use_embeddings(monkeypatch)


@pytest.fixture
def second(small_bundle: Path, tmp_path: Path) -> str:
    """A bundle with another head over the same backbone as the small one."""
    return str(with_other_head(small_bundle, tmp_path / "second"))


@pytest.fixture
def tags(tmp_path: Path) -> Callable[[], bytes]:
    """Read the output of the fixture `night`."""
    return lambda: (tmp_path / "tags.csv").read_bytes()


def spoil(*photos: Path) -> None:
    """Replace the bytes of photos by others, keeping their size and time, so that a run that opened them would fail them."""
    for photo in photos:
        times = photo.stat()
        photo.write_bytes(bytes(times.st_size))
        os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_another_head_opens_no_photo(
    night: Night, shop: Path, second: str, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """Its rows are those of a run without a ledger, though no known photo can be read; the next run has nothing to do."""
    first = night()
    expected = fresh_rows(model=second)
    spoil(*shop.glob("000?.jpg"), shop / "more" / "copy.jpg")
    summary = night(model=second)
    assert (first.files_read, first.scored, first.retagged) == (10, 8, 0)
    assert (summary.files_read, summary.scored, summary.retagged) == (1, 0, 9)  # the damaged file is tried again
    assert tags() == expected
    after = night(model=second)
    assert (after.files_read, after.scored, after.retagged, after.changes) == (1, 0, 0, {})
    assert tags() == expected


def test_the_heads_differ(fresh_rows: Rows, second: str) -> None:
    """The second bundle gives other tags than the first, so that equal rows mean something."""
    assert fresh_rows().splitlines()[1].split(b",")[:3] != fresh_rows(model=second).splitlines()[1].split(b",")[:3]


def test_the_command_counts_what_it_re_tagged(command: Command, shop: Path, second: str, tmp_path: Path) -> None:
    """The last line and the report give the number of photos; every path was read, re-tagged or known."""
    options = ("run", shop, "--out", tmp_path / "t.csv", "--report", tmp_path / "run.json")
    _, _, log = command(*options)
    assert "re-tagged" not in log
    (shop / "0007.jpg").unlink()
    draw_photo(70).save(shop / "new.jpg")
    code, _, log = command(*options, "--model", second)
    assert code == 3
    assert ", 8 re-tagged from embeddings; " in log
    report = json.loads((tmp_path / "run.json").read_text())
    counts = report["counts"]
    assert (counts["looked_at"], counts["scored"], counts["retagged"]) == (2, 1, 8)
    assert counts["photos"] == counts["looked_at"] + counts["retagged"] == 10
    assert "retag" in report["seconds_by_stage"]


def test_a_head_with_other_labels_is_applied(
    night: Night, small_bundle: Path, tmp_path: Path, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """Labels may be others and fewer, as those of an adapted bundle."""
    card = json.loads((small_bundle / "card.json").read_text())
    three = {"labels": ["belt", "hat", "ring"], "groups": dict.fromkeys(("belt", "hat", "ring"), "accessory")}
    bundle = with_other_head(small_bundle, tmp_path / "shop-bundle", taught_groups=card["groups"], **three)
    night()
    assert night(model=str(bundle)).retagged == 9
    assert tags() == fresh_rows(model=str(bundle))
    assert {row["tag"] for row in rows_of(tmp_path / "tags.csv")} <= {"belt", "hat", "ring", ""}
    assert night().retagged == 9
    assert tags() == fresh_rows()


def test_another_backbone_reads_every_photo(night: Night, tmp_path: Path, fresh_rows: Rows, tags: Callable[[], bytes]) -> None:
    """Embeddings of another network do not count."""
    night()
    other = save_bundle(tmp_path / "other", NetworkConfig(widths=(8,), blocks=1))
    summary = night(model=str(other))
    assert (summary.files_read, summary.scored, summary.retagged) == (10, 8, 0)
    assert tags() == fresh_rows(model=str(other))


def test_embeddings_outlive_a_bundle_without_any(
    night: Night, small_bundle: Path, second: str, tmp_path: Path, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """A night with a bundle that has no backbone reads every photo, and the night after it none, with the first bundle too."""
    plain = str(with_other_head(small_bundle, tmp_path / PLAIN))
    night()
    without = night(model=plain)
    assert (without.scored, without.retagged) == (8, 0)
    assert tags() == fresh_rows(model=plain)
    assert night().retagged == 9
    assert tags() == fresh_rows()
    assert night(model=plain).scored == 8
    assert night(model=second).retagged == 9
    assert tags() == fresh_rows(model=second)


def test_a_bundle_whose_backbone_is_told_otherwise_is_another_one(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a newer fmtag computes other embeddings with the same bundle, neither results nor embeddings count."""
    for eyes in ("new eyes", "newer eyes", "new eyes"):
        night()
        set_eyes(monkeypatch, eyes)
        summary = night()
        assert (summary.scored, summary.retagged) == (8, 0)
        assert night().scored == 0


def test_another_version_of_the_cut_reads_every_photo(night: Night, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedding belongs to the cut that it was computed from."""
    night()
    monkeypatch.setattr(pipeline, "VERSION", 10_000)
    assert night(model=second).scored == 8


def test_a_ledger_without_embeddings_reads_every_photo(
    night: Night, second: str, tmp_path: Path, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """Results that an earlier fmtag stored have no embedding, and are computed from the photos."""
    night()
    with closing(sqlite3.connect(tmp_path / "tags.ledger")) as sql, sql:
        sql.execute("DELETE FROM embeddings")
        sql.execute("UPDATE models SET eyes = ''")
    summary = night(model=second)
    assert (summary.scored, summary.retagged) == (8, 0)
    assert tags() == fresh_rows(model=second)


def test_fresh_reads_every_photo(night: Night, second: str) -> None:
    """--fresh counts no embedding of an earlier run, and the next run counts those that it computed."""
    night()
    summary = night(model=second, fresh=True)
    assert (summary.files_read, summary.scored, summary.retagged) == (10, 8, 0)
    assert night().retagged == 9


def test_verify_hashes_every_photo_and_scores_none(
    night: Night, second: str, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """With --verify the bytes of every file are read; those that are as before are tagged from their embeddings."""
    night()
    summary = night(model=second, verify=True)
    assert (summary.files_read, summary.scored) == (10, 0)
    assert tags() == fresh_rows(model=second)


def test_touched_and_moved_photos_are_hashed_only(
    night: Night, shop: Path, second: str, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """A folder that was renamed in the night of a new head is not scored by the network, nor is a touched file."""
    night()
    shutil.copytree(shop, shop / "moved", ignore=shutil.ignore_patterns("more"))
    for photo in (*shop.glob("000?.jpg"), shop / "broken.jpg"):
        photo.unlink()
    os.utime(shop / "more" / "copy.jpg", (LAST_YEAR + 9, LAST_YEAR + 9))
    summary = night(model=second)
    assert (summary.files_read, summary.scored, summary.retagged) == (10, 0, 0)
    assert tags() == fresh_rows(model=second)


def test_changed_bytes_are_scored_by_the_network(
    night: Night, shop: Path, second: str, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """A photo with new bytes under a known path does not get the tag of its old bytes."""
    night()
    draw_photo(51).save(shop / "0002.jpg")
    summary = night(model=second)
    assert (summary.scored, summary.retagged) == (1, 8)
    assert tags() == fresh_rows(model=second)


def test_a_photo_without_a_product_needs_no_embedding(
    night: Night, shop: Path, second: str, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """What finds a product is a part of the backbone's side, so a photo without one stays without a tag, unread."""
    for photo in (*shop.glob("000?.jpg"), shop / "broken.jpg", shop / "more" / "copy.jpg"):
        photo.unlink()
    Image.new("RGB", (200, 200), "white").save(shop / "blank.png")
    age(shop / "blank.png")
    night()
    expected = fresh_rows(model=second)
    spoil(shop / "blank.png")
    summary = night(model=second)
    assert (summary.files_read, summary.retagged, summary.flagged) == (0, 1, {"not_recognised": 1})
    assert tags() == expected


def test_truncated_photos_follow_the_option(
    night: Night, second: str, small_bundle: Path, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """The embedding of a truncated photo counts with --allow-truncated only; failures are never made into tags."""
    night(decoding=DecodeSettings(allow_truncated=True))
    assert night(model=second, decoding=DecodeSettings(allow_truncated=True)).retagged == 10
    assert tags() == fresh_rows(model=second, decoding=DecodeSettings(allow_truncated=True))
    without = night(model=str(small_bundle))
    assert (without.retagged, without.failed) == (9, {"truncated": 1})
    assert tags() == fresh_rows()
    again = night(model=second, decoding=DecodeSettings(allow_truncated=True))
    assert (again.retagged, again.scored) == (9, 1)
    assert tags() == fresh_rows(model=second, decoding=DecodeSettings(allow_truncated=True))


@pytest.mark.parametrize("damage", ["x'00'", "'text'", "zeroblob(26)"])
def test_an_embedding_of_another_length_is_damage(
    night: Night, second: str, tmp_path: Path, damage: str, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """The ledger is set aside with one sentence, and the rows are those of a run without it."""
    night()
    with closing(sqlite3.connect(tmp_path / "tags.ledger")) as sql, sql:
        sql.execute(f"UPDATE embeddings SET embedding = {damage} WHERE content = 3")
    warnings: list[str] = []
    summary = night(model=second, callbacks=pipeline.RunCallbacks(warned=warnings.append))
    assert len(warnings) == 1
    assert "embeddings of another length than the bundle's" in warnings[0]
    assert (summary.scored, summary.retagged) == (8, 0)
    assert len(list(tmp_path.glob("tags.ledger.damaged-*"))) == 1
    assert tags() == fresh_rows(model=second)


KILLED_RUN = """
import os, signal, sys
import pytest
from embedding_helpers import EmbeddingTagger, use_embeddings
from tagger.run import pipeline
from tagger.run.settings import RunSettings

class KilledTagger(EmbeddingTagger):
    batches = 0

    def probabilities_of(self, embeddings):
        self.batches += 1
        if self.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().probabilities_of(embeddings)

pipeline.EMBEDDINGS_PER_BATCH = 2
use_embeddings(pytest.MonkeyPatch(), KilledTagger)
pipeline.run(RunSettings(sys.argv[1], sys.argv[2], model=sys.argv[3]))
"""
"""A run that is killed at its third batch of embeddings."""


@pytest.mark.parametrize("then", ["second", "first"])
def test_a_killed_run_is_continued(
    night: Night,
    shop: Path,
    small_bundle: Path,
    second: str,
    tmp_path: Path,
    fresh_rows: Rows,
    tags: Callable[[], bytes],
    then: str,
) -> None:
    """After kill -9 the output is as before; the next run tags the others by its own bundle, and opens no photo either."""
    night()
    before = tags()
    model = second if then == "second" else str(small_bundle)
    expected = fresh_rows(model=model)
    spoil(*shop.glob("000?.jpg"), shop / "more" / "copy.jpg")
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    arguments = [sys.executable, "-c", KILLED_RUN, shop, tmp_path / "tags.csv", second]
    killed = subprocess.run(arguments, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert tags() == before
    by_model = query(tmp_path / "tags.ledger", "SELECT model, count(*) FROM contents WHERE model > 0 GROUP BY 1")
    assert by_model == [(1, 4), (2, 4)]
    summary = night(model=model)
    assert (summary.files_read, summary.scored) == (1, 0)
    assert tags() == expected


def test_explain_tells_where_the_probabilities_come_from(command: Command, shop: Path, second: str, tmp_path: Path) -> None:
    """The run that computed them and the run that read the photo are both named; where they are one, the latter is not."""
    command("run", shop, "--out", tmp_path / "t.csv")
    _, text, _ = command("explain", "0001.jpg", "--ledger", tmp_path / "t.ledger")
    assert "from the embedding" not in text
    command("run", shop, "--out", tmp_path / "t.csv", "--model", second)
    _, text, _ = command("explain", "0001.jpg", "--ledger", tmp_path / "t.ledger")
    (line,) = (line for line in text.splitlines() if "scored by" in line)
    assert "scored by second@" in line
    assert " in run 2 (" in line
    assert " from the embedding of run 1 (" in line
    _, values, _ = command("explain", "0001.jpg", "--ledger", tmp_path / "t.ledger", "--json")
    assert json.loads(values)["embedded"]["run"] == 1


def test_explain_does_not_mix_two_bundles(night: Night, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a killed run and the next one the old row is not shown beside the new bundle's probabilities."""
    from tagger.run import explain

    night()

    def fail(*_: object) -> list[Tag]:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(pipeline.RunPlan, "tags_of", fail)
        with pytest.raises(KeyboardInterrupt):
            night(model=second)
    known = explain.explain("0001.jpg", tmp_path / "tags.ledger")
    assert known["row"] is None
    assert known["why"] == "another bundle has scored it since its row was made; the next run makes its row"
    assert known["model"].startswith("second@")
    night(model=second)
    assert explain.explain("0001.jpg", tmp_path / "tags.ledger")["row"] is not None


def test_batches_of_any_size_give_the_same_rows(
    night: Night, second: str, monkeypatch: pytest.MonkeyPatch, fresh_rows: Rows, tags: Callable[[], bytes]
) -> None:
    """No photo is left out where one batch of embeddings ends and the next begins; signals are deferred in each."""
    deferred: list[int] = []

    def defer() -> object:
        deferred.append(1)
        return nullcontext()

    callbacks = replace(pipeline.RunCallbacks(), defer=defer)  # type: ignore[arg-type]
    expected = fresh_rows(model=second)
    for size, batches in ((1, 8), (3, 3), (4, 2), (8, 1), (9, 1)):
        monkeypatch.setattr(pipeline, "EMBEDDINGS_PER_BATCH", size)
        night(fresh=True, give_up=100)
        deferred.clear()
        assert night(model=second, callbacks=callbacks, give_up=100).retagged == 9
        assert len(deferred) == batches + 1  # and the batch of the damaged file
        assert tags() == expected
