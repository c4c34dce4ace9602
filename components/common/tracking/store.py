"""Whether MLflow's store of artifacts takes a file and gives it back, seen before the work."""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import say
from components.common.tracking.failures import hide_password, name_error
from components.common.tracking.runs import set_experiment

SECONDS = 20.0
# Here a failure is an answer: who asks has done no work yet, and may ask again.
HASTE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "AWS_MAX_ATTEMPTS": "1"}


def check_store(mlflow: Any, experiment: str, seconds: float = SECONDS) -> None:
    """Write a small file where the runs of an experiment keep theirs, read it and remove it.

    Args:
        mlflow: of :func:`import_mlflow`.
        experiment: its name; it is made if there is none yet.
        seconds: what does not answer for so long is taken to be away.

    Raises:
        DarkroomError: if the store refuses, does not answer, or gives back something else.
    """
    location = str(set_experiment(mlflow, experiment).artifact_location)
    where = hide_password(location)
    try:
        with _in_haste():
            _within(seconds, location)
    except Exception as error:
        if type(error).__name__ == "NoCredentialsError":  # its keys may be for later tasks alone
            say(f"the store of artifacts {where} is not looked at: this task has no keys for it")
            return
        raise DarkroomError(
            f"MLflow answers, but its store of artifacts, {where}, cannot be used "
            f"({name_error(error)}), and models and reports go there: see that it runs, that it "
            "may be written to and has room, and that its keys are in the environment; run again"
        ) from error


def _within(seconds: float, location: str) -> None:
    """Exchange a file in a thread: clients of stores wait minutes, and cannot all be told to."""
    failures: list[BaseException] = []

    def exchange() -> None:
        try:
            _exchange(location)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=exchange, daemon=True)  # one that hangs keeps nobody
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
    if failures:
        raise failures[0]


def _exchange(location: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(location)
    name, content = f"darkroom-check/{uuid.uuid4().hex}", os.urandom(64)
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        sent = Path(folder) / Path(name).name
        sent.write_bytes(content)
        repository.log_artifact(str(sent), "darkroom-check")
        back = Path(folder) / "back"
        back.mkdir()
        found = Path(repository.download_artifacts(name, str(back))).read_bytes()
    with suppress(Exception):  # a store that keeps everything is none that fails
        repository.delete_artifacts(name)
    if found != content:
        raise OSError(f"{len(content)} bytes were written, and other {len(found)} came back")


@contextmanager
def _in_haste() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in HASTE}
    os.environ |= HASTE
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
