"""Adaptation to 20,000 labelled photos in bounded memory."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT

from tagger.adaptation.fit import MAX_MEMORY

PHOTOS = 20_000

PROGRAM = f"""
import resource
from pathlib import Path
from adaptation_helpers import large_catalog
from tagger.models import neighbours
from tagger.adaptation.fit import fit_adapter
from tagger.adaptation.examples import build_examples
from tagger.catalog.label_table import LabelledPhoto
from tagger.models.adapter import embed_maps
from tagger.records import Item
neighbours.TREES = 2  # they take time one after another, and no memory
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
kilobytes = int(status["VmSize"].split()[0])
resource.setrlimit(resource.RLIMIT_AS, (kilobytes * 1024 + 500 * 2**20,) * 2)
features, classes = large_catalog({PHOTOS}, 8)
rows = [LabelledPhoto(Item("x.jpg", Path("x.jpg")), "abc"[label], "", False) for label in classes]
examples = build_examples(range({PHOTOS}), rows, ("a", "b", "c"), embed_maps(features.maps), ["a"] * {PHOTOS}, None).examples
adapter = fit_adapter(features, examples, 1e-2)
print(len(examples.photos), len(set(examples.products)), len(adapter.memory))
"""
"""At most 500 MB beside the libraries; the matrix of all pairs alone would take 1.6 GB."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is read from Linux's /proc")
def test_many_labels_take_little_memory() -> None:
    """Grouping by product and fitting to 20,000 labelled photos stays within bounds that no matrix of all pairs fits in."""
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT), *filter(None, sys.path)])
    variables = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    labelled, products, remembered = map(int, done.stdout.split())
    assert labelled == PHOTOS
    assert 1 < products < PHOTOS
    assert remembered == MAX_MEMORY
