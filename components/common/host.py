"""What this process may use of its machine: cores and memory, a container's limits included."""

from __future__ import annotations

import ctypes
import math
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # where Linux shows the limits of a group of processes
OWN_GROUPS = Path("/proc/self/cgroup")  # which groups this process is in: `number:controllers:path`

# Multiplications that a thread must have before it may be one of several: some 0.1 s of a core, in
# which a wait of a few milliseconds is lost.
THREAD_OPERATIONS = 1e9

_allowed: list[float] = []  # GB that this process may plan with; empty: what is free

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>

LIMITS = (  # files of a group, of version 2 and of version 1, and entries of its memory.stat
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)


def count_visible_cores() -> int:
    """Return how many cores this process may run on: its affinity, which knows no quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def count_cores(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> int:
    """Return how many cores this process may keep busy, at least 1.

    The fewest of those that it may run on and of what its quotas pay for, rounded up.

    Args:
        cgroup: where the quotas stand.
        own_groups: the file that names the groups of this process.
    """
    cores = count_visible_cores()
    for folder in _list_groups(cgroup, own_groups, "cpu"):
        quota = _read_numbers(2, folder / "cpu.max") or _read_numbers(
            1, folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
        )
        if quota and min(quota) > 0:  # none is `max` or, in version 1, -1
            cores = min(cores, math.ceil(quota[0] / quota[1]))
    return cores


def can_share_work() -> bool:
    """Whether several processes can work together: they wait for one another in /dev/shm.

    In a sandbox, or where it is mounted read-only, they cannot; one at a time works anywhere.
    """
    from multiprocessing import Lock

    try:
        Lock()
    except (OSError, ImportError):
        return False
    return True


@contextmanager
def limit_blas(operations: float) -> Iterator[int]:
    """Let NumPy, SciPy and scikit-learn have as many threads as the work inside is worth.

    By itself BLAS takes a thread for each core that it sees, and they wait for each other in a
    loop: where another program, or a container's quota, takes one of these cores away, a product
    of a millisecond lasts as long as the kernel's turn of the others, 50 to 120 times as long.

    Args:
        operations: multiplications in one product of matrices, the unit in which threads meet.

    Yields:
        How many threads there are.
    """
    from threadpoolctl import threadpool_limits

    threads = max(1, min(count_cores(), int(operations / THREAD_OPERATIONS)))
    with threadpool_limits(threads, user_api="blas"):
        yield threads


def limit_memory(most_gb: float | None) -> None:
    """Let this process plan with no more memory than a person allows; None: with what is free.

    Args:
        most_gb: GB, what it has taken already included.
    """
    _allowed[:] = [] if most_gb is None else [most_gb]


def describe_memory(free: int) -> str:
    """Return how much memory is free, and of what, as a message says it.

    Args:
        free: of :func:`find_free_memory`.
    """
    limit = f" of machine.memory_gb ({_allowed[0]:g})" if _allowed else ""
    return f"{free / 1e9:,.1f} GB{limit} are free"


def find_free_memory(cgroup: Path = CGROUP, own_groups: Path = OWN_GROUPS) -> int:
    """Return the bytes that this process may still take: of the machine, or of its container.

    No more than :func:`limit_memory` leaves it.

    Args:
        cgroup: where the limits stand.
        own_groups: as in :func:`count_cores`.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for folder in _list_groups(cgroup, own_groups, "memory"):
        for limit, used, caches in LIMITS:
            numbers = _read_numbers(1, folder / limit, folder / used)
            if numbers:
                # Pages of files count as used, and are given up when they are wanted.
                kept = sum(_read_entry(folder / "memory.stat", name) for name in caches)
                free = min(free, max(0, numbers[0] - numbers[1] + kept))
    if _allowed:
        own = psutil.Process().memory_info()
        taken = own.rss - getattr(own, "shared", 0)  # less pages of files, where the system tells
        free = min(free, max(0, int(_allowed[0] * 1e9) - taken))
    return free


def end_with_parent(parent: int) -> None:
    """Let this process be killed when the one that started it ends, even by SIGKILL (on Linux).

    A worker of a pool holds both ends of the pipe that it waits on, so it would wait for ever.

    Args:
        parent: id of the process that started this one.
    """
    tell = getattr(ctypes.CDLL(None), "prctl", None)
    if tell is not None:
        tell(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it was told
            os._exit(1)


def give_back_memory() -> None:
    """Give the system back what was freed; by itself the C library keeps it for each thread."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def _list_groups(cgroup: Path, own_groups: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, and of those around them.

    A container that has no view of its own sees its group's path as the host does, but only its own
    folder: what is not there is left out, and the top folder is then the container's.
    """
    # Version 2 names no controllers; beside version 1 it has a folder of its own.
    tops = {"": (cgroup, cgroup / "unified"), controller: (cgroup / controller,)}
    for folders in tops.values():
        yield from folders
    for line in _read(own_groups).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for name in controllers.split(","):
            for top in tops.get(name, ()):
                yield from (top.joinpath(*parts[: n + 1]) for n in range(len(parts)))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _read_numbers(count: int, *files: Path) -> list[int]:
    """Return the whole numbers of some files; none if one of them does not hold just so many."""
    found: list[int] = []
    for file in files:
        words = _read(file).split()
        if len(words) != count or not all(re.fullmatch("-?[0-9]{1,20}", word) for word in words):
            return []
        found += map(int, words)
    return found


def _read_entry(file: Path, name: str) -> int:
    """Return the number behind a name in a file of lines `name number`; 0 if there is none."""
    found = re.search(rf"^{name} ([0-9]{{1,20}})$", _read(file), re.MULTILINE)
    return int(found[1]) if found else 0
