"""What a person types after init."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.init.choices import LARGER, LARGER_COST, count_training
from components.init.machine import Machine
from components.init.rules import FEWEST_FOR_TEST, count_test
from components.init.sight import Sight


def describe_next(sight: Sight, values: Mapping[str, Any], machine: Machine) -> Iterator[str]:
    """Yield how long a run will take, and the commands.

    Args:
        sight: of the source.
        values: sections of params.yaml as they are now.
        machine: what a run has.
    """
    splits = values["preprocess"]
    test, _ = count_test(sight, splits.test_fraction)
    if test < FEWEST_FOR_TEST:
        yield (
            f"{test} test images may make a first champion, and show of none after it that it is "
            "better: more photos help most"
        )
    if not machine.gpu:
        training = machine.estimate_training(
            count_training(sight, splits.val_fraction, splits.test_fraction), sight.shorter_px
        )
        if values["train"].backbone == LARGER:
            training *= LARGER_COST
        budget = values["train"].budget_minutes or training
        whole = min(training, budget) + machine.estimate_others(sight.images)
        yield f"a run takes about {max(1, round(whole)):,} min on {machine.cores} cores"
    yield "next:"
    folder = Path(sight.folder)
    is_here = not sight.ingest and not folder.is_absolute()
    if is_here and not folder.with_name(f"{folder.name}.dvc").is_file():
        yield f"  dvc add {shlex.quote(sight.folder)}  # DVC keeps them as they are now"
    yield "  make run" if Path("Makefile").is_file() else "  dvc repro"
    model = shlex.quote(f"models:/{values['mlflow'].registered_model}@champion")
    yield f"  python -m components.predict --model {model} PHOTO"
    if folder.is_absolute():
        yield (
            f"DVC keeps no photos from outside of this folder; if it should: `cp -r "
            f"{shlex.quote(sight.folder)} data/`, and init anew"
        )
