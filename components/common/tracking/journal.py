"""A run of hours must not be lost because MLflow is: what cannot be sent is kept and sent later.

A server that does not answer costs its retries once, about a minute; then each record is a line of
a file beside run.json, with the time at which it was made. The lines are sent as soon as the server
answers again: by the same run, by the next room that goes on with it, or by the next run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from components.common.files.writing import read_json
from components.common.settings.spec import Mlflow
from components.common.terminal import say
from components.common.tracking.failures import is_lost
from components.common.tracking.runs import (
    CONTINUES,
    add_params,
    end_abandoned,
    find_run,
    set_experiment,
)
from components.common.tracking.server import describe_uri, is_answering

PROBE_SECONDS = 2.0


class Recorder:
    """Stands for the `mlflow` module: what is logged goes through it; all else is MLflow's own."""

    def __init__(self, mlflow: Any, names: Mlflow, run_id: str, file: Path) -> None:
        """Log to a run.

        Args:
            mlflow: the module.
            names: the experiment that holds the run.
            run_id: of the run; where no server knows it yet, any.
            file: the journal.
        """
        self._mlflow, self._names, self.run_id, self.file = mlflow, names, run_id, file

    def __getattr__(self, name: str) -> Any:
        """Return what MLflow has under this name."""
        return getattr(self._mlflow, name)

    def active_run(self) -> Any:
        """Return what is known of the run without asking: `info.run_id`."""
        return SimpleNamespace(info=SimpleNamespace(run_id=self.run_id))

    def record_params(self, params: Mapping[str, Any]) -> None:
        """Log settings, as `runs.log_params` does."""
        self._record({"params": {key: str(value) for key, value in params.items()}})

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log numbers of one step."""
        self._record({"metrics": dict(metrics), "step": step})

    def log_metric(self, key: str, value: float, step: int = 0) -> None:
        """Log one number."""
        self.log_metrics({key: value}, step)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of the run."""
        self._record({"tags": dict(tags)})

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag of the run."""
        self.set_tags({key: value})

    def log_input(self, dataset: Any, context: str) -> None:
        """Say which data set the run used."""
        self._record({"input": dataset.to_dict(), "context": context})

    def log_artifact(self, path: str, folder: str) -> None:
        """Send a file; one that is sent later is read later."""
        self._record({"artifact": str(Path(path).absolute()), "folder": folder})

    def log_artifacts(self, path: str, folder: str) -> None:
        """Send all files of a folder; those that are sent later are read later."""
        self.log_artifact(path, folder)

    def end(self, status: str) -> None:
        """End the run, and try once more to send what was kept."""
        line = {"status": status}
        if self._mlflow.active_run():
            try:
                self._mlflow.end_run(status)
            except Exception as error:
                if not is_lost(error):
                    raise
                self.keep(line)
        else:
            self._record(line)
        self._send_kept()

    def keep(self, line: dict[str, Any], run_id: str = "") -> None:
        """Add a record to the journal, of this run or of another one."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(stamp(line, run_id or self.run_id)) + "\n")
        except OSError as error:  # a task's inputs may be read-only
            say(f"{self.file} cannot be written ({error.strerror}): a record for MLflow is lost")

    def _record(self, line: dict[str, Any]) -> None:
        if self.file.exists() and not self._send_kept():
            return self.keep(line)
        try:
            _send(self._mlflow, self.run_id, stamp(line, self.run_id))
        except Exception as error:  # what a lost server makes of a request has many types
            if not is_lost(error):
                raise
            say(
                f"MLflow at {describe_uri(self._mlflow)} is lost; the work goes on, and "
                f"{self.file} keeps what it could not be told until it answers again"
            )
            self.keep(line)
        return None

    def _send_kept(self) -> bool:
        """Send the journal if the server answers; whether none is left."""
        if not self.file.exists():
            return True
        if not is_answering(self._mlflow.get_tracking_uri(), PROBE_SECONDS):
            return False
        try:
            sent = send_journal(self._mlflow, self._names, self.file)
        except Exception as error:
            if not is_lost(error):
                raise
            return False
        self.run_id = sent.get(self.run_id, self.run_id)
        return True


