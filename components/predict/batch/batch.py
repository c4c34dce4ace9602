"""The whole of a batch on one machine: list, answer partition by partition, sum up."""

from __future__ import annotations

import tempfile
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.files.ownership import check_apart, check_file
from components.common.terminal import show_plainly
from components.predict.batch.listing import (
    LISTING_FILE,
    SOURCE,
    Listing,
    check_source,
    is_store,
    write_listing,
)
from components.predict.batch.notes import LISTING, is_ours
from components.predict.batch.partitions import answer_partitions, empty_beyond, pin_model
from components.predict.batch.summary import SUMMARY_FILE, describe_summary, write_summary
from components.predict.run import tell


def run_batch(
    source: str, model: str, output: Path, partition_images: int, partition: int | None = None
) -> None:
    """Answer for all images behind a source, or for those of one partition.

    Args:
        source: as :func:`write_listing` takes it.
        model: as predict takes it; an alias means one version for the whole batch.
        output: folder for the listing, the answers and the summary.
        partition_images: images of a partition.
        partition: this one alone, from 0, without a summary: several machines may share a batch.

    Raises:
        DarkroomError: if there is no such source, model or partition, or in the output something
            else in the way.
    """
    check_output(source, output)
    pinned = pin_model(model)
    if partition is None:
        listing = output / LISTING_FILE
        tell(plan(listing, source, pinned, partition_images, output).describe())
        answer_partitions(listing, source, output, 0, 1)
        for line in describe_summary(write_summary(listing, output)):
            print(show_plainly(line))
        return
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        listing = Path(folder) / LISTING_FILE
        count = write_listing(listing, source, pinned, partition_images).partitions
        if partition >= count:
            raise DarkroomError(
                f"--partition {partition}: there are {count}, so legal are 0 to {count - 1}"
            )
        answer_partitions(listing, source, output, partition, count)


def plan(listing: Path, source: str, model: str, partition_images: int, output: Path) -> Listing:
    """List the images of a batch, and take away answers to partitions that are no more.

    Args:
        listing: to be written.
        source: as :func:`write_listing` takes it.
        model: the version that is to answer.
        partition_images: images of a partition.
        output: folder of the batch.
    """
    found = write_listing(listing, source, model, partition_images)
    empty_beyond(output, found.partitions)
    return found


def check_output(source: str, output: Path) -> None:
    """Refuse a folder that the batch must not write into; before the work.

    Raises:
        DarkroomError: if the images lie in it or it in them, or something else is in the way.
    """
    check_source(source)
    named = Path(source.removeprefix("@"))
    if not is_store(source):
        check_apart({SOURCE: named}, {"--output": output})
    if output.exists() and not output.is_dir():
        raise DarkroomError(f"--output {output}: is no folder; give another name")
    check_file(output / SUMMARY_FILE)
    if not is_ours(output / LISTING_FILE, LISTING):
        check_file(output / LISTING_FILE)
