"""Objects that are larger than a part: sent and received in parts, as a whole or not at all."""

from pathlib import Path

import pytest
from bucket_helpers import Bucket, Fault

from tagger.errors import Interrupted, StorageError
from tagger.storage import settings
from tagger.storage.objects import download, object_state, upload
from tagger.storage.traffic import Traffic

CONTENT = bytes(range(256)) * 50_000
"""More than two parts of the 5 MiB that S3 wants at least."""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Part objects from 5 MiB on, and repeat at once."""
    monkeypatch.setattr(settings, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(settings, "FIRST_WAIT", 0.0)


def test_a_large_object_is_the_same_there_and_back(bucket: Bucket, tmp_path: Path) -> None:
    """With its bytes counted once, and its state the one that the bucket tells."""
    (tmp_path / "a").write_bytes(CONTENT)
    traffic = Traffic()
    state = upload(tmp_path / "a", bucket.address("a"), traffic)
    assert bucket.read("a") == CONTENT
    assert download(bucket.address("a"), tmp_path / "b", traffic) == state == object_state(bucket.address("a"), traffic)
    assert (tmp_path / "b").read_bytes() == CONTENT
    assert (traffic.sent, traffic.received) == (len(CONTENT), len(CONTENT))
    assert traffic.requests["get"] == 3


def test_an_upload_in_parts_keeps_its_condition(bucket: Bucket, tmp_path: Path) -> None:
    """Another object is not replaced; the very same content is taken for an upload whose answer was lost."""
    (tmp_path / "a").write_bytes(CONTENT)
    bucket.write("a", b"of another program")
    with pytest.raises(FileExistsError, match="was written by another program"):
        upload(tmp_path / "a", bucket.address("a"), Traffic(), None)
    assert bucket.read("a") == b"of another program"
    bucket.remove("a")
    state = upload(tmp_path / "a", bucket.address("a"), Traffic(), None)
    assert upload(tmp_path / "a", bucket.address("a"), Traffic(), None) == state


def test_a_part_that_cannot_be_had_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    """In one sentence, after all attempts."""
    bucket.write("a", CONTENT)
    bucket.faults.append(Fault("GET", "503 Slow Down", "SlowDown", "/a"))
    traffic = Traffic()
    with pytest.raises(StorageError, match=r"s3://shop/a cannot be read: its server answers SlowDown, again and again"):
        download(bucket.address("a"), tmp_path / "b", traffic)
    assert (traffic.requests["get"], traffic.retries) == (settings.ATTEMPTS, settings.ATTEMPTS - 1)


def test_a_signal_is_no_fault_of_the_bucket(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops the command, whatever is on its way, and is neither repeated nor blamed on the bucket."""

    def stopped(*_: object) -> None:
        raise Interrupted(15)

    monkeypatch.setattr("tagger.storage.s3.run_request", stopped)
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(Interrupted):
        upload(tmp_path / "a", bucket.address("a"), Traffic())