class Silent:
    """Stands for the `mlflow` module where nothing is to be logged: takes all, does nothing."""

    def __getattr__(self, name: str) -> Silent:
        """Return itself, whatever is asked for."""
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Silent:
        """Do nothing."""
        return self

    def __contains__(self, item: object) -> bool:
        """Hold nothing."""
        return False


def find_journal(file: Path) -> Path:
    """Return where records that were not sent are kept, beside the file that names the run."""
    return file.with_name(f"{file.stem}.unsent.jsonl")


def read_journal(file: Path) -> list[dict[str, Any]]:
    """Return the records of a journal; a last line that a kill cut short is left out."""
    found = []
    for line in file.read_bytes().splitlines() if file.exists() else []:
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("run_id"), str):
                found.append(record)
    return found


def send_journal(
    mlflow: Any, names: Mlflow, file: Path, run_file: Path | None = None
) -> dict[str, str]:
    """Send what was kept, each record to its run, and remove the file.

    A run that began while no server answered is opened now, with the time at which it began.

    Args:
        mlflow: the module, with a server that answers.
        names: the experiment of runs whose beginning is not in the journal.
        file: the journal.
        run_file: run.json, which has such a run's record too: it travels where the journal is not.

    Returns:
        Id in the journal → id on the server.

    Raises:
        MlflowException: if the server is lost again; then nothing is removed, and sending twice
            does no harm.
    """
    lines = read_journal(file)
    travelled = read_json(run_file).get("unsent", []) if run_file else []
    apart = travelled[0]["run_id"] if travelled else ""
    is_news = apart and apart not in {line["run_id"] for line in lines}
    if is_news and not find_run(mlflow, names.experiment, apart):  # else it was told long ago
        lines += travelled
    targets: dict[str, str] = {}
    sent = 0
    for line in lines:
        run_id = line["run_id"]
        if run_id not in targets:
            experiment = line.get("open", {}).get("experiment", names.experiment)
            targets[run_id] = find_run(mlflow, experiment, run_id)
        if "open" in line and not targets[run_id]:
            targets[run_id] = _open(mlflow, line)
        if targets[run_id] and "abandoned" in line:
            end_abandoned(mlflow, names.experiment, targets[run_id])
        elif targets[run_id]:  # else it was deleted
            _send(mlflow, targets[run_id], line)
            sent += 1
    file.unlink(missing_ok=True)
    if sent:
        say(f"MLflow at {describe_uri(mlflow)} answers again: {sent} records were sent")
    return {run_id: target for run_id, target in targets.items() if target}


def stamp(line: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return a record with its time and run."""
    return {**line, "time": int(time.time() * 1000), "run_id": run_id}


def _open(mlflow: Any, line: Mapping[str, Any]) -> str:
    """Open a run that began before; return its id."""
    start = line["open"]
    experiment = set_experiment(mlflow, start["experiment"])
    run = mlflow.MlflowClient().create_run(
        experiment.experiment_id,
        start_time=line["time"],
        tags=start["tags"] | {CONTINUES: line["run_id"]},
        run_name=start["name"],
    )
    return str(run.info.run_id)


def _send(mlflow: Any, run_id: str, line: Mapping[str, Any]) -> None:
    client, entities = mlflow.MlflowClient(), mlflow.entities
    if "metrics" in line:
        metrics = [
            entities.Metric(key, float(value), line["time"], line["step"])
            for key, value in line["metrics"].items()
        ]
        client.log_batch(run_id, metrics=metrics)
    elif "params" in line:
        add_params(mlflow, run_id, line["params"])
    elif "tags" in line:
        tags = [entities.RunTag(key, str(value)) for key, value in line["tags"].items()]
        client.log_batch(run_id, tags=tags)
    elif "input" in line:
        tag = entities.InputTag("mlflow.data.context", line["context"])
        found = entities.DatasetInput(entities.Dataset(**line["input"]), [tag])
        client.log_inputs(run_id, [found])
    elif "artifact" in line:
        path = Path(line["artifact"])
        if path.exists():
            send = client.log_artifacts if path.is_dir() else client.log_artifact
            send(run_id, str(path), line["folder"])
    elif "status" in line:
        client.set_terminated(run_id, line["status"], line["time"])
