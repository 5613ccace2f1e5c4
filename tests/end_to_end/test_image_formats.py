"""What shops have in their folders, through the command line: read, or named in a row, with nothing printed in between."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from helpers import ROOT, csv_rows, draw_photo, rows_of, run_cli
from image_files import chunk
from tiff_files import tiff, tiff_pages

PHOTO = np.asarray(draw_photo(1))
GREY = np.asarray(draw_photo(1).convert("L"))


def saved(format: str, **options: object) -> bytes:
    """Return the photo in a format that Pillow writes."""
    file = BytesIO()
    draw_photo(1).save(file, format, **options)
    return file.getvalue()


PNG = saved("PNG")
READ = {
    "plain.jpg": saved("JPEG"),
    "marked.jpg": b"\xef\xbb\xbf\r\n" + saved("JPEG"),
    "photo.jxl": imagecodecs.jpegxl_encode(PHOTO),
    "jxl.jpg": imagecodecs.jpegxl_encode(PHOTO, usecontainer=True),
    "photo.jp2": saved("JPEG2000"),
    "photo.jls": imagecodecs.jpegls_encode(PHOTO),
    "metadata.png": PNG[:33] + chunk(b"pHYs", bytes(9))[:-4] + bytes(4) + PNG[33:],
    "float.tif": tiff((PHOTO / 255).astype(np.float32), compression="zlib", predictor=True),
    "nothing.tif": tiff(np.where(GREY > 240, np.nan, GREY / 255).astype(np.float32)),
    "twelve.tif": tiff((GREY.astype(np.uint32) * 4095 // 250).astype(np.uint16), compression="lzw"),
    "preview.tif": tiff_pages((PHOTO[::20, ::20].copy(), {"subfiletype": 1}), (PHOTO, {})),
    "webp.tif": tiff(PHOTO, compression="webp"),
}
NAMED = {
    "cut.tif": (tiff(PHOTO, compression="lzw", rowsperstrip=8)[:3000], "truncated", "the file ends within strip"),
    "cut.jxl": (imagecodecs.jpegxl_encode(PHOTO)[:-20], "truncated", "its data end early"),
    "pixels.png": (PNG[:200] + bytes(9) + PNG[209:], "unreadable", "the checksum of its chunk IDAT is wrong"),
    "raw.tif": (tiff(PHOTO, extratags=[(50706, 1, 4, (1, 4, 0, 0), True)]), "unreadable", "a camera's raw file; export"),
    "packed.tif": (tiff(PHOTO, compression="png"), "unreadable", "a TIFF with PNG compression, which fmtag does not read"),
    "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "not_an_image", "an HTML page, not a photo; download"),
    "layers.jpg": (b"8BPS\0\1" + bytes(80), "not_an_image", "a Photoshop document, not a photo; convert it"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "not_an_image", "git lfs pull"),
    "text.jpg": (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "not_an_image", "a photo as base64 text"),
    "film.jpg": (b"\0\0\0\x18ftypmp42" + bytes(80), "not_an_image", "a video, not a photo"),
    "bomb.png": (PNG[:16] + (60_000).to_bytes(4, "big") * 2 + PNG[24:], "too_large", "give --max-pixels 3600000000"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all of these files into a folder."""
    folder = tmp_path_factory.mktemp("shop")
    for name, content in READ.items():
        (folder / name).write_bytes(content)
    for name, (content, _, _) in NAMED.items():
        (folder / name).write_bytes(content)
    return folder


def test_files_are_read_or_named(shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """A process prints one JSON object a line, whatever the decoders would print, and each file has its row."""
    out = tmp_path / "tags.csv"
    command = [sys.executable, "-m", "tagger", "run", shop, "--out", out, "--model", small_bundle, "--log-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    details = {Path(one["detail"].split(": ")[0]).name: one["detail"] for one in events if one["event"] == "failed"}
    rows = {row["path"]: row for row in rows_of(out)}
    assert done.returncode == 3
    assert sorted(rows) == sorted([*READ, *NAMED])
    assert {name: rows[name]["reason"] for name in NAMED} == {name: reason for name, (_, reason, _) in NAMED.items()}
    assert {rows[name]["tag"] for name in READ if rows[name]["reason"] in ("", "low_confidence", "not_recognised")} != {""}
    assert all(rows[name]["tag"] for name in READ), {name: rows[name] for name in READ if not rows[name]["tag"]}
    for name, (_, _, words) in NAMED.items():
        assert words in details[name]


def test_quiet_is_quiet(shop: Path, small_bundle: Path, tmp_path: Path) -> None:
    """With --quiet there is no line at all, from no library either."""
    command = [sys.executable, "-m", "tagger", "run", shop, "--out", tmp_path / "t.csv", "--model", small_bundle, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_max_pixels(small_bundle: Path, tmp_path: Path) -> None:
    """The option refuses and allows, in every following run of the same output."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(saved("JPEG"))
    command = ("run", tmp_path / "photos", "--out", tmp_path / "t.csv", "--model", small_bundle, "--give-up", "1")
    reasons = []
    for limit in (["--max-pixels", "1000"], ["--max-pixels", "1000"], ["--max-pixels", "76800"]):
        done = run_cli(*command, *limit)
        reasons.append((done.code, rows_of(tmp_path / "t.csv")[0]["reason"] == "too_large"))
        if done.code == 3 and len(reasons) == 1:
            assert "240x320 pixels, more than --max-pixels 1000" in done.err
    assert reasons == [(3, True), (3, True), (0, False)]
    assert csv_rows(run_cli("run", tmp_path / "photos", "--out", "-", "--model", small_bundle).out)[0]["tag"]


@pytest.mark.parametrize("command", ["evaluate", "adapt", "pick", "finetune"])
def test_max_pixels_of_other_commands(
    command: str, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that reads photos gives the number on to the decoder."""
    seen: list[object] = []

    def note(items: object, workers: object, decoding: object, **rest: object) -> None:
        seen.append(decoding.max_pixels)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    for module in ("inference.tagger", "adaptation.catalog_photos", "data.photo_dataset"):
        monkeypatch.setattr(f"tagger.{module}.load_photos", note)
    for label in ("Bag", "Dress"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            draw_photo(number).save(tmp_path / "photos" / label / f"{number}.png")
    options = {
        "evaluate": ("--model", small_bundle),
        "adapt": ("--out", tmp_path / "mine", "--from", small_bundle),
        "pick": ("--out", tmp_path / "picks.csv", "--from", small_bundle),
        "finetune": ("--out", tmp_path / "mine"),
    }
    run_cli(command, tmp_path / "photos", *options[command], "--max-pixels", "77")
    assert seen == [77]
