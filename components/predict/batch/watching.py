"""Watch a batch: a sample of its images against the data that the version was measured on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from components.predict.batch.images import Brought, bring_images
from components.predict.batch.listing import (
    Asked,
    is_store,
    list_remotes,
    read_listing,
    read_rows,
)
from components.predict.watch import MIN_IMAGES, watch

SEED = 0  # the same images give the same sample, and so the same figures


def watch_batch(
    listing: Path, source: str, output: Path, images: int, min_effect: float
) -> bool | None:
    """Compare a sample of a batch with the reference of the version that answers; keep the result.

    A shift that is no trifle shows in some thousand images as well as in millions.

    Args:
        listing: of the batch.
        source: as the listing was made of it.
        output: JSON file for the result.
        images: of the sample, drawn by chance; fewer where there are fewer.
        min_effect: a smaller shift is no drift.

    Returns:
        Whether the batch has drifted; None where it has too few images to tell.

    Raises:
        DarkroomError: as :func:`watch`.
    """
    about = read_listing(listing)
    if about.images < MIN_IMAGES:  # of a quiet night: no reason for a run to fail
        return None
    remotes = list_remotes(source) if is_store(source) else {}
    brought: list[Brought] = []
    try:
        for one in bring_images(draw_sample(listing, images), remotes):
            brought.append(one)
        return watch(
            about.model,
            [one.file for one in brought],
            output,
            min_effect=min_effect,
        )
    finally:
        for one in brought:
            one.remove()


def draw_sample(listing: Path, images: int) -> Iterator[Asked]:
    """Yield images of a listing, drawn by chance, in its order; a partition is read at a time.

    Args:
        listing: of the batch.
        images: how many.
    """
    about = read_listing(listing)
    count = min(images, about.images)
    drawn = sorted(random.Random(SEED).sample(range(about.images), count))  # noqa: S311
    wanted: dict[int, list[int]] = {}
    for number in drawn:
        partition, place = divmod(number, about.partition_images)
        wanted.setdefault(partition, []).append(place)
    for partition, places in wanted.items():
        rows = read_rows(listing, partition)
        yield from (rows[place] for place in places)
