"""One trial of a search: train with its settings, report each epoch, stop early if told to."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.history import PROBE
from components.common.errors import DarkroomError
from components.common.files.writing import remove_written
from components.common.terminal import say
from components.common.tracking.failures import explain_failures
from components.train.records.trial import Trial
from components.train.selection.kept import Contest, Judged
from components.train.spec import Inputs, Outputs, Params

if TYPE_CHECKING:
    import optuna

RUN = "run.json"  # of all trials of a search
REPEATS = "repeats"  # attribute of a trial: the number of the one that it repeats, other seed
STOPPED = "stopped"  # attribute of a trial that Ctrl-C ended, and that is gone on with


def run_attempt(
    mlflow: Any,
    trial: optuna.Trial,
    params: Params,
    *,
    shards: Path,
    folder: Path,
    parent: str,
) -> float:
    """Train once, or go on where an earlier attempt at this trial was stopped.

    Args:
        mlflow: the module, set on its server.
        trial: with its settings as an attribute.
        params: of the room, those settings among them.
        shards: folder of shards and dataset.json.
        folder: of this trial, the same in each attempt; beside it lie the features.
        parent: MLflow run that the trial's run lies below.

    Returns:
        The validation log loss, at its own temperature, of the epoch that train would keep.

    Raises:
        optuna.TrialPruned: if others were better by then, or the training failed after its probe:
            settings may be too bold, and no reason to end the search.
    """
    import optuna

    from components.common.backend import keras
    from components.train.run import run

    settings = trial.user_attrs["settings"]
    shown = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in settings.items())
    print(f"\ntrial {trial.number} · {shown}", flush=True)
    epochs: list[Judged] = []
    ends: list[Contest] = []
    runs: list[str] = []
    is_repeat = REPEATS in trial.user_attrs

    def watch(judged: Judged, recorder: Any) -> None:
        epoch = judged.epoch
        if not epochs:
            runs.append(recorder.active_run().info.run_id)
            tags = {"mlflow.parentRunId": parent, "mlflow.runName": f"trial {trial.number}"}
            recorder.set_tags(tags | {"darkroom.trial": str(trial.number)})
        epochs.append(judged)
        trial.report(judged.loss, epoch.epoch)
        if not is_repeat and epoch.phase != PROBE and trial.should_prune():
            recorder.set_tag("darkroom.pruned", "true")
            raise optuna.TrialPruned

    keras.utils.clear_session()
    trial.set_user_attr(STOPPED, False)
    folder.mkdir(parents=True, exist_ok=True)
    files = {field.name: folder / field.name for field in dataclasses.fields(Outputs)}
    # What MLflow missed is kept beside it, and sent by the next trial that reaches MLflow.
    files["run"] = folder.with_name(RUN)
    try:
        run(
            Inputs(shards),
            Outputs(**files),
            params,
            Trial(watch, ends.append, folder.with_name("features")),
        )
    except optuna.TrialPruned:
        say(f"pruned after epoch {epochs[-1].epoch.epoch}: others were better by then")
        with explain_failures():
            mlflow.MlflowClient().set_terminated(runs[0], "KILLED")
        remove_written(folder)
        raise
    except DarkroomError as error:
        if not epochs:  # whatever the settings, it would fail
            raise
        say(f"given up after epoch {epochs[-1].epoch.epoch}: {error}")
        remove_written(folder)
        raise optuna.TrialPruned from error
    except KeyboardInterrupt:
        trial.set_user_attr(STOPPED, True)
        raise
    # What train would keep of the fine-tuned epochs; were it the probe, that would be the same in
    # all trials, however much their settings spoil. Without fine-tuning the probe is what is tried.
    judged = ends[0].tuned or ends[0].probe
    trial.set_user_attr("val_accuracy", judged.epoch.val_accuracy)
    remove_written(folder)
    return judged.loss
