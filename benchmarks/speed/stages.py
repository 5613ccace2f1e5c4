"""Measure the processor time of each stage of a run, in milliseconds per photo.

    python -m benchmarks.speed.stages --sets FOLDER [--runs 5] [--limit 150]

Runs with one worker are repeated in one process on one core, over the set and over its first photo, which is taken off. The
functions of `STAGES` are wrapped: each counts the processor time of its own thread, without that of stages within it. What is
left of the process's time is the row "rest": queues between threads, and the objects that travel. It is processor time, as
other programs change wall time; the wrappers take some microseconds per call.
"""

import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.reporting import table
from benchmarks.speed.measuring import arguments, timed, write_report
from benchmarks.speed.photo_sets import first_photo, opened_set


class Stage(NamedTuple):
    """Functions of which the time is added up."""

    title: str
    functions: tuple[str, ...]
    """As `module:name` or `module:class.name`, below `tagger`; a name that is gone ends the benchmark."""


STAGES = (
    Stage("read", ("photos.decode:read",)),
    Stage("sha256", ("photos.decode:hashlib.sha256",)),
    Stage("decode", ("photos.decode:decode_bytes",)),
    Stage("trim bars", ("photos.frame:trim_bars", "photos.frame:crop_edge")),
    Stage("find the mask", ("photos.background:product_mask", "photos.background:shrunk")),
    Stage("find a person", ("photos.person:find_person", "photos.worn:worn_regions")),
    Stage("cut out, grey", ("photos.product:extract_product",)),
    Stage("cut out, in colour", ("photos.colour:box_crop", "photos.colour:cut_crop")),
    Stage("small network", ("inference.onnx_network:OnnxNetwork.features",)),
    Stage("backbone", ("inference.onnx_backbone:OnnxBackbone.__call__",)),
    Stage("probabilities", ("inference.tagger:Tagger.score_batch",)),
    Stage("ledger", ("run.ledger:Ledger.record", "run.ledger:Ledger.list_files", "run.ledger:Ledger.has_result")),
    Stage("output", ("run.publishing:_count", "run.publishing:_write_rows")),
)


class _Clock:
    """Adds up the processor time of stages, each without those within it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.local()

    def wrap(self, title: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time counted."""

        def timed_function(*given: Any, **named: Any) -> Any:
            begun, outer = time.thread_time(), getattr(self._thread, "within", 0.0)
            self._thread.within = 0.0
            try:
                value = function(*given, **named)
                return list(value) if title == "probabilities" else value  # a generator does its work when it is taken from
            finally:
                taken = time.thread_time() - begun
                with self._lock:
                    self.seconds[title] += taken - self._thread.within
                    self.calls[title] += 1
                self._thread.within = outer + taken

        return timed_function


def wrap_stages(clock: _Clock) -> None:
    """Put wrapped functions in the place of those of `STAGES`, wherever modules of `tagger` have imported them."""
    for stage in STAGES:
        for name in stage.functions:
            module, _, path = name.partition(":")
            *owners, last = path.split(".")
            try:
                owner: Any = importlib.import_module(f"tagger.{module}")
                for part in owners:
                    owner = getattr(owner, part)
                function = getattr(owner, last)
            except (ImportError, AttributeError) as error:
                raise SystemExit(f"{name} is gone ({error}); put what does its work now into stages.STAGES.") from error
            wrapped = clock.wrap(stage.title, function)
            setattr(owner, last, wrapped)
            for other in [*sys.modules.values()]:
                if getattr(other, "__name__", "").startswith("tagger.") and vars(other).get(last) is function:
                    setattr(other, last, wrapped)


def measure_stages(folder: Path, count: int, model: str, runs: int) -> dict[str, float]:
    """Return milliseconds per photo of each stage, of the rest and in all, medians of runs in this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    from tagger.inference import tagger  # noqa: F401 - imported late by a run, and wrapped here
    from tagger.run import pipeline
    from tagger.run.settings import RunSettings

    clock = _Clock()
    wrap_stages(clock)

    def seconds_of(source: Path) -> dict[str, float]:
        clock.seconds.clear()
        with tempfile.TemporaryDirectory() as out:
            begun = time.process_time()
            pipeline.run(RunSettings(str(source), str(Path(out) / "tags.csv"), model=model, workers=1, device="cpu"))
            whole = time.process_time() - begun
        rest = whole - sum(clock.seconds.values())
        return {stage.title: clock.seconds[stage.title] for stage in STAGES} | {"rest": rest, "in all": whole}

    passes: list[dict[str, float]] = []
    for _ in range(runs + 1):
        one, all_photos = seconds_of(first_photo(folder)), seconds_of(folder)
        passes.append({title: 1000 * (all_photos[title] - one[title]) / (count - 1) for title in one})
    missing = [stage.title for stage in STAGES if not clock.calls[stage.title]]
    if [title for title in missing if title not in ("backbone", "cut out, in colour")]:
        raise SystemExit(f"No function of {', '.join(missing)} was called; put what does the work now into stages.STAGES.")
    return {title: median(one[title] for one in passes[1:]) for title in passes[0]}  # the first one imports


def main() -> None:
    """Measure both bundles in processes of their own and write the report."""
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="+", default=["catalog", "catalog-small"], help="bundles")
    parser.add_argument("--set", default="1600-jpg", help="name of the set")
    parser.add_argument("--here", help="measure this bundle in this process and print JSON")
    options = parser.parse_args()
    options.limit = options.limit or 150
    with opened_set(options.sets, options.set, options.limit) as (folder, count):
        if options.here:
            print(json.dumps(measure_stages(folder, count, options.here, options.runs)))
            return
        command = [sys.executable, "-m", "benchmarks.speed.stages", "--sets", str(options.sets.resolve())]
        command += ["--set", options.set, "--limit", str(options.limit), "--runs", str(options.runs)]
        values = {model: json.loads(timed([*command, "--here", model])[1]) for model in options.models}
    titles = [*values[options.models[0]]]
    rows = []
    for title in titles:
        cells = []
        for model in options.models:
            cells += [f"{values[model][title]:.2f}", f"{100 * values[model][title] / values[model]['in all']:.0f} %"]
        rows.append([title, *cells])
    heads = [part for model in options.models for part in (f"{model}, ms", "share")]
    lines = [f"{count} photos of the set {options.set}.", "", *table(("stage", *heads), rows)]
    write_report(options.out, "speed_stages", "Where the time goes", options.runs, lines, {"n": count, "milliseconds": values})


if __name__ == "__main__":
    main()
