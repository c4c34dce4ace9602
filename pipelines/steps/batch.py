"""Answers to very many images over several pods: list, answer, sum up, watch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.params import flatten
from components.common.terminal import say
from pipelines.steps.rooms import leave_kfps_run, one_line, read_params_of

DRIFT_FILE = "drift.json"


@one_line
def plan(given: Mapping[str, Any], workers: int) -> list[str]:
    """Write the listing; return who answers what, number/count: as text, which KFP leaves alone.

    An alias of the model becomes the version that it means now, so that all answers are of one.
    """
    leave_kfps_run()
    settings, output = _settings(given), Path(given["output"])
    whole = _room("batch")
    whole.check_output(given["source"], output)
    model = _room("partitions").pin_model(given["model"])
    listing = Path(given["listing"].path)
    found = whole.plan(listing, given["source"], model, settings.partition_images, output)
    say(f"{found.describe()}; {found.model} answers")
    count = min(workers, found.partitions)
    return [f"{part}/{count}" for part in range(count)]


@one_line
def write(given: Mapping[str, Any], name: str) -> str:
    """Answer the partitions of one worker; return in words how many were not answered yet."""
    leave_kfps_run()
    part, parts = map(int, name.split("/"))
    done = _room("partitions").answer_partitions(
        Path(given["listing"].path), given["source"], Path(given["output"]), part, parts
    )
    return f"worker {name}: {done} partitions answered"


@one_line
def sum_up(given: Mapping[str, Any]) -> None:
    """Write the summary, and show its figures on KFP's page."""
    room = _room("summary")
    found = room.write_summary(Path(given["listing"].path), Path(given["output"]))
    for line in room.describe_summary(found):
        say(line)
    for name, value in flatten(found).items():
        if isinstance(value, (int, float)):
            given["summary"].log_metric(name, value)


@one_line
def watch(given: Mapping[str, Any]) -> str:
    """Compare a sample with the data that the version was measured on; fail if that is asked for.

    The figures are kept in MLflow, and a tag of the version tells of a drift, whatever is asked.
    """
    leave_kfps_run()
    settings, output = _settings(given), Path(given["output"]) / DRIFT_FILE
    if not settings.watch_images:
        return "not watched: predict.batch.watch_images is 0"
    drifted = _room("watching").watch_batch(
        Path(given["listing"].path),
        given["source"],
        output,
        settings.watch_images,
        settings.min_effect,
    )
    if drifted is None:
        return "not watched: too few images to tell them from others"
    if drifted and settings.fail_on_drift:
        raise DarkroomError(
            f"the batch has drifted: it is not what the model was measured on. All its answers are "
            f"there; {output} has the figures, and predict.batch.fail_on_drift lets such a run fail"
        )
    return "drift" if drifted else "no drift"


def _room(module: str) -> Any:
    return importlib.import_module(f"components.predict.batch.{module}")


def _settings(given: Mapping[str, Any]) -> Any:
    return read_params_of("predict", given).batch
