"""The examples for cron and systemd, run as they are run there."""

import subprocess
import sys
from pathlib import Path

from helpers import ROOT, rows_of


def test_the_cron_line_runs_as_cron_runs_it(shop: Path, tmp_path: Path) -> None:
    """The example's own line, with its paths replaced: no HOME, cron's PATH, sh, no terminal; it succeeds two nights."""
    lines = [line for line in (ROOT / "examples" / "nightly.cron").read_text().splitlines() if line and line[0] != "#"]
    settings = dict(line.split("=", 1) for line in lines if "=" in line.split()[0])
    (line,) = [line for line in lines if line[0].isdigit()]
    command = line.split(None, 5)[5]
    here = {"/opt/fmtag/bin": str(Path(sys.executable).parent), "/srv/catalog": str(shop), "/srv/export": str(tmp_path)}
    here["/var/log"] = str(tmp_path)
    for there, place in here.items():
        command = command.replace(there, place)
        settings = {name: value.replace(there, place) for name, value in settings.items()}
    assert "%" not in command.replace("\\%", "")  # which cron would take for a line break
    for nights in (1, 2):
        environment = ["env", "-i", "PATH=/usr/bin:/bin", *(f"{name}={value}" for name, value in settings.items())]
        done = subprocess.run([*environment, "/bin/sh", "-c", command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True)
        log = (tmp_path / "fmtag.log").read_text()
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), log
        assert len(rows_of(tmp_path / "tags.csv")) == 10
        assert log.count("\n") == 3 * nights  # a line at the start, the damaged photo, a line at the end


def test_the_timer_runs_what_cron_runs() -> None:
    """The systemd example calls fmtag with the same options, daily, and takes exit 3 for a success."""
    service = (ROOT / "examples" / "fmtag.service").read_text()
    timer = (ROOT / "examples" / "fmtag.timer").read_text()
    line = next(line for line in (ROOT / "examples" / "nightly.cron").read_text().splitlines() if "fmtag run" in line)
    called = line[line.index("fmtag run") : line.index(" 2>>")]
    assert f"ExecStart=/opt/fmtag/bin/{called}" in service.replace(" \\\n    ", " ")
    assert "SuccessExitStatus=3" in service
    assert "OnCalendar=*-*-* 02:30" in timer
    assert "Persistent=true" in timer
