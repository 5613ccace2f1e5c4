"""Define what runs in Ray's processes: the reading of a manifest's files, and the actors. Imports Ray."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from tagger.cluster.actor import Actor, ActorSettings


class ManifestSource(Datasource):  # type: ignore[misc, unused-ignore]
    """The files of a manifest, each read by one task on the node of the driver, which alone has them."""

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self._files = files

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:
        """Return one task per file, in their order; Ray splits what it reads into as many blocks as are wanted."""
        return [ReadTask(partial(_read, str(file)), _metadata(file)) for file in self._files]

    def estimate_inmemory_data_size(self) -> int:
        """Return the size of the rows in bytes, roughly."""
        return sum(file.stat().st_size for file in self._files)

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether other nodes have the files."""
        return False


class RayActor:
    """An `Actor` whose bundle is in Ray's object store."""

    def __init__(self, settings: ActorSettings, bundle: Any) -> None:
        self._actor = Actor(settings, ray.get(bundle))

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Return the results of a block."""
        return self._actor(rows)


def _read(file: str) -> list[pa.Table]:
    return [pq.read_table(file)]


def _metadata(file: Path) -> BlockMetadata:
    rows = pq.read_metadata(file).num_rows
    return BlockMetadata(num_rows=rows, size_bytes=file.stat().st_size, input_files=None, exec_stats=None)
