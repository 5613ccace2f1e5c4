"""Score the photos of a run on a Ray cluster, or on one of this machine alone.

    items -> manifest, read on this node -> map_batches over actors -> results, in order -> the run's ledger

The ledger is written by the process of the run alone. A worker, actor or node that is lost costs the blocks that it had in
hand: Ray computes them again elsewhere.
"""

import math
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from tagger import __version__
from tagger.cluster.actor import ActorSettings, bundle_files
from tagger.cluster.connection import connected
from tagger.cluster.manifest import write_manifest
from tagger.cluster.results import in_order
from tagger.errors import FmtagError, WorkerError
from tagger.photos.loader import ScoredPhoto
from tagger.run.engine import Engine, EngineWork

BLOCK = 64
"""Photos per block, what a lost worker costs at most: some seconds of work, beside which the 10 ms of a task are nothing."""

CPUS_PER_ACTOR = 0.5
"""As many actors are started as the cluster has processors, and each asks for half of one: so those of a lost node find a place
on the others, where the work would wait for a new node otherwise."""

MAX_RESTARTS = 10
"""How often an actor is started again in a run, after its process or node ended: a photo that ends its worker each time, or a
bundle that no worker has the memory for, would be tried for ever. Its tasks are tried again without limit: while a node that
was lost is not yet known to be, a task fails many times within seconds."""


def ray_engine(address: str | None) -> Engine:
    """Return an engine on the cluster at an address; None is a Ray of this machine alone, unless RAY_ADDRESS names one."""

    def score(work: EngineWork) -> Generator[ScoredPhoto, None, None]:
        with (
            TemporaryDirectory(prefix="fmtag-") as folder,
            connected(address, Path(folder)),
            closing(_blocks(work, Path(folder))) as blocks,
        ):
            yield from in_order(blocks, work.total)

    return score


def _blocks(work: EngineWork, folder: Path) -> Generator[pa.Table, None, None]:
    """Yield tables of results, in the order of the items."""
    import ray

    files = write_manifest(work.items, folder)
    device = "cpu" if work.device == "auto" else work.device
    settings = ActorSettings(__version__, str(Path.cwd()), work.decoding, device)
    bundle = ray.put(bundle_files(work.stored))
    dataset = _dataset(ray, files, work.total, settings, bundle)
    batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=2))
    try:
        yield from batches
    except ray.exceptions.RayError as error:
        raise _work_error(error) from error


def _dataset(ray: Any, files: list[Path], total: int, settings: ActorSettings, bundle: Any) -> Any:
    from ray.data import ActorPoolStrategy

    from tagger.cluster.ray_tasks import ManifestSource, RayActor

    on_gpu = settings.device == "cuda"
    count = max(1, int(ray.cluster_resources().get("GPU" if on_gpu else "CPU", 1)))
    blocks = max(len(files), math.ceil(total / BLOCK))
    rows = ray.data.read_datasource(ManifestSource(files), override_num_blocks=blocks, num_cpus=0)
    resources = {"num_gpus": 1, "num_cpus": 0} if on_gpu else {"num_cpus": CPUS_PER_ACTOR}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how often a task is tried again, for which there is no other way
        return rows.map_batches(
            RayActor,
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=1, max_size=count, initial_size=min(count, blocks)),
            fn_constructor_args=(settings, bundle),
            max_restarts=MAX_RESTARTS,
            max_task_retries=-1,
            **resources,
        )


def _work_error(error: Exception) -> FmtagError:
    """Return the error that ends the run, in one sentence."""
    for cause in _causes(error):
        if isinstance(cause, FmtagError):
            return cause
    return WorkerError(
        "A worker of the cluster ended again and again on the same photos, perhaps for lack of memory; what was done is"
        " kept. Run the command again, with more memory for each worker if it happens again; the cluster's logs tell more."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, as Ray wraps it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "cause", None) or error.__cause__
