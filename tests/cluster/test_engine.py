"""`--engine ray` says what is missing or wrong in one sentence, and Ray is not started for nothing."""

import sys
from pathlib import Path

import pytest
from helpers import assert_one_sentence, draw_photo, run_cli
from run_helpers import age


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        draw_photo(number).save(folder / f"{number}.jpg")
    age(*folder.iterdir())
    return folder


@pytest.fixture
def _without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.mark.usefixtures("_without_ray")
def test_without_ray_it_says_how_to_install_it(photos: Path, small_bundle: Path, tmp_path: Path) -> None:
    result = run_cli("run", photos, "--engine", "ray", "--out", tmp_path / "tags.csv", "--model", f"{small_bundle}/", "--quiet")
    assert_one_sentence(result, 1, 'pip install "fmtag[ray]"')


@pytest.mark.usefixtures("_without_ray")
def test_a_run_without_news_needs_no_ray(photos: Path, small_bundle: Path, tmp_path: Path) -> None:
    command = ("run", photos, "--out", tmp_path / "tags.csv", "--model", f"{small_bundle}/")
    assert run_cli(*command).code == 0
    assert run_cli(*command, "--engine", "ray").code == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--engine", "ray", "--debug-garments", "x"), "--debug-garments"),
        (("--ray-address", "host:6379"), "--engine ray"),
        (("--engine", "dask"), "dask"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    photos: Path, tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    result = run_cli("run", photos, "--out", tmp_path / "tags.csv", *options)
    assert result.code == 2
    assert named in result.err
