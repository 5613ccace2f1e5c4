"""Truncated and corrupt files fail with the right reason, are rescued where allowed, and never raise."""
# ruff: noqa: SIM300 - the expected value stands first

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import WHOLE, detailed, encoded, png, quarters, reason_of, sample
from PIL import ImageFile

from tagger.cli.main import main
from tagger.photos.decode import SIDE, decode_bytes
from tagger.photos.settings import DecodeSettings
from tagger.records import FAILED_REASONS, Failed, Photo


@pytest.mark.parametrize("name", WHOLE)
def test_cut_files_fail_as_truncated(name: str) -> None:
    """A file cut anywhere in its header or its pixels fails as truncated."""
    whole = sample(name)
    cuts = [16, 40, *(len(whole) * percent // 100 for percent in (5, 15, 30, 45, 60, 75, 90, 97))]
    reasons = {cut: reason_of(decode_bytes(whole[:cut], name)) for cut in cuts}
    assert dict.fromkeys(cuts, "truncated") == reasons


@pytest.mark.parametrize("name", ["lzw tiff", "deflate tiff", "jpeg tiff"])
def test_tiffs_cut_in_their_directory_fail_as_truncated(name: str) -> None:
    """A TIFF cut inside its directory, which compressed ones have at their end, fails as truncated."""
    assert ["truncated"] * 3 == [reason_of(decode_bytes(sample(name)[:-missing], name)) for missing in (1, 20, 60)]


@pytest.mark.parametrize("name", WHOLE)
def test_files_cut_after_ten_bytes_fail(name: str) -> None:
    """A file cut after ten bytes fails as truncated or, where its format is not recognised yet, as no image."""
    assert reason_of(decode_bytes(sample(name)[:10], name)) in ("truncated", "not_an_image")


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_never_marked(name: str) -> None:
    """With truncated files allowed, a whole file is decoded to the same pixels and not marked."""
    strictly, leniently = (decode_bytes(sample(name), name, DecodeSettings(allow)) for allow in (False, True))
    assert isinstance(strictly, Photo)
    assert isinstance(leniently, Photo)
    assert (False, False) == (strictly.truncated, leniently.truncated)
    assert np.array_equal(strictly.pixels, leniently.pixels)


@pytest.mark.parametrize(
    "name", ["jpeg", "progressive jpeg", "grey jpeg", "cmyk jpeg", "png", "palette png", "gif", "bmp", "tiff"]
)
def test_cut_files_can_be_rescued(name: str) -> None:
    """With truncated files allowed, a file cut in its pixels is decoded in full size as far as it goes, and marked."""
    whole = decode_bytes(sample(name), name)
    assert isinstance(whole, Photo)
    for percent in (60, 90):
        rescued = decode_bytes(sample(name)[: len(sample(name)) * percent // 100], name, DecodeSettings(allow_truncated=True))
        assert isinstance(rescued, Photo), rescued
        assert rescued.truncated
        assert whole.pixels.shape == rescued.pixels.shape
        # A BMP's first row is its lowest one.
        arrived = np.s_[-10:] if name == "bmp" else np.s_[:10]
        assert np.abs(whole.pixels[arrived].astype(int) - rescued.pixels[arrived]).mean() < 40
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_rescued_fails(name: str) -> None:
    """With truncated files allowed, a cut file is marked or fails as truncated, and Pillow's switch is restored."""
    for percent in (3, 30, 60, 90):
        result = decode_bytes(sample(name)[: len(sample(name)) * percent // 100], name, DecodeSettings(allow_truncated=True))
        assert result.truncated if isinstance(result, Photo) else "truncated" == result.reason
        assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_rescues_do_not_loosen_strict_decoding() -> None:
    """A truncated file fails although another thread rescues truncated files at the same time."""
    cut = encoded(detailed(800, 600), "PNG", compress_level=1)
    cut = cut[: len(cut) * 60 // 100]
    with ThreadPoolExecutor(2) as threads:
        rescues = [threads.submit(decode_bytes, cut, "rescued", DecodeSettings(True)) for _ in range(20)]
        strict = [threads.submit(decode_bytes, cut, "strict") for _ in range(20)]
        assert [True] * 20 == [isinstance(rescue.result(), Photo) for rescue in rescues]
        assert ["truncated"] * 20 == [reason_of(result.result()) for result in strict]


def test_trailing_bytes_do_no_harm() -> None:
    """Zeros or other bytes after a whole JPEG, as some cameras and mail programs leave them, do no harm."""
    for tail in (bytes(100), b"\r\n", b"SEFT" + bytes(20)):
        assert isinstance(decode_bytes(sample("jpeg") + tail, "photo"), Photo)


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=25, deadline=None)
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8),
    allow=st.booleans(),
)
def test_flipped_bytes_never_raise(name: str, flips: list[tuple[float, int]], allow: bool) -> None:
    """Flipped bytes give a photo or a failure with a known reason, never an exception or a warning."""
    content = bytearray(sample(name))
    for where, flip in flips:
        content[int(where * len(content))] ^= flip
    assert_result(decode_bytes(bytes(content), name, DecodeSettings(allow)))


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=25, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 160), st.integers(1, 255)), min_size=1, max_size=4))
def test_damaged_headers_never_raise(name: str, flips: list[tuple[int, int]]) -> None:
    """Damage near the beginning, where sizes and offsets lie, gives a photo or a failure with a known reason."""
    content = bytearray(sample(name))
    for at, flip in flips:
        content[at] ^= flip
    assert_result(decode_bytes(bytes(content), name))


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF....WEBPVP8 ",
            b"GIF89a",
            b"BM",
            b"II*\0",
            b"MM\0*",
            b"\0\0\0\x18ftypheic",
        ]
    ),
    rest=st.binary(max_size=200),
)
def test_random_bytes_never_raise(start: bytes, rest: bytes) -> None:
    """Any bytes, also after a known beginning, give a failure or a photo."""
    assert_result(decode_bytes(start + rest, "random"))


def assert_result(result: Photo | Failed) -> None:
    if isinstance(result, Failed):
        assert result.reason in FAILED_REASONS
    else:
        assert np.uint8 == result.pixels.dtype
        assert max(result.pixels.shape[:2]) < 2 * SIDE


def test_a_run_issues_no_warning_about_damage(tmp_path: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damaged metadata and huge sizes issue no warning: a run over a million photos must not fill the terminal."""
    (tmp_path / "exif.jpg").write_bytes(encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"))
    (tmp_path / "cut.tif").write_bytes(sample("tiff")[:300])
    (tmp_path / "large.png").write_bytes(png(9_700, 9_700, 1, 0, None))
    (tmp_path / "huge.png").write_bytes(png(11_000, 11_000, 1, 0, None))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(SystemExit) as ended:
            main(["run", str(tmp_path), "--out", "-", "--model", str(small_bundle)])
    assert [] == [str(warning.message) for warning in caught]
    assert 3 == ended.value.code
    printed = capsys.readouterr()
    assert 5 == printed.out.count("\n")
    assert "Warning" not in printed.err
    assert "PIL" not in printed.err
