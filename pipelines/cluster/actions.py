"""Submit, schedule, upload and retry: the pipeline on a Kubeflow cluster, by KFP's API."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.terminal import say
from pipelines.cluster.checks import check_settings
from pipelines.cluster.connection import Connection, Run, describe_reason, explain_failures
from pipelines.compiler import write_pipeline
from pipelines.settings import Settings

CONFLICT = 409
# States of a run that there is nothing to retry of, and what that means for who asks for it.
NOT_ENDED = {
    "PENDING": "has not begun yet: there is nothing to retry",
    "RUNNING": "still goes on: there is nothing to retry",
    "PAUSED": "is paused and has not ended: there is nothing to retry",
    "CANCELING": "is being terminated: try again when it has ended",
    "SUCCEEDED": "succeeded: there is nothing to retry; `submit` starts another",
}


def submit(
    connection: Connection,
    settings: Settings,
    name: str,
    allow_mutable_tag: bool,
    checked: bool = True,
) -> Run:
    """Start the pipeline; return the run.

    Args:
        connection: of :func:`connect`.
        settings: what to run.
        name: of the run; empty: the pipeline's name and the time.
        allow_mutable_tag: take an image that is named by a tag.
        checked: ask Kubernetes, if there is a way to it, for what the settings name.
    """
    check_settings(settings, connection.namespace, allow_mutable_tag, checked)
    with _compiled(settings) as file, explain_failures(connection), _quiet():
        run = connection.client.create_run_from_pipeline_package(
            str(file),
            arguments=settings.parameters,
            run_name=name or f"{settings.pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}",
            experiment_id=connection.find_experiment(),
            namespace=connection.namespace or None,
            pipeline_root=settings.kubeflow.pipeline_root or None,
            service_account=settings.kubeflow.service_account or None,
        )
    return connection.describe_run(connection.check_id(run.run_id))


def retry(connection: Connection, run_id: str) -> Run:
    """Go on with a run that failed or was terminated: KFP starts again what is not done."""
    run = connection.describe_run(run_id)
    with explain_failures(connection), _quiet():
        state = str(connection.client.get_run(run_id).state or "")
        if state in NOT_ENDED:
            raise DarkroomError(f"run {run_id} {NOT_ENDED[state]}: {run.address}")
        connection.client._run_api.run_service_retry_run(run_id=run_id)
    return run


def schedule(
    connection: Connection,
    settings: Settings,
    *,
    name: str,
    cron: str,
    enabled: bool,
    allow_mutable_tag: bool,
    checked: bool = True,
) -> None:
    """Start the pipeline by a cron expression; an earlier schedule of that name is disabled."""
    check_settings(settings, connection.namespace, allow_mutable_tag, checked)
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
        found = connection.check_id(made.recurring_run_id)
        for one in earlier:
            connection.client.disable_recurring_run(one.recurring_run_id)
    if earlier:
        which = "1 earlier schedule" if len(earlier) == 1 else f"{len(earlier)} earlier schedules"
        say(f"{which} of the name {name}: disabled")
    print(f"{connection.page}/#/recurringrun/details/{found}", flush=True)


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
    connection: Connection,
    settings: Settings,
    name: str,
    version: str,
    *,
    allow_mutable_tag: bool,
    checked: bool = True,
) -> str:
    """Upload a version of the pipeline, and the pipeline if it is new; return its address."""
    from kfp_server_api import ApiException

    check_settings(settings, connection.namespace, allow_mutable_tag, checked)
    with _compiled(settings) as file, explain_failures(connection), _quiet():
        client = connection.client
        found = _find_pipeline(connection, name)
        if not found:
            namespace = connection.namespace or None
            new = client.upload_pipeline(str(file), pipeline_name=name, namespace=namespace)
            found = connection.check_id(new.pipeline_id)
        try:
            made = client.upload_pipeline_version(str(file), version, pipeline_id=found)
        except ApiException as error:
            if error.status != CONFLICT:
                raise
            page = f"{connection.page}/#/pipelines/details/{found}"
            raise DarkroomError(
                f"pipeline {name} has a version {version} already, and versions do not change: "
                f"{page}; give another name with --version ({describe_reason(error)})"
            ) from None
    version_id = connection.check_id(made.pipeline_version_id)
    return f"{connection.page}/#/pipelines/details/{found}/version/{version_id}"


def _find_pipeline(connection: Connection, name: str) -> str:
    """Return the id of a pipeline, in a cluster of many users that of the namespace."""
    wanted = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    options = {"namespace": connection.namespace} if connection.namespace else {}
    found = connection.client._pipelines_api.pipeline_service_list_pipelines(
        filter=json.dumps({"predicates": [wanted]}), **options
    )
    return connection.check_id(found.pipelines[0].pipeline_id) if found.pipelines else ""


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
