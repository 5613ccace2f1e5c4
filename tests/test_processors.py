"""The number of processors follows the affinity and the quotas of control groups, which containers and services have."""

import math
import os
from pathlib import Path

import pytest

from tagger import processors
from tagger.processors import available_processors, cgroup_quota


def write_group(folder: Path, **files: str) -> None:
    """Write the files of a control group; `__` in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/", {"": "150000 100000\n"}, 1.5),
        ("0::/", {"": "max 100000\n"}, math.inf),
        ("0::/system.slice/fmtag.service", {"system.slice/fmtag.service": "50000 100000"}, 0.5),
        ("0::/system.slice/fmtag.service", {"system.slice": "200000 100000", "system.slice/fmtag.service": "max 100000"}, 2.0),
        ("0::/host/path/that/the/container/lacks", {"": "300000 100000"}, 3.0),
        ("0::/", {"": "no numbers"}, math.inf),
        ("0::/", {"": "100000 0"}, math.inf),
    ],
)
def test_the_quota_of_the_second_version(tmp_path: Path, own: str, files: dict[str, str], quota: float) -> None:
    """The least quota of the own group and those around it counts; what cannot be read limits nothing."""
    (tmp_path / "own").write_text(own + "\n")
    for group, content in files.items():
        write_group(tmp_path / "groups" / group, cpu__max=content)
    assert quota == cgroup_quota(tmp_path / "groups", tmp_path / "own")


@pytest.mark.parametrize(("quota", "expected"), [("250000", 2.5), ("-1", math.inf)])
def test_the_quota_of_the_first_version(tmp_path: Path, quota: str, expected: float) -> None:
    """It is in two files of the controller `cpu`; -1 is none."""
    (tmp_path / "own").write_text("5:memory:/a\n4:cpu,cpuacct:/docker/1\n3:cpuset:/\n")
    write_group(tmp_path / "groups" / "cpu", cpu__cfs_quota_us=quota + "\n", cpu__cfs_period_us="100000\n")
    assert expected == cgroup_quota(tmp_path / "groups", tmp_path / "own")


def test_systems_without_control_groups_limit_nothing(tmp_path: Path) -> None:
    """Where the list of groups is missing there is no quota."""
    assert math.inf == cgroup_quota(tmp_path, tmp_path / "missing")


@pytest.mark.parametrize(("quota", "count"), [(0.2, 1), (1.5, 2), (3.0, 3), (8.0, 3), (math.inf, 3)])
def test_quotas_are_rounded_up_and_affinity_holds(monkeypatch: pytest.MonkeyPatch, quota: float, count: int) -> None:
    """Half a processor takes one thread, one and a half take two; never more than the affinity allows."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(processors, "cgroup_quota", lambda groups, own: quota)
    assert count == available_processors()
