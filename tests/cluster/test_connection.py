"""An address at which no cluster answers is refused in one sentence, and soon."""

from pathlib import Path

import pytest
from helpers import assert_one_sentence, draw_photo, run_cli


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "127.0.0.1:9"])
def test_an_address_without_a_cluster_is_refused_soon(photos: Path, small_bundle: Path, tmp_path: Path, address: str) -> None:
    pytest.importorskip("ray")
    draw_photo(1).save(tmp_path / "a.jpg")
    options = ("--engine", "ray", "--ray-address", address, "--quiet")
    result = run_cli("run", tmp_path / "a.jpg", "--out", tmp_path / "tags.csv", "--model", f"{small_bundle}/", *options)
    assert_one_sentence(result, 1, "--ray-address" if address.startswith("ray") else address)
