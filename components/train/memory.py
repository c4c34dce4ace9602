"""Whether the images fit into memory, or stay in their shards."""

from __future__ import annotations

from pathlib import Path

from components.common.dataset import Dataset
from components.common.examples import Examples, read_split
from components.common.terminal import say
from components.train.stored import open_split

# The rest is for the network, the features, the batches on their way, and other programs.
SHARE = 0.5
CGROUP = Path("/sys/fs/cgroup")


def read_train_and_val(folder: Path, dataset: Dataset) -> tuple[Examples, Examples]:
    """Return both splits, their pixels in memory if half of what is free holds them.

    Otherwise they are read from the shards as they are wanted, each image by itself: the order of
    the images, and so the result, is the same.
    """
    images = dataset.splits["train"].examples + dataset.splits["val"].examples
    needed, free = images * dataset.form.size_px**2 * 3, find_free_memory()
    sizes = f"train and val are {_describe(needed)} as pixels, {_describe(free)} of memory are free"
    if needed <= SHARE * free:
        say(f"{sizes}: kept in memory")
        return read_split(folder, "train"), read_split(folder, "val")
    say(f"{sizes}, of which {SHARE:.0%} may be used: read from the shards as they are wanted")
    return open_split(folder, "train", dataset), open_split(folder, "val", dataset)


def _describe(size: int) -> str:
    """Return bytes as a person says them: `35 MB`, `21.6 GB`."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def find_free_memory(cgroup: Path = CGROUP) -> int:
    """Return the bytes that this process may still take: of the machine, or of its container.

    Args:
        cgroup: where Linux shows the limits of the container, version 2 or 1.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used, caches in (
        ("memory.max", "memory.current", ("inactive_file", "active_file")),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            ("total_inactive_file", "total_active_file"),
        ),
    ):
        try:
            most, now = (int((cgroup / name).read_text()) for name in (limit, used))
            stat = (cgroup / limit).with_name("memory.stat").read_text().split()
        except (OSError, ValueError):  # not there, or the limit reads `max`
            continue
        # Pages of files count as used, and are given up when they are wanted.
        kept = sum(int(stat[stat.index(name) + 1]) for name in caches if name in stat)
        free = min(free, max(0, most - now + kept))
    return free
