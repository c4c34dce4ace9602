"""Whether the images fit into memory, or stay in their shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.groups import read_groups
from components.common.errors import DarkroomError
from components.common.host import describe_memory, find_free_memory
from components.common.shards.examples import Examples, read_split
from components.common.shards.stored import open_split
from components.common.terminal import say

# The rest is for the network, the features, the batches on their way, and other programs.
SHARE = 0.5


def read_train_and_val(folder: Path, dataset: Dataset) -> tuple[Examples, Examples]:
    """Return both splits, their pixels in memory if half of what is free holds them.

    Otherwise they are read from the shards as they are wanted, each image by itself: the order of
    the images, and so the result, is the same.

    Raises:
        DarkroomError: if there is nothing to learn, or nothing to judge it by.
    """
    for name, least in (("train", 2), ("val", 1)):
        known = sum(count > 0 for count in dataset.splits[name].examples_per_class.values())
        if known < least:
            raise DarkroomError(
                f"{folder}: split {name} has images of {known} classes, of {least} or more are "
                "needed; run preprocess again, with more images"
            )
    images = dataset.splits["train"].examples + dataset.splits["val"].examples
    needed, free = images * dataset.form.size_px**2 * 3, find_free_memory()
    sizes = f"train and val are {_describe(needed)} as pixels, {describe_memory(free)}"
    if needed <= SHARE * free:
        say(f"{sizes}: kept in memory")
        found = read_split(folder, "train"), read_split(folder, "val")
    else:
        say(f"{sizes}, of which {SHARE:.0%} may be used: read from the shards as they are wanted")
        found = open_split(folder, "train", dataset), open_split(folder, "val", dataset)
    train, val = (
        replace(split, groups=read_groups(folder, split.paths, split.sha256)) for split in found
    )
    return train, val


def _describe(size: int) -> str:
    """Return bytes as a person says them: `35 MB`, `21.6 GB`."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
