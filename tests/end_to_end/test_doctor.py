"""What `fmtag doctor` says is what `fmtag run` does, and it runs no network and opens no connection."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from catalog_helpers import touch, write, write_table
from helpers import ROOT, draw_photo, run_cli, write_photos
from pyarrow import parquet
from run_helpers import write_shop

CATALOG = ROOT / "examples" / "catalog"

IMPORTED = """
import sys
from tagger.cli.main import main
try:
    main()
finally:
    names = {name.split(".")[0] for name in sys.modules}
    print("IMPORTED", *sorted(names & {"torch", "torchvision", "onnxruntime", "urllib3", "requests"}), file=sys.stderr)
"""

NO_SOCKETS = "import socket\ndef refuse(*arguments, **options):\n    raise RuntimeError('a socket')\nsocket.socket = refuse\n"


def mixed_folder(folder: Path) -> Path:
    """Write photos of several kinds, copies, damage, and what is left out."""
    write_shop(folder)
    draw_photo(20).save(folder / "a.png")
    draw_photo(21).convert("RGBA").save(folder / "b.webp")
    draw_photo(22).convert("CMYK").save(folder / "c.tif")
    (folder / "html.jpg").write_text("<html>404</html>")
    (folder / "empty.png").touch()
    (folder / "noise.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    return touch(folder, ".hidden.jpg", "more/notes.txt", "shirt.psd").parent / folder.name


def table_of(suffix: str) -> Callable[[Path], Path]:
    """Return a function that writes a table with good, missing and repeated photos, addresses and a row without a path."""

    def make(folder: Path) -> Path:
        write_photos(folder, 4)
        shutil.copy(folder / "0000.jpg", folder / "copy.jpg")
        paths = [
            "0000.jpg",
            "copy.jpg",
            "0001.jpg",
            "none.jpg",
            "ftp://a.example/b",
            "0001.jpg",
            "copy.jpg",
            "0002.jpg",
            "",
        ]
        return write_table(folder / f"t{suffix}", ["sku", "image"], [[str(n), path] for n, path in enumerate(paths)])

    return make


def export(folder: Path) -> Path:
    """Write a shop's export: variants without an image, several images in a cell, a path in another case, blank lines."""
    write_photos(folder, 4)
    lines = [
        "Handle,Title,Image Src,Variant Image",
        "tee,Tee,0000.jpg,",
        "tee,,,",
        "tee,,0001.jpg,",
        "bag,Bag,0002.JPG,",
        ",,,",
    ]
    return write(folder / "export.csv", "\r\n".join([*lines, "bag,,sub\\none.jpg,", 'cap,"Cap,0003.jpg,', "end,End,0003.jpg,"]))


def embedded(folder: Path) -> Path:
    """Write a Parquet table with photos in its cells: a good one twice, one that is cut off, one that is missing."""
    write_photos(folder, 2)
    first, second = ((folder / f"000{number}.jpg").read_bytes() for number in range(2))
    cells = [{"bytes": content, "path": None} for content in (first, second[:2000], first)] + [None]
    parquet.write_table(pyarrow.table({"sku": [1, 2, 3, 4], "image": cells}), folder / "t.parquet")
    return folder / "t.parquet"


SOURCES: dict[str, Callable[[Path], Path]] = {
    "examples": lambda folder: CATALOG,
    "mixed": mixed_folder,
    "one photo": lambda folder: write_photos(folder, 1) / "0000.jpg",
    "too long rows": lambda folder: write(write_photos(folder, 2) / "t.csv", "image,x\n0000.jpg,1\n0001.jpg,2,3\n"),
    "several images": lambda folder: write(
        write_photos(folder, 3) / "t.csv", 'image\n"0000.jpg, 0001.jpg"\n0002.jpg|0000.jpg\n'
    ),
    "an encoding": lambda folder: write(write_photos(folder, 1) / "t.csv", "Größe;image\r\nweiß;0000.jpg\r\n".encode("cp1252")),
    "a list": lambda folder: write(write_photos(folder, 2) / "list.txt", "0000.jpg\n0001.jpg\nnone.jpg\n"),
    "an export": export,
    "embedded photos": embedded,
    **{f"table{suffix}": table_of(suffix) for suffix in (".csv", ".tsv", ".jsonl", ".parquet")},
}

OPTIONS: dict[str, tuple[str, ...]] = {
    "several images": ("--all-images",),
    "mixed": ("--exclude", "c.*", "--max-pixels", "9"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_its_counts_are_those_of_a_run(name: str, tmp_path: Path, small_bundle: Path) -> None:
    """Rows, failures by reason, entries left out, duplicates, exit code: the same, with one worker or several."""
    source, options = SOURCES[name](tmp_path / "shop"), OPTIONS.get(name, ())
    report = tmp_path / "run.json"
    run = run_cli("run", source, "--out", tmp_path / "tags.csv", "--model", small_bundle, "--report", report, *options)
    done_by_run = json.loads(report.read_bytes())
    for workers in ("1", "3"):
        done = run_cli("doctor", source, "--out", tmp_path / "doctor.json", "--workers", workers, *options)
        assert done.code == run.code
        said = json.loads((tmp_path / "doctor.json").read_bytes())
        assert said["complete"]
        counts, expected = said["counts"], done_by_run["counts"]
        assert counts["items"] == expected["photos"] + expected["without_image"]
        for key in ("failed", "without_image", "ignored", "duplicates"):
            assert counts[key] == expected[key], key
        assert {one["why"]: one["count"] for one in said["ignored"]} == expected["ignored_by_reason"]
        assert sum(said["photos"]["formats"].values()) == expected["photos"] - sum(expected["failed"].values())
        paths = {path for one in said["failures"] for path in one["paths"]}
        assert paths == {one["path"] for one in done_by_run["failures"]}


def test_no_network_is_imported_and_no_connection_opened(tmp_path: Path) -> None:
    """Neither PyTorch nor ONNX Runtime, and no socket: the machine of the first evening may have no network."""
    source = mixed_folder(tmp_path / "shop")
    before = sorted(os.listdir(source))
    done = subprocess.run(
        [sys.executable, "-c", NO_SOCKETS + IMPORTED, "doctor", str(source)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr.decode().strip()) == (3, "IMPORTED")
    assert sorted(os.listdir(source)) == before
    assert os.listdir(tmp_path) == ["shop"]
