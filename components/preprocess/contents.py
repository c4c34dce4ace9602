"""Put together what the shards hold: from the manifest to splits and rows, and to dataset.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.common.artifacts.dataset import Dataset, Shard, Split, compute_split_digest
from components.common.artifacts.manifest import OK, SPLITS, read_manifest
from components.common.artifacts.splits import BATCH
from components.common.errors import DarkroomError
from components.common.files.laid import check_memory, lay_down
from components.common.files.writing import compute_sha256
from components.common.images.pixels import ImageForm
from components.common.terminal import say
from components.preprocess.report import check_splits, describe_splits
from components.preprocess.shards.arrivals import assign_batches
from components.preprocess.shards.plans import ShardPlan, count_images, plan_shards
from components.preprocess.sizes import choose_size_px
from components.preprocess.spec import Params
from components.preprocess.splits.changes import check_fractions, describe_changes
from components.preprocess.splits.classes import fill_classes, keep_reasons
from components.preprocess.splits.labels import (
    add_left_out,
    describe_two_labels,
    find_two_labels,
    keep_together,
)
from components.preprocess.splits.splits import assign_splits, sort_rows

if TYPE_CHECKING:
    import pyarrow as pa

TAKEN_PIXELS = 120_000_000  # photos of 108 million; each process then needs up to 0.5 GB for one
HUNDRED_MEGAPIXELS = 100_000_000


# Memory, as docs/operations.md measures it: what each image takes, and what is taken without any.
IMAGE_BYTES, LEAST_BYTES = 800, 150_000_000
ADVICE = "all images are split together, so that no copy straddles"
# Columns of the manifest that decide what becomes of an image.
DECIDING = (
    *("path", "label", "split", "sha256", "bytes", "width_px", "height_px", "phash", "group"),
    *("status", "luma_sha256", "picture"),
)


def read_usable(manifest: Path) -> pd.DataFrame:
    """Return the rows of the images that may be used; raise DarkroomError if there is none."""
    table = read_manifest(manifest, laid=DECIDING)
    is_usable = (table.pop("status") == OK).to_numpy(bool)
    usable = table if is_usable.all() else lay_down(table, np.flatnonzero(is_usable))
    check_memory(len(usable), IMAGE_BYTES, ADVICE, LEAST_BYTES)
    if usable.empty:
        raise DarkroomError(
            f"{manifest}: no usable image in it; see the reasons in its column `reason`"
        )
    return usable


def draw_splits(
    usable: pd.DataFrame, params: Params, earlier: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the table of splits.parquet, after saying what is in it.

    Args:
        usable: rows of the manifest.
        params: settings.
        earlier: splits of an earlier run; its images stay where they are.

    Raises:
        DarkroomError: if nothing can be learned from these splits.
    """
    images = sort_rows(usable)
    shares = {"val_fraction": params.val_fraction, "test_fraction": params.test_fraction}
    kept = None if params.redraw else earlier
    if kept is not None:
        check_fractions(images, kept, **shares)
    away = find_two_labels(images) & (params.two_labels == "exclude")
    if away.all():
        raise DarkroomError(
            "every image has the bytes of another one with another label; mend the labels, or set "
            "preprocess.two_labels to keep"
        )
    drawn = lay_down(images, np.flatnonzero(~away)) if away.any() else images
    assign = partial(
        assign_splits,
        drawn,
        near_duplicate_bits=params.data.near_duplicate_bits,
        leakage=params.leakage,
        **shares,
    )
    splits = fill_classes(
        assign(earlier=kept),
        drawn,
        assign=lambda filled: assign(earlier=filled),
        earlier=kept,
        **shares,
    )
    splits = keep_reasons(keep_together(add_left_out(splits, images[away])), kept)
    form = create_form(usable, params)
    splits[BATCH] = assign_batches(splits, kept, count_images(form, params.shard_mb))
    for finding in describe_two_labels(splits):
        say(finding)
    if earlier is not None:
        say(describe_changes(images, splits, earlier, redraw=params.redraw))
    class_names = list_classes(splits)
    check_splits(splits, class_names)
    for finding in describe_splits(splits, class_names, images, **shares):
        say(finding)
    return splits


def list_classes(splits: pd.DataFrame) -> list[str]:
    """Return the class names; a label is a position in them."""
    return sorted(splits["label"].unique())


def create_form(usable: pd.DataFrame, params: Params) -> ImageForm:
    """Return the form of the pixels; where the size is `auto`, the originals decide it.

    So it is with the largest image that a model takes: as large as validate let through here, and
    at least what its default lets through, so that another photo of the same phone is answered.
    """
    size_px = params.size_px
    if size_px == "auto":
        size_px = choose_size_px(usable[["width_px", "height_px"]].min(axis=1).to_numpy())
    pixels = int((usable["width_px"] * usable["height_px"]).max())
    hundreds = -(-pixels // HUNDRED_MEGAPIXELS) * HUNDRED_MEGAPIXELS
    return ImageForm(
        size_px,
        params.resize,
        params.background,
        srgb=True,
        deep_colours=True,
        grey_window=tuple(params.grey_window),
        max_pixels=TAKEN_PIXELS if pixels <= TAKEN_PIXELS else hundreds,
    )


def plan_splits(
    splits: pd.DataFrame, class_names: Sequence[str], form: ImageForm, shard_mb: int
) -> list[ShardPlan]:
    """Return the shards of all splits: train, val, test."""
    import pyarrow as pa

    labels = {label: position for position, label in enumerate(class_names)}
    kinds = {"path": pa.large_string(), "label": pa.int64(), "sha256": pa.large_string()}
    schema, plans = pa.schema(kinds), list[ShardPlan]()
    for name in SPLITS:
        own = np.flatnonzero(splits["split"] == name)
        chosen = lay_down(splits[["path", "label", "sha256", BATCH]], own)
        chosen["label"] = chosen["label"].map(labels).astype(np.int64)
        batch = chosen.pop(BATCH).to_numpy(np.int64)
        table = pa.Table.from_pandas(chosen, schema, preserve_index=False)
        arrived = [_take(table, batch == number) for number in np.unique(batch)]
        plans += plan_shards(name, arrived or [schema.empty_table()], form, shard_mb)
    return plans


def _take(table: pa.Table, rows: np.ndarray) -> pa.Table:
    return table if rows.all() else table.take(np.flatnonzero(rows))


def create_dataset(
    *,
    splits: pd.DataFrame,
    class_names: Sequence[str],
    form: ImageForm,
    plans: Sequence[ShardPlan],
    shards: Mapping[str, Shard],
    manifest: Path,
    splits_file: Path,
    params: Mapping[str, Any],
) -> Dataset:
    """Return what dataset.json says.

    Args:
        splits: table of splits.parquet.
        class_names: position = label.
        form: form of the pixels.
        plans: the shards in order.
        shards: file name → what was written.
        manifest: the file that the splits were made from.
        splits_file: the file that holds the splits.
        params: settings, dotted keys.
    """
    found = {}
    for name in SPLITS:
        chosen = splits[["sha256", "label"]][splits["split"] == name]
        counts = chosen["label"].value_counts()
        found[name] = Split(
            examples=len(chosen),
            examples_per_class={label: int(counts.get(label, 0)) for label in class_names},
            digest=compute_split_digest(zip(chosen["sha256"], chosen["label"], strict=True)),
            shards=[shards[plan.file] for plan in plans if plan.split == name],
        )
    return Dataset(
        class_names=list(class_names),
        form=form,
        splits=found,
        manifest_sha256=compute_sha256(manifest),
        splits_sha256=compute_sha256(splits_file),
        params=dict(params),
    )
