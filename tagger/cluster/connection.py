"""Connect to a Ray cluster, or start Ray on this machine alone, without output of its own."""

import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tagger.errors import WorkerError, first_line_of, reason_of
from tagger.processors import available_processors

OBJECT_STORE_BYTES = 500_000_000
"""Memory of a Ray that is started here for blocks and the bundle; blocks take kilobytes."""

LONGEST_FOLDER = 40
"""Characters of a folder for the files of Ray: the paths of its sockets, 65 longer, end at 107."""

CONNECT_SECONDS = 10.0
"""How long the head of a cluster is waited for."""

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what it prints on standard output of workers that ended
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_worker_niceness": "0",  # of 15, with which all else on the machine comes first
}
"""Settings of Ray by the environment, read at its import and by what it starts: quiet, and as urgent as a local run."""


def require_ray() -> None:
    """Raise `WorkerError` where Ray is not installed."""
    if find_spec("ray") is None:
        raise WorkerError('--engine ray needs Ray; install it with: pip install "fmtag[ray]"')


@contextmanager
def connected(address: str | None, folder: Path) -> Generator[None, None, None]:
    """Connect to Ray for the block; files of a Ray that is started here go into `folder`.

    Raises `WorkerError` where there is no Ray, or none can be reached at the address.
    """
    require_ray()
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is not None and address.startswith("ray://"):
        raise WorkerError(
            "--ray-address takes the host and port of a cluster's head, such as 10.0.0.1:6379, and no ray://; run fmtag on a"
            " node of the cluster."
        )
    os.environ.update(SETTINGS)
    import ray
    import ray.data

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.excepthook
    try:
        with _without_stderr():
            _start(ray, address, folder)
        for number, handler in before.items():
            signal.signal(number, handler)
        _set_up_data(ray)
        yield
    finally:
        ray.shutdown()
        sys.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(ray: Any, address: str | None, folder: Path) -> None:
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address is not None:
            _require_answer(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
            return
        if len(str(folder)) <= LONGEST_FOLDER:
            quiet["_temp_dir"] = str(folder / "ray")
        ray.init(address="local", num_cpus=available_processors(), object_store_memory=OBJECT_STORE_BYTES, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        if address is None:
            raise WorkerError(f"Ray cannot be started: {_reason(error)}.") from error
        raise WorkerError(f"No Ray cluster can be reached at {address}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return (reason_of(error) if isinstance(error, OSError) else first_line_of(error)).rstrip(".")


def _require_answer(address: str) -> None:
    """Raise `OSError` soon where nothing answers at a host and port, for which Ray waits for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


@contextmanager
def _without_stderr() -> Generator[None, None, None]:
    """Send what libraries in C++ write to standard error nowhere during the block: Ray tells its log level there."""
    try:
        kept = os.dup(2)
    except OSError:  # a scheduler has closed it
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _set_up_data(ray: Any) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    context.execution_options.preserve_order = True
    context.execution_options.verbose_progress = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without this Ray gives a node of 4 processors as many actors as one of 64
        context.scheduling_strategy = "DEFAULT"  # fills half of a node before the next one: one actor per processor
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
