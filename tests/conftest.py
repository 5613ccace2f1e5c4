"""Fixtures of all tests: bundles of small networks, photos, and the command in its own process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from bucket_helpers import Bucket, serve_bucket
from fusion_helpers import save_fused
from helpers import Fmtag, save_bundle, write_photos

from tagger.data.labels import LABELS
from tagger.models.config import NetworkConfig

LONGEST_BYTES_ID = 32
"""Bytes of a parameter that the name of its test repeats."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test whose parameter is the content of a file by its place: the content may hold the second it was made in.

    The processes of pytest-xdist must come to the same names, and they collect the tests in different seconds.
    """
    return argname if isinstance(val, bytes) and len(val) > LONGEST_BYTES_ID else None


@pytest.fixture(scope="session", autouse=True)
def _share_of_the_processors() -> None:
    """Compute in one thread per worker of pytest-xdist, here and in the processes that tests start: more would only wait."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny, untrained but seeded network: quick, and its answers differ from photo to photo."""
    return save_bundle(tmp_path_factory.mktemp("bundles") / "small", NetworkConfig(widths=(8, 16), blocks=1))


@pytest.fixture(scope="session")
def photo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a second head, for photos, that also knows what is none of the labels, and a table of precisions."""
    return save_bundle(
        tmp_path_factory.mktemp("bundles") / "shops",
        NetworkConfig(widths=(8, 16), blocks=1, photo_classes=len(LABELS) + 1),
        photo_temperature=2.0,
        precisions={"0.8": 0.31, "0.95": 0.62},
    )


@pytest.fixture(scope="session")
def fused_bundle(photo_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of `photo_bundle` with a tiny backbone beside it."""
    return save_fused(tmp_path_factory.mktemp("bundles") / "fused", photo_bundle)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute in one thread: more only wait for each other on networks so small, on a busy machine a hundred times longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def photos(tmp_path: Path) -> Callable[[int], Path]:
    """Write that many good photos into a folder and return it."""

    def write(count: int) -> Path:
        return write_photos(tmp_path / "photos", count)

    return write


@pytest.fixture
def fmtag(small_bundle: Path) -> Fmtag:
    """Run the real command in its own process, with the small bundle unless --model says otherwise."""

    def call(*arguments: str | Path, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {"FMTAG_RUN_MODEL": str(small_bundle), "FMTAG_EVALUATE_MODEL": str(small_bundle)} | environment
        done = subprocess.run(
            [sys.executable, "-m", "tagger", *map(str, arguments)], input=stdin, capture_output=True, env=variables, timeout=300
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Bucket]:
    """A server of S3's requests."""
    with serve_bucket() as served:
        yield served


@pytest.fixture
def bucket(s3_server: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which fmtag reaches by the environment; its working copies of ledgers lie in a folder of the test."""
    s3_server.begin_anew()
    for name, value in s3_server.variables(tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    return s3_server
