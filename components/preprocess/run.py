"""Preprocess: split the images of the manifest, bring them to size, write them as shards."""

from __future__ import annotations

import pandas as pd

from components.common.dataset import Dataset, Shard, Split, compute_split_digest, write_dataset
from components.common.errors import DarkroomError
from components.common.files import compute_sha256, writing, writing_folder
from components.common.images import ImageForm
from components.common.manifest import OK, SPLITS, read_manifest
from components.common.params import flatten
from components.common.terminal import Stopwatch, say
from components.preprocess.report import check_splits, describe_splits
from components.preprocess.shards import (
    Row,
    ShardPlan,
    find_intact,
    plan_shards,
    take_over,
    write_shards,
)
from components.preprocess.sizes import choose_size_px
from components.preprocess.spec import Inputs, Outputs, Params
from components.preprocess.splits import assign_splits


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write splits.parquet and the shards; dataset.json comes last and marks them ready."""
    watch = Stopwatch()
    manifest = read_manifest(inputs.manifest)
    usable = manifest[manifest["status"] == OK]
    if usable.empty:
        raise DarkroomError(f"{inputs.manifest}: no usable image in it; see reports/quarantine.csv")
    splits = assign_splits(
        usable,
        params.val_fraction,
        params.test_fraction,
        params.near_duplicate_bits,
        params.leakage,
    )
    class_names = sorted(splits["label"].unique())
    check_splits(splits, class_names)
    for finding in describe_splits(splits, class_names):
        say(finding)

    form = create_form(usable, params)
    plans = {
        name: plan_shards(name, create_rows(splits, name, class_names), form, params.shard_mb)
        for name in SPLITS
    }
    intact = find_intact(outputs.shards)
    try:
        with writing_folder(outputs.shards) as folder:
            flat = [plan for name in SPLITS for plan in plans[name]]
            standing = [plan for plan in flat if plan.recipe in intact]
            fresh = [plan for plan in flat if plan.recipe not in intact]
            shards = [take_over(plan, intact[plan.recipe], folder) for plan in standing]
            shards += write_shards(fresh, inputs.images, form, folder)
            with writing(outputs.splits) as temporary:
                splits.to_parquet(temporary, index=False)
            dataset = Dataset(
                class_names=class_names,
                form=form,
                splits={
                    name: create_split(splits, name, class_names, plans[name], shards)
                    for name in SPLITS
                },
                manifest_sha256=compute_sha256(inputs.manifest),
                splits_sha256=compute_sha256(outputs.splits),
                params=flatten(params, "preprocess"),
            )
            write_dataset(folder, dataset)
    except OSError as error:
        raise DarkroomError(
            f"{error.filename or outputs.shards}: cannot be written ({error.strerror}); "
            "make room or give another folder"
        ) from None
    images = sum(len(plan.rows) for plan in fresh)
    kept = f"; {len(standing)} shards stand unchanged" if standing else ""
    made = f"{images:,} images to {form.size_px} px ({form.resize}) in {len(fresh)} shards"
    say(f"{made}{kept} ({watch})")


def create_form(usable: pd.DataFrame, params: Params) -> ImageForm:
    """Return the form of the pixels, the size chosen from the originals where it is `auto`."""
    size_px = params.size_px
    if size_px == "auto":
        size_px = choose_size_px(usable[["width_px", "height_px"]].min(axis=1).to_numpy())
    return ImageForm(size_px, params.resize, params.background)


def create_rows(splits: pd.DataFrame, name: str, class_names: list[str]) -> list[Row]:
    """Return what the shards of a split hold."""
    labels = {label: position for position, label in enumerate(class_names)}
    chosen = splits[splits["split"] == name]
    return [
        Row(path, labels[label], sha256)
        for path, label, sha256 in zip(
            chosen["path"], chosen["label"], chosen["sha256"], strict=True
        )
    ]


def create_split(
    splits: pd.DataFrame,
    name: str,
    class_names: list[str],
    plans: list[ShardPlan],
    shards: list[Shard],
) -> Split:
    """Return what dataset.json says of a split."""
    chosen = splits[splits["split"] == name]
    counts = chosen["label"].value_counts()
    written = {shard.file: shard for shard in shards}
    return Split(
        examples=len(chosen),
        examples_per_class={label: int(counts.get(label, 0)) for label in class_names},
        digest=compute_split_digest(zip(chosen["sha256"], chosen["label"], strict=True)),
        shards=[written[plan.file] for plan in plans],
    )
