"""Pixels that an earlier run has left in its shards, so that their images are not read again.

A shard is written anew where an image has left it, or where labels are others now. Pixels are a
function of the image's bytes and of what the shard's recipe tells, so those that it held are
still right.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm
from components.common.shards.tfrecord import compute_masked_crc
from components.common.shards.tfscan import CRC_BYTES, scan_shard
from components.preprocess.shards.plans import ShardPlan, Stored


def list_stored(
    plans: Sequence[ShardPlan], recipes: Mapping[str, str], wanted: Container[str]
) -> Stored:
    """Return where the pixels of images are.

    Args:
        plans: the shards of an earlier run, planned again with the form and code of now.
        recipes: recipe of a shard that is there → its file.
        wanted: sha256 of the images.
    """
    return {
        row.sha256: (recipes[plan.recipe], number)
        for plan in plans
        if plan.recipe in recipes
        for number, row in enumerate(plan.rows)
        if row.sha256 in wanted
    }


def pick_stored(stored: Stored, plan: ShardPlan) -> Stored:
    """Return where the pixels of the images of one shard are."""
    return {row.sha256: stored[row.sha256] for row in plan.rows if row.sha256 in stored}


def read_stored(folder: Path, stored: Stored, form: ImageForm) -> dict[str, bytes]:
    """Return the pixels of images, those that can be read and are whole: sha256 → bytes.

    Args:
        folder: of the earlier shards.
        stored: the images that are wanted.
        form: form of the pixels.
    """
    by_file: dict[str, dict[int, str]] = {}
    for sha256, (file, number) in stored.items():
        by_file.setdefault(file, {})[number] = sha256
    found: dict[str, bytes] = {}
    for file, wanted in by_file.items():
        try:
            with (folder / file).open("rb") as stream:
                for number, place in enumerate(scan_shard(folder / file)):
                    if wanted.get(number) != place.sha256:
                        continue
                    stream.seek(place.start)
                    data = stream.read(place.length)
                    pixels = data[slice(*place.pixels)]
                    is_whole = stream.read(CRC_BYTES) == compute_masked_crc(data)
                    if is_whole and len(pixels) == form.size_px**2 * 3:
                        found[place.sha256] = pixels
        except (OSError, DarkroomError):
            continue  # gone, or damaged: the images are read
    return found
