"""Preprocess: split the images of the manifest, bring them to size, write them as shards."""

from __future__ import annotations

from components.common.artifacts.dataset import write_dataset
from components.common.artifacts.groups import write_groups
from components.common.artifacts.splits import write_splits
from components.common.errors import DarkroomError
from components.common.files.laid import laying_in
from components.common.files.writing import writing_folder
from components.common.settings.params import list_settings
from components.common.terminal import Stopwatch, say
from components.preprocess.contents import (
    create_dataset,
    create_form,
    draw_splits,
    list_classes,
    plan_splits,
    read_usable,
)
from components.preprocess.shards.shards import find_intact, take_over, write_shards
from components.preprocess.spec import Inputs, Outputs, Params
from components.preprocess.splits.history import read_earlier


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write splits.parquet and the shards; dataset.json comes last and marks them ready."""
    with laying_in(outputs.splits.parent):
        _run(inputs, outputs, params)


def _run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    watch = Stopwatch()
    usable = read_usable(inputs.manifest)
    earlier = read_earlier(outputs.splits, redraw=params.redraw)
    splits = draw_splits(usable, params, earlier)
    class_names = list_classes(splits)
    form = create_form(usable, params)
    plans = plan_splits(splits, class_names, form, params.shard_mb)
    intact = find_intact(outputs.shards, plans)
    fresh = [plan for plan in plans if plan.file not in intact]
    try:
        with writing_folder(outputs.shards, "preprocess", damaged=True) as folder:
            shards = take_over(intact, outputs.shards, folder)
            shards |= write_shards(fresh, inputs.images, form, folder)
            write_splits(outputs.splits, splits)
            dataset = create_dataset(
                splits=splits,
                class_names=class_names,
                form=form,
                plans=plans,
                shards=shards,
                manifest=inputs.manifest,
                splits_file=outputs.splits,
                params=list_settings("preprocess", params),
            )
            write_groups(folder, splits)
            write_dataset(folder, dataset)
    except OSError as error:
        raise DarkroomError(
            f"{error.filename or outputs.shards}: cannot be written ({error.strerror}); "
            "make room or give another folder"
        ) from None
    if intact:
        say(f"{len(intact)} of {len(plans)} shards stand unchanged")
    images = sum(len(plan.rows) for plan in fresh)
    made = f"{images:,} images, {form.resize} to {form.size_px} px"
    say(f"{len(fresh)} shards written: {made} ({watch})")
