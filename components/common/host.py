"""What this process may use of its machine: cores and memory, a container's limits included."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # where Linux shows the limits of a group of processes
OWN_GROUPS = Path("/proc/self/cgroup")  # which groups this process is in


def count_cores(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> int:
    """Return how many cores this process may keep busy, at least 1.

    The fewest of those that it may run on (affinity) and of what its quota pays for, rounded up.

    Args:
        cgroup: where the quotas stand: `cpu.max` of version 2, or `cpu.cfs_quota_us` of version 1.
        own_groups: a file of lines `number:controllers:path`.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    for folder in _list_groups(cgroup, own_groups, "cpu"):
        quota, period = (
            _read_numbers(folder / "cpu.max", 2)
            or (
                *_read_numbers(folder / "cpu.cfs_quota_us", 1),
                *_read_numbers(folder / "cpu.cfs_period_us", 1),
            )
            or (0, 0)
        )
        if quota > 0 and period > 0:  # version 1 writes -1 for none
            cores = min(cores, math.ceil(quota / period))
    return max(1, cores)


def find_free_memory(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> int:
    """Return the bytes that this process may still take: of the machine, or of its container.

    Args:
        cgroup: where the limits stand, of version 2 or 1.
        own_groups: as in :func:`count_cores`.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for folder in _list_groups(cgroup, own_groups, "memory"):
        for limit, used, caches in (
            ("memory.max", "memory.current", ("inactive_file", "active_file")),
            (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                ("total_inactive_file", "total_active_file"),
            ),
        ):
            most, now = _read_numbers(folder / limit, 1), _read_numbers(folder / used, 1)
            if not most or not now:  # not there, or the limit reads `max`
                continue
            stat = _read(folder / "memory.stat").split()
            # Pages of files count as used, and are given up when they are wanted.
            kept = sum(int(stat[stat.index(name) + 1]) for name in caches if name in stat)
            free = min(free, max(0, most[0] - now[0] + kept))
    return free


def _list_groups(cgroup: Path, own_groups: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, and of those around them.

    A container that has no view of its own sees its group's path as the host does, but only its own
    folder: what is not there is left out, and the top folder is then the container's.
    """
    yield cgroup  # version 2
    yield cgroup / controller  # version 1
    for line in _read(own_groups).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        names = controllers.split(",")
        if controllers and controller not in names:
            continue
        top = cgroup / controller if controllers else cgroup
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(1, len(parts) + 1):
            yield top.joinpath(*parts[:depth])


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _read_numbers(file: Path, count: int) -> tuple[int, ...]:
    """Return the whole numbers that a file holds; none if it holds anything else."""
    words = _read(file).split()
    is_whole = len(words) == count and all(word.lstrip("-").isdigit() for word in words)
    return tuple(int(word) for word in words) if is_whole else ()
