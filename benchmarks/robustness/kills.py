"""Kill runs with SIGKILL at random moments and compare what they leave with an undisturbed run.

    python -m benchmarks.robustness.kills [--kills 200] [--photos 2000] [--model catalog]

The photos are generated, one in twenty truncated at a random byte. Each round begins without a ledger; its runs are killed
after a random share of the duration of an undisturbed run until one ends by itself, and rounds follow until the number of
kills is reached. Fails if, after any kill, the output is neither missing nor the reference byte for byte, or a photo was
scored again although a run had committed it. Requires an operating system with fork().
"""

import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import click
from PIL import Image, ImageDraw

import tagger.inference.tagger  # torch is loaded once, before anything is forked, and computes in the children alone
from tagger.run.pipeline import RunCallbacks, run
from tagger.run.settings import RunSettings
from tagger.settings import DEFAULT_MODEL

LONG_AGO = 1_700_000_000


def draw_photos(folder: Path, count: int, rng: random.Random) -> None:
    """Write photos of coloured shapes on white, every twentieth truncated at a random byte."""
    folder.mkdir()
    for number in range(count):
        photo = Image.new("RGB", (90, 120), (250, 250, 250))
        draw = ImageDraw.Draw(photo)
        for _ in range(3):
            x, y = rng.randrange(20, 50), rng.randrange(20, 70)
            colour = tuple(rng.randrange(200) for _ in range(3))
            draw.rectangle((x, y, x + rng.randrange(10, 35), y + rng.randrange(10, 45)), fill=colour)
        file = folder / f"{number:05d}.jpg"
        photo.save(file)
        if number % 20 == 7:
            file.write_bytes(file.read_bytes()[: rng.randrange(file.stat().st_size)])
        os.utime(file, (LONG_AGO, LONG_AGO))


def forked(settings: RunSettings, moment: Path) -> int:
    """Start a run in a child process that writes its progress to `moment`, and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1

    def looked(done: int, total: int) -> None:
        noted(moment, "at later batches" if done < total else "at the output")

    try:
        noted(moment, "at the start")
        run(settings, callbacks=RunCallbacks(lambda *_: None, lambda _: noted(moment, "at the first batch"), scored=looked))
        code = 0
    finally:
        os._exit(code)


def noted(moment: Path, what: str) -> None:
    """Write the progress of a run."""
    moment.write_text(what)


def killed(child: int, seconds: float) -> bool:
    """Kill a child process after a number of seconds; return False where it had ended with success before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.0005)
    else:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run ended with {code}")
    return code != 0


def scored_in(ledger: Path) -> dict[bytes, int]:
    """Return the run that scored each photo's bytes."""
    if not ledger.exists():
        return {}
    with closing(sqlite3.connect(ledger)) as sql:
        if not sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'contents'").fetchone():
            return {}
        return dict(sql.execute("SELECT sha256, run FROM contents WHERE run IS NOT NULL"))


@click.command()
@click.option("--kills", default=200, show_default=True, help="Runs to kill.")
@click.option("--photos", default=2_000, show_default=True, help="Photos of the catalog.")
@click.option("--share", default=0.15, show_default=True, help="Longest life of a run, as a share of an undisturbed one's.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Bundle.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
def main(kills: int, photos: int, share: float, model: str, seed: int) -> None:
    """Kill runs and print the result."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_photos(folder / "shop", photos, rng)

        def settings(out: str) -> RunSettings:
            return RunSettings(str(folder / "shop"), str(folder / out), model=model, batch_size=32)

        moment = folder / "moment"
        began = time.monotonic()
        if killed(forked(settings("reference.csv"), moment), 3600):
            raise SystemExit("the undisturbed run takes too long")
        longest = share * (time.monotonic() - began)
        reference = (folder / "reference.csv").read_bytes()
        done = rounds = 0
        where: Counter[str] = Counter()
        while done < kills:
            for left in folder.glob("t.*"):
                left.unlink()
            committed: dict[bytes, int] = {}
            rounds += 1
            ended = False
            while not ended and done < kills:
                ended = not killed(forked(settings("t.csv"), moment), rng.uniform(0, longest))
                done += not ended
                where[moment.read_text()] += not ended
                if (folder / "t.csv").exists() and (folder / "t.csv").read_bytes() != reference:
                    raise SystemExit(f"after kill {done} the output is not that of an undisturbed run")
                now = scored_in(folder / "t.ledger")
                if not committed.items() <= now.items():
                    raise SystemExit(f"after kill {done} a photo was scored again, or forgotten, that had been committed")
                committed = now
            if not ended:
                killed(forked(settings("t.csv"), moment), 3600)
            if (folder / "t.csv").read_bytes() != reference:
                raise SystemExit("the output is not that of an undisturbed run")
            if sorted(path.name for path in folder.glob("*t.csv*")) != ["t.csv"]:
                raise SystemExit("something was left beside the output")
        places = ", ".join(f"{count} {place}" for place, count in where.most_common())
        print(f"{done} kills ({places}) in {rounds} rounds over {photos:,} photos: every output byte for byte the reference.")


if __name__ == "__main__":
    assert tagger.inference.tagger
    sys.exit(main())
