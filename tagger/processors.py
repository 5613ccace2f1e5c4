"""Count the processors that this process may use: by its affinity, and by the quotas of its control groups."""

import math
import os
from pathlib import Path, PurePosixPath

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Where Linux shows the limits of all control groups, and which ones this process is in."""


def available_processors() -> int:
    """Return the number of processors that this process may use, at least 1, which may be less than the machine has.

    A container or a service may have a quota of a fraction of processors; it is rounded up, as the system slows a thread too
    many down, while one too few would leave a part of the quota unused.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, cgroup_quota(CGROUPS, OWN_CGROUPS))))


def cgroup_quota(groups: Path, own: Path) -> float:
    """Return how many processors' time the control groups of this process allow; infinity where nothing limits it.

    It is the least of the quotas of the own group and of those around it, each in microseconds per period of microseconds
    (Linux, Documentation/admin-guide/cgroup-v2.rst, `cpu.max`; in version 1 `cpu.cfs_quota_us` and `cpu.cfs_period_us`).
    """
    quotas = [math.inf]
    try:
        lines = own.read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "cpu", "cpu,cpuacct", "cpuacct,cpu"):
            continue
        place = PurePosixPath(path.lstrip("/"))
        # In a container the path may be the host's, of which only the root is seen.
        quotas += [_quota(groups / ("cpu" if controllers else "") / group) for group in (place, *place.parents)]
    return min(quotas)


def _quota(group: Path) -> float:
    """Return the quota of one control group in processors; infinity where it has none."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return float(quota) / float(period) if quota not in ("max", "-1") else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
