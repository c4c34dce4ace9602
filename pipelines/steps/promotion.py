"""Promote inside a task: ask who is champion, and let the room decide if it is another model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from components.common.artifacts.predictions import read_predictions
from components.common.artifacts.sample import choose_rows
from components.common.files.writing import read_json
from components.common.images.listing import open_images
from pipelines.steps.bundles import FILES, copy_files, find_input
from pipelines.steps.rooms import one_line, run_room
from pipelines.steps.runs import THIS_MODEL, look_up_champion, recording_end
from pipelines.steps.views import describe_verdict


@one_line
def carry_images(given: Mapping[str, Any], count: int) -> None:
    """Put the test images that promote will look at into the folder of the evaluation.

    Args:
        given: the arguments of the task, after evaluate has run.
        count: images, or fewer where there are no more.
    """
    evaluation = Path(given["evaluation"].path)
    predictions = read_predictions(evaluation / FILES["predictions"])
    paths = [predictions.paths[row] for row in choose_rows(predictions.sha256, count)]
    with open_images(find_input(given, "images"), paths).bringing() as folder:
        copy_files(folder, paths, evaluation / "images")


@one_line
def promote(given: Mapping[str, Any], model_digest: str) -> str:
    """Return the verdict in words, after the registry was asked and changed.

    Args:
        given: the arguments of the task.
        model_digest: sha256 of the model file.
    """
    with recording_end(given, last=True):
        champion = look_up_champion(given, model_digest)
        print(f"  champion now: {champion}", flush=True)
        if champion == THIS_MODEL:
            return "this model is champion already: there is nothing to promote"
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            file = Path(folder) / "verdict"
            verdict = SimpleNamespace(path=str(file), name="verdict", metadata={})
            run_room("promote", {**given, "verdict": verdict})
            words = describe_verdict(read_json(file))
    print(words, flush=True)
    return words
