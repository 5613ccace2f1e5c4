"""What `fmtag doctor` says is what `fmtag run` does, and it runs no network and opens no connection."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from catalog_helpers import touch, write, write_table
from helpers import ROOT, draw_photo, run_cli, write_photos
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
            "https://a.example/b",
            "0001.jpg",
            "copy.jpg",
            "0002.jpg",
            "",
        ]
        return write_table(folder / f"t{suffix}", ["sku", "image"], [[str(n), path] for n, path in enumerate(paths)])

    return make


SOURCES: dict[str, Callable[[Path], Path]] = {
    "examples": lambda folder: CATALOG,
    "mixed": mixed_folder,
    "one photo": lambda folder: write_photos(folder, 1) / "0000.jpg",
    "too long rows": lambda folder: write(write_photos(folder, 2) / "t.csv", "image,x\n0000.jpg,1\n0001.jpg,2,3\n"),
    **{f"table{suffix}": table_of(suffix) for suffix in (".csv", ".tsv", ".jsonl", ".parquet")},
}


@pytest.mark.parametrize("name", SOURCES)
def test_its_counts_are_those_of_a_run(name: str, tmp_path: Path, small_bundle: Path) -> None:
    """Rows, failures by reason, entries left out, duplicates, exit code: the same, with one worker or several."""
    source = SOURCES[name](tmp_path / "shop")
    report = tmp_path / "run.json"
    run = run_cli("run", source, "--out", tmp_path / "tags.csv", "--model", small_bundle, "--report", report)
    counts = json.loads(report.read_bytes())["counts"]
    for workers in ("1", "3"):
        done = run_cli("doctor", source, "--out", "-", "--workers", workers)
        said = json.loads(done.out)
        assert done.code == run.code
        assert said["complete"]
        for here, there in (("items", "photos"), ("failed", "failed"), ("ignored", "ignored"), ("duplicates", "duplicates")):
            assert said["counts"][here] == counts[there], here
        readable = said["counts"]["items"] - sum(said["counts"]["failed"].values()) - said["counts"]["without_image"]
        assert sum(said["photos"]["formats"].values()) == readable
        failures = json.loads(report.read_bytes())["failures"]
        paths = {path for one in said["failures"] for path in one["paths"]}
        assert paths == {one["path"] for one in failures}


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
