"""Submit, schedule and upload: the pipeline on a Kubeflow cluster, by its API."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import Stopwatch, say
from pipelines.compiler import write_pipeline
from pipelines.connection import Connection, connect, explain_failures
from pipelines.settings import Settings

__all__ = ["Run", "connect", "schedule", "submit", "switch_schedule", "upload", "wait"]

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# States of a run that changes no more.
SUCCEEDED, ENDED = "SUCCEEDED", ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
POLL_SECONDS = 5.0
PATIENCE = 12  # looks at a run that may fail one after the other: a server that restarts


@dataclass(frozen=True)
class Run:
    """A run on the cluster."""

    run_id: str
    address: str


def submit(connection: Connection, settings: Settings, name: str, allow_mutable_tag: bool) -> Run:
    """Start the pipeline; return the run.

    Args:
        connection: of :func:`connect`.
        settings: what to run.
        name: of the run; empty: the pipeline's name and the time.
        allow_mutable_tag: take an image that is named by a tag.
    """
    check_images(settings, allow_mutable_tag)
    with _compiled(settings) as file, explain_failures(connection), _quiet():
        run = connection.client.create_run_from_pipeline_package(
            str(file),
            arguments=settings.parameters,
            run_name=name or f"darkroom {time.strftime('%Y-%m-%d %H:%M:%S')}",
            experiment_id=connection.find_experiment(),
            namespace=connection.namespace or None,
            pipeline_root=settings.kubeflow.pipeline_root or None,
            service_account=settings.kubeflow.service_account or None,
        )
    return Run(run.run_id, f"{connection.page}/#/runs/details/{run.run_id}")


def wait(connection: Connection, run: Run, timeout: float) -> None:
    """Show the progress of a run until it ends; raise DarkroomError if it does not succeed."""
    watch = Stopwatch()
    seen: dict[str, str] = {}
    failures = 0
    while True:
        try:
            with explain_failures(connection):
                found = connection.client.get_run(run.run_id)
            failures = 0
        except DarkroomError:
            failures += 1
            if failures >= PATIENCE or connection.refused:
                raise
            found = None
        if found is not None:
            for name, state in _read_tasks(found):
                if seen.get(name) != state:
                    seen[name] = state
                    say(f"{name}: {state.lower()} ({watch})")
            if found.state in ENDED:
                break
        if watch.seconds > timeout:
            raise DarkroomError(
                f"the run has not ended after {timeout:g} s; it goes on, see {run.address}"
            )
        time.sleep(POLL_SECONDS)
    if found.state != SUCCEEDED:
        reason = getattr(getattr(found, "error", None), "message", "") or "see its page"
        failed = [name for name, state in seen.items() if state == "FAILED"]
        where = f" in {', '.join(failed)}" if failed else ""
        raise DarkroomError(f"the run {found.state.lower()}{where} ({reason}): {run.address}")
    say(f"the run succeeded ({watch})")


def schedule(
    connection: Connection,
    settings: Settings,
    *,
    name: str,
    cron: str,
    enabled: bool,
    allow_mutable_tag: bool,
) -> None:
    """Start the pipeline by a cron expression; an earlier schedule of that name is disabled."""
    check_images(settings, allow_mutable_tag)
    check_cron(cron)
    with _compiled(settings) as file, explain_failures(connection), _quiet():
        experiment = connection.find_experiment()
        earlier = _find_schedules(connection, name)
        made = connection.client.create_recurring_run(
            experiment,
            name,
            cron_expression=cron,
            max_concurrency=1,
            no_catchup=True,  # after a pause one run is enough: each takes the images as they are
            params=settings.parameters,
            pipeline_package_path=str(file),
            enabled=enabled,
            pipeline_root=settings.kubeflow.pipeline_root or None,
            service_account=settings.kubeflow.service_account or None,
        )
        for one in earlier:
            connection.client.disable_recurring_run(one.recurring_run_id)
    if earlier:
        say(f"{len(earlier)} earlier schedule of the name {name} is disabled")
    print(f"{connection.page}/#/recurringrun/details/{made.recurring_run_id}", flush=True)


def switch_schedule(connection: Connection, name: str, enabled: bool) -> None:
    """Let the newest schedule of a name go on, or stop all of that name."""
    with explain_failures(connection), _quiet():
        found = _find_schedules(connection, name)
        if not found:
            raise DarkroomError(f"{connection.page}: no schedule of the name {name} there")
        if enabled:
            connection.client.enable_recurring_run(found[0].recurring_run_id)
        for one in () if enabled else found:
            connection.client.disable_recurring_run(one.recurring_run_id)
    say(f"schedule {name} is {'enabled' if enabled else 'disabled'}")


def upload(
    connection: Connection, settings: Settings, name: str, version: str, allow_mutable_tag: bool
) -> str:
    """Upload a version of the pipeline, and the pipeline if it is new; return its address."""
    check_images(settings, allow_mutable_tag)
    with _compiled(settings) as file, explain_failures(connection), _quiet():
        client = connection.client
        found = client.get_pipeline_id(name)
        if not found:
            namespace = connection.namespace or None
            found = client.upload_pipeline(
                str(file), pipeline_name=name, namespace=namespace
            ).pipeline_id
        made = client.upload_pipeline_version(str(file), version, pipeline_id=found)
    return f"{connection.page}/#/pipelines/details/{found}/version/{made.pipeline_version_id}"


def check_images(settings: Settings, allow_mutable_tag: bool) -> None:
    """Refuse images that may become others: KFP's cache would not notice."""
    kubeflow = settings.kubeflow
    for key, image in (("image", kubeflow.image), ("gpu_image", kubeflow.gpu_image)):
        if not image or DIGEST.search(image):
            continue
        if not allow_mutable_tag:
            raise DarkroomError(
                f"kubeflow.{key}: {image} is named by a tag, which may point at other code "
                "tomorrow, and the cache would not notice; give it as name@sha256:<digest> "
                "(`docker push` prints it), or pass --allow-mutable-tag"
            )
        say(f"warning: {image} is named by a tag: the cache may answer with results of other code")


def check_cron(cron: str) -> None:
    """Refuse what is no cron expression of KFP: six fields, the first one seconds."""
    fields = cron.split()
    if len(fields) != 6 or not all(re.fullmatch(r"[\dA-Za-z*/,?#-]+", one) for one in fields):
        raise DarkroomError(
            f"--cron {cron!r}: must be six fields, seconds minutes hours day month weekday, such "
            "as '0 0 3 * * *' for each night at three"
        )


def _find_schedules(connection: Connection, name: str) -> list[Any]:
    """Return the schedules of a name in the experiment, the newest first."""
    experiment = connection.find_experiment()
    found: list[Any] = []
    token = ""
    while True:
        page = connection.client.list_recurring_runs(
            page_token=token,
            page_size=100,
            sort_by="created_at desc",
            experiment_id=experiment,
        )
        found += [one for one in page.recurring_runs or [] if one.display_name == name]
        token = page.next_page_token or ""
        if not token:
            return found


def _read_tasks(run: Any) -> Iterator[tuple[str, str]]:
    details = getattr(getattr(run, "run_details", None), "task_details", None) or []
    for task in details:
        name, state = task.display_name or "", str(task.state or "PENDING")
        if name and not name.endswith(("-driver", "executor")):
            yield name, state


@contextlib.contextmanager
def _compiled(settings: Settings) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        file = Path(folder) / "pipeline.yaml"
        write_pipeline(settings, file)
        yield file


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep kfp from printing links of its own."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
