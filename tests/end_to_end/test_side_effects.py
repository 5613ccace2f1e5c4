"""Importing and using the library changes no state that the whole process shares."""

import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from helpers import draw_photo
from PIL import Image, ImageFile

from tagger.photos.decode import decode_bytes
from tagger.photos.settings import DecodeSettings
from tagger.records import Failed, Photo

SHARED = """
import gc, importlib, locale, os, pathlib, pkgutil, random, signal, sys, threading, warnings
import cv2, numpy, PIL.Image, PIL.ImageFile, sklearn.metrics, torch, torchvision

def shared():
    return {
        "warnings": [str(one) for one in warnings.filters],
        "pixels": PIL.Image.MAX_IMAGE_PIXELS,
        "truncated": PIL.ImageFile.LOAD_TRUNCATED_IMAGES,
        "heif": "HEIF" in PIL.Image.OPEN,
        "torch": [torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.initial_seed()],
        "opencv": [cv2.getNumThreads(), cv2.useOptimized()],
        "numpy": [numpy.geterr(), numpy.random.get_state()[1][:5].tolist()],
        "random": random.getstate()[1][:5],
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)],
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": [sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), os.getcwd(), threading.active_count()],
        "hooks": [sys.excepthook, threading.excepthook],
        "environment": sorted(os.environ.items()),
    }

def print_changed(before):
    after = shared()
    print([name for name in before if str(before[name]) != str(after[name])])

before = shared()
import tagger
for module in pkgutil.walk_packages(tagger.__path__, "tagger."):
    if not (module.name + ".").startswith(
        ("tagger.__main__.", "tagger.cluster.ray_tasks.", "tagger.storage.s3.", "tagger.storage.other.", "tagger.web.")
    ):
        importlib.import_module(module.name)
print_changed(before)

for truncated in (False, True):
    ready = tagger.Tagger(pathlib.Path(sys.argv[2]), device="cpu", allow_truncated=truncated)
    assert len(list(ready.tag(sorted(pathlib.Path(sys.argv[1]).iterdir())))) == 4
print_changed(before)
"""


def test_importing_and_tagging_change_nothing_that_is_shared(tmp_path: Path, small_bundle: Path) -> None:
    """Warning filters, Pillow's switches, threads, seeds, signals and the like are as they were before.

    First after the import of all modules but those of the web server, whose framework prints groups of exceptions by a hook of
    its own before Python 3.11, and those of buckets and of Ray, whose libraries filter warnings and have hooks of their own; no
    program imports them to tag photos of this machine. Then after a `Tagger` has tagged good, damaged, truncated and HEIC
    photos in threads.
    """
    photos = tmp_path / "photos"
    photos.mkdir()
    draw_photo(1).save(photos / "good.jpg")
    (photos / "cut.jpg").write_bytes((photos / "good.jpg").read_bytes()[:3000])
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (photos / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    done = subprocess.run([sys.executable, "-c", SHARED, photos, small_bundle], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n[]\n", "")


@pytest.mark.parametrize("switch", [False, True])
def test_pillows_switch_for_truncated_files_belongs_to_the_caller(monkeypatch: pytest.MonkeyPatch, switch: bool) -> None:
    """A program that lets Pillow load truncated files keeps that setting, and fmtag detects truncated files all the same."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", switch)
    packed = BytesIO()
    draw_photo(2).save(packed, "JPEG")
    cut = packed.getvalue()[:3000]
    strict = decode_bytes(cut, "cut.jpg")
    assert isinstance(strict, Failed)
    assert strict.reason == "truncated"
    rescued = decode_bytes(cut, "cut.jpg", DecodeSettings(allow_truncated=True))
    assert isinstance(rescued, Photo)
    assert rescued.truncated
    assert ImageFile.LOAD_TRUNCATED_IMAGES is switch


def test_the_command_restores_the_warning_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command hides Pillow's warnings while it runs, and leaves the filters of a program that calls it as they were."""
    from tagger.cli.main import main

    before = list(warnings.filters)
    with pytest.raises(SystemExit):
        main(["run", "nowhere", "--out", "nowhere.csv"])
    assert list(warnings.filters) == before
    assert Image.MAX_IMAGE_PIXELS == 89_478_485
