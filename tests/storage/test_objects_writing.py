"""What is written to a bucket: the whole object or nothing, over the one that is expected."""

from pathlib import Path

import pytest

from benchmarks.speed.s3_server import Server
from tagger.errors import StorageError
from tagger.storage import settings
from tagger.storage.objects import download, object_state, upload
from tagger.storage.traffic import Traffic

OLD, NEW = b"old" * 10, b"new content" * 1_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to be written."""
    (tmp_path / "new").write_bytes(NEW)
    return tmp_path / "new"


@pytest.fixture(params=[64_000_000, 4_000], ids=["whole", "parts"])
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write by one request, or in parts."""
    monkeypatch.setattr(settings, "PART_BYTES", request.param)


@pytest.mark.usefixtures("_parts")
@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "ExpiredToken"])
def test_an_upload_that_fails_leaves_the_old_object(server: Server, file: Path, code: str) -> None:
    """From its second request on too, as in the middle of an upload in parts."""
    server.put("t.csv", OLD)
    server.fault("error", method="PUT", code=code, times=None, every=2 if file.stat().st_size > settings.PART_BYTES else 1)
    if code == "SlowDown":
        server.clear_faults()
        server.fault("error", method="PUT", code=code, times=None)
    with pytest.raises(StorageError, match=r"s3://photos/t.csv (cannot|may not) be written"):
        upload(file, f"{server.url}/t.csv", Traffic())
    server.clear_faults()
    assert server.get("t.csv") == OLD
    assert server.listed() == ["t.csv"]


@pytest.mark.usefixtures("_parts")
@pytest.mark.parametrize("kind", ["error", "reset", "reset_body"])
def test_an_upload_that_is_repeated_is_whole(server: Server, file: Path, kind: str) -> None:
    """Whatever came of the first attempts."""
    server.fault(kind, method="PUT", times=2, code="InternalError")
    traffic = Traffic()
    state = upload(file, f"{server.url}/t.csv", traffic)
    assert server.get("t.csv") == NEW
    assert state == object_state(f"{server.url}/t.csv", Traffic())
    assert traffic.sent == len(NEW)
    assert traffic.retries >= 2 or kind != "error"  # an answer without a body comes whole; aiohttp repeats some itself


@pytest.mark.usefixtures("_parts")
def test_only_the_expected_object_is_replaced(server: Server, file: Path) -> None:
    """Neither one that another program wrote meanwhile, nor any where there was to be none."""
    address = f"{server.url}/t.csv"
    server.put("t.csv", OLD)
    before = object_state(address, Traffic())
    with pytest.raises(FileExistsError, match=r"s3://photos/t.csv was written by another program meanwhile"):
        upload(file, address, Traffic(), expected=None)
    server.put("t.csv", OLD + b"!")
    with pytest.raises(FileExistsError):
        upload(file, address, Traffic(), expected=before)
    assert server.get("t.csv") == OLD + b"!"
    after = upload(file, address, Traffic(), expected=object_state(address, Traffic()))
    assert server.get("t.csv") == NEW
    assert upload(file, address, Traffic(), expected=after).size == len(NEW)


@pytest.mark.usefixtures("_parts")
def test_an_answer_that_is_lost_after_the_write(server: Server, file: Path) -> None:
    """The repeated request is refused, as the object is another one by now: its own, which is told by its content."""
    method = "PUT" if len(NEW) < settings.PART_BYTES else "POST"
    server.fault("reset_body", method=method, times=1, every=1 if method == "PUT" else 2)
    state = upload(file, f"{server.url}/t.csv", Traffic(), expected=None)
    assert server.get("t.csv") == NEW
    assert state == object_state(f"{server.url}/t.csv", Traffic())


@pytest.mark.usefixtures("_parts")
def test_a_download_is_the_object(server: Server, tmp_path: Path) -> None:
    """With its state; after faults too."""
    server.put("t.csv", NEW)
    server.fault("short", method="GET", times=1)
    assert download(f"{server.url}/t.csv", tmp_path / "t", Traffic()) == object_state(f"{server.url}/t.csv", Traffic())
    assert (tmp_path / "t").read_bytes() == NEW


def test_a_table_that_is_not_there(server: Server, tmp_path: Path) -> None:
    """One sentence that says so."""
    with pytest.raises(StorageError, match=r"s3://photos/none.csv cannot be read: no such object; check the address"):
        download(f"{server.url}/none.csv", tmp_path / "t", Traffic())
