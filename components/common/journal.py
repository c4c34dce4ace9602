"""A run of hours must not be lost because MLflow is: what cannot be sent is kept and sent later.

A server that is unreachable at the start is an error at second zero. One that goes away later
costs its retries once, about a minute; then each record is a line of a file beside run.json, with
the time at which it was made. It is sent as soon as the server answers again: by the same run, or
by the next room that goes on with the run.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.files import write_json
from components.common.spec import Mlflow
from components.common.terminal import say
from components.common.tracking import (
    describe_uri,
    explain_failures,
    import_mlflow,
    open_run,
    set_experiment,
)

PROBE_SECONDS = 2.0


class Recorder:
    """Stands for the `mlflow` module: what train logs goes through it; all else is MLflow's own."""

    def __init__(self, mlflow: Any, run_id: str, file: Path) -> None:
        self._mlflow, self._run_id, self.file = mlflow, run_id, file

    def __getattr__(self, name: str) -> Any:
        """Return what MLflow has under this name."""
        return getattr(self._mlflow, name)

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

    def log_artifact(self, path: str, folder: str) -> None:
        """Send a file; one that is sent later is read later."""
        self._record({"artifact": str(Path(path).absolute()), "folder": folder})

    def end(self, status: str) -> None:
        """Say how the run ended."""
        self._record({"status": status})

    def _record(self, line: dict[str, Any]) -> None:
        line |= {"time": int(time.time() * 1000)}
        if self.file.exists():
            if not _answers(self._mlflow.get_tracking_uri()):
                return self._keep(line)
            send_journal(self._mlflow, self._run_id, self.file)
        try:
            _send(self._mlflow, self._run_id, line)
        except Exception as error:  # what a lost server makes of a request has many types
            if not _is_lost(error):
                raise
            say(
                f"MLflow at {describe_uri(self._mlflow)} is lost; training goes on, and "
                f"{self.file} keeps what it could not be told until it answers again"
            )
            self._keep(line)
        return None

    def _keep(self, line: dict[str, Any]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line | {"run_id": self._run_id}) + "\n")


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


@contextmanager
def start_recorded_run(
    names: Mlflow, file: Path, earlier: str = "", silent: bool = False
) -> Iterator[Any]:
    """Open the run of this pipeline execution, as `tracking.start_run`; the server may go away.

    Args:
        names: the experiment that holds the run.
        file: JSON file that will hold the run's id; written last.
        earlier: run of a training that was killed, to go on with.
        silent: log nothing: of several machines that train together, one logs.
    """
    if silent:
        yield Silent()
        return
    mlflow = import_mlflow()
    with explain_failures():
        mlflow.enable_system_metrics_logging()
        experiment = set_experiment(mlflow, names.experiment)
        run = open_run(mlflow, experiment.experiment_id, earlier)
    recorder = Recorder(mlflow, run.info.run_id, find_journal(file))
    status = "FAILED"
    try:
        yield recorder
        write_json(file, {"run_id": run.info.run_id, "experiment": names.experiment})
        status = "FINISHED"
    finally:
        try:
            mlflow.end_run(status)
        except Exception as error:
            if not _is_lost(error):
                raise
            recorder.end(status)
        if recorder.file.exists() and _answers(mlflow.get_tracking_uri()):
            send_journal(mlflow, run.info.run_id, recorder.file)


def find_journal(file: Path) -> Path:
    """Return where records that were not sent are kept, beside the file that names the run."""
    return file.with_name(f"{file.stem}.unsent.jsonl")


def send_journal(mlflow: Any, run_id: str, file: Path) -> None:
    """Send what was kept for a run, and remove the file.

    Raises:
        MlflowException: if the server is lost again; then nothing is removed, and sending twice
            does no harm.
    """
    if not file.exists():
        return
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    own = [line for line in lines if line.get("run_id") == run_id]
    for line in own:
        _send(mlflow, run_id, line)
    file.unlink()
    say(f"MLflow at {describe_uri(mlflow)} answers again: {len(own)} records were sent")


def _send(mlflow: Any, run_id: str, line: Mapping[str, Any]) -> None:
    client = mlflow.MlflowClient()
    if "metrics" in line:
        entity = mlflow.entities.Metric
        metrics = [
            entity(key, float(value), line["time"], line["step"])
            for key, value in line["metrics"].items()
        ]
        client.log_batch(run_id, metrics=metrics)
    elif "tags" in line:
        tags = [mlflow.entities.RunTag(key, str(value)) for key, value in line["tags"].items()]
        client.log_batch(run_id, tags=tags)
    elif "artifact" in line:
        if Path(line["artifact"]).exists():
            client.log_artifact(run_id, line["artifact"], line["folder"])
    else:
        client.set_terminated(run_id, line["status"], line["time"])


def _answers(uri: str) -> bool:
    if not uri.startswith(("http://", "https://")):
        return True
    try:
        urllib.request.urlopen(f"{uri}/health", timeout=PROBE_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _is_lost(error: Exception) -> bool:
    """Whether an exception says that no server answered."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout
    from sqlalchemy.exc import OperationalError

    if isinstance(error, (NoConnection, Timeout, OperationalError)):
        return True
    words = ("API request to", "Max retries exceeded", "Connection refused")
    return isinstance(error, MlflowException) and any(word in str(error) for word in words)
