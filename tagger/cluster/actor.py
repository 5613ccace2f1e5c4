"""Read and score photos in a process of a cluster, by the same code as a run on one machine."""

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from tagger import __version__
from tagger.cluster.manifest import read_items
from tagger.cluster.results import results_table
from tagger.errors import WorkerError
from tagger.inference.device import computes_alone
from tagger.models import card
from tagger.photos.loader import load_photos
from tagger.photos.settings import DecodeSettings
from tagger.records import Item, NetworkOutputs, ProductImage
from tagger.run.networks import Networks
from tagger.settings import Device


@dataclass(frozen=True)
class ActorSettings:
    """What an actor needs to know, besides the bundle and the items."""

    version: str
    """Of fmtag, where the run was started."""
    folder: str
    """The folder in which the run was started, which relative paths of photos start from."""
    decoding: DecodeSettings
    device: Device


def bundle_files(stored: card.StoredCard) -> dict[str, bytes]:
    """Return the contents of the files that make up a bundle, by their names."""
    files = ["card.json", stored.weights_file.file]
    if stored.backbone_file is not None:
        files.append(stored.backbone_file.file)
    with card.damage_as_error(stored.folder):
        return {name: (stored.folder / name).read_bytes() for name in files}


class Actor:
    """Scores blocks of a manifest; Ray starts one per processor, or per GPU."""

    def __init__(self, settings: ActorSettings, files: Mapping[str, bytes]) -> None:
        if settings.version != __version__:
            raise WorkerError(
                f"A node of the cluster has fmtag {__version__}, and the run was started by {settings.version}; install the"
                " same version on all nodes."
            )
        self._settings = settings
        with TemporaryDirectory(prefix="fmtag-bundle-") as folder:  # until it is loaded, as actors may end without a word
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            stored = card.read(Path(folder))
            self._networks = Networks(stored, settings.device)
            self._tagger = self._networks.tagger
        self._colour = bool(stored.eyes)
        self._computes = computes_alone(stored.card, settings.device)
        self._networks.begin()
        with suppress(OSError):  # a folder that only the driver has matters to relative paths alone
            os.chdir(settings.folder)
        self._at_folder = str(Path.cwd()) == settings.folder

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Return the results of a manifest's rows."""
        numbered = list(read_items(rows))
        items = [item for _, item in numbered]
        self._require_folder(items)
        with closing(load_photos(items, 1, self._settings.decoding, compute=self._compute, colour=self._colour)) as photos:
            loaded = list(photos)
        scored = self._tagger.score_batch(loaded)
        return results_table([number for number, _ in numbered], scored)

    def _compute(self, image: ProductImage) -> NetworkOutputs | None:
        return self._tagger.compute(image) if self._computes else None

    def _require_folder(self, items: list[Item]) -> None:
        if not self._at_folder and any(item.file is not None and not item.file.is_absolute() for item in items):
            raise WorkerError(
                f"A node of the cluster has no folder {self._settings.folder}, which the paths of photos start from; give"
                " SOURCE as a full path that all nodes have."
            )
