"""Train on several machines: make a TrainJob of Kubeflow Trainer, follow it, fail with it.

The TrainJob's pods see the shared volume. Its folder there holds copies of the task's inputs and
receives what train writes; afterwards that becomes the task's artifacts.
"""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import components
from components.common.errors import DarkroomError
from components.common.files.writing import writing
from components.common.settings.params import read_yaml
from components.common.terminal import Stopwatch, say
from components.common.tracking.runs import KFP_RUN_ID
from pipelines.steps.bundles import FILES, find_input
from pipelines.steps.rooms import (
    exiting_on_sigterm,
    leave_kfps_run,
    one_line,
    remove,
    restore_integers,
    writing_outputs,
)
from pipelines.steps.trainjob_manifest import GROUP, PLURAL, VERSION, create_manifest

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NOT_FOUND, TOO_MANY, SERVER_ERROR = 404, 429, 500
LIMITS = (10.0, 60.0)  # seconds until a connection stands, and until an answer comes
PATIENCE_SECONDS = 600.0  # without an answer of the API, while the nodes train on


@one_line
def train_on_nodes(given: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Run the room train as a TrainJob.

    Args:
        given: arguments of the task.
        job: what `create_job_settings` made of section `kubeflow`.
    """
    leave_kfps_run()
    job = restore_integers(job)
    run = os.environ.get(KFP_RUN_ID, "") or "run"
    folder = Path(job["mount"]) / "runs" / run
    spec = importlib.import_module("components.train.spec")
    command = prepare(folder, Path(job["mount"]), spec, given)
    outputs = [field.name for field in fields(spec.Outputs)]
    core, api, namespace = connect()
    name = f"darkroom-{run}"[:50].rstrip("-")
    manifest = create_manifest(name, command, run, job)
    if owner := find_owner(core, namespace):
        manifest["metadata"]["ownerReferences"] = [owner]
    follow(api, namespace, manifest, job["poll_seconds"])
    with writing_outputs(given, outputs) as paths:
        for name_, path in paths.items():
            shutil.move(folder / FILES.get(name_, name_), path)
    remove(folder)


def prepare(folder: Path, volume: Path, spec: Any, given: Mapping[str, Any]) -> list[str]:
    """Copy inputs and settings into a folder of the volume; return the command of a node."""
    command = ["python", "-m", "components.train"]
    for field in fields(spec.Inputs):
        source = find_input(given, field.name)
        target = folder / "inputs" / FILES.get(field.name, field.name)
        if source.resolve().is_relative_to(volume.resolve()):
            target = source  # it is there already
        else:
            remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, target)
        command += [_flag(field.name), str(target)]
    for field in fields(spec.Outputs):
        command += [_flag(field.name), str(folder / FILES.get(field.name, field.name))]
    # A room checks the whole file: the image's, with the sections of this run in it.
    params = read_yaml(Path(components.__file__).parents[1] / "params.yaml")
    params |= {name: restore_integers(given[name]) for name in ("train", "mlflow")}
    with writing(folder / "params.yaml") as temporary:
        _dump(params, temporary)
    return [*command, "--params", str(folder / "params.yaml")]


def find_owner(core: Any, namespace: str) -> dict[str, Any] | None:
    """Return the reference to this pod's Argo workflow: what it owns goes when the run goes.

    A launcher that is killed cannot delete its TrainJob. Without the right to read its own pod
    there is no owner, and the TrainJob of a killed launcher stays until the next attempt.
    """
    name = os.environ.get("HOSTNAME", "")
    try:
        owners = core.read_namespaced_pod(name, namespace).metadata.owner_references or []
    except Exception as error:  # whatever the cluster answers: training does not need it
        say(f"the TrainJob will have no owner: pod {name} cannot be read ({_first_line(error)})")
        return None
    for one in owners:
        if one.kind == "Workflow":
            return {
                "apiVersion": one.api_version,
                "kind": one.kind,
                "name": one.name,
                "uid": one.uid,
                "blockOwnerDeletion": False,
            }
    return None


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "reason", "") or error).splitlines() or [""])[0]


def follow(api: Any, namespace: str, manifest: Mapping[str, Any], poll_seconds: float) -> None:
    """Create a TrainJob and wait for its end; it is deleted if this task is stopped before.

    Raises:
        DarkroomError: if it fails, is refused, or disappears.
    """
    watch = Stopwatch()
    name = manifest["metadata"]["name"]
    where = (GROUP, VERSION, namespace, PLURAL)
    with _explaining(name):
        _delete(api, where, name)  # of an earlier attempt
        api.create_namespaced_custom_object(*where, body=dict(manifest), _request_timeout=LIMITS)
    say(f"TrainJob {namespace}/{name}: {manifest['spec']['trainer']['numNodes']} nodes")
    ended, seen = False, ""
    try:
        with exiting_on_sigterm():
            while True:
                with _explaining(name):
                    found = _look(api, where, name, poll_seconds)
                state, message = read_state(found)
                if state != seen:
                    say(f"TrainJob {name}: {state} {message}".rstrip() + f" ({watch})")
                    seen = state
                if state in ("Complete", "Failed"):
                    ended = True
                    break
                time.sleep(poll_seconds)
    finally:
        if not ended:
            with suppress(Exception):
                _delete(api, where, name)
    if state == "Failed":
        raise DarkroomError(
            f"TrainJob {namespace}/{name} failed ({message}); its pods' logs: kubectl logs -n "
            f"{namespace} -l jobset.sigs.k8s.io/jobset-name={name}"
        )


def _look(api: Any, where: tuple[str, ...], name: str, poll_seconds: float) -> Any:
    """Return a TrainJob as it stands; an API that is away for a while ends no training of hours."""
    import urllib3
    from kubernetes.client import ApiException

    watch = Stopwatch()
    while True:
        try:
            return api.get_namespaced_custom_object(*where, name, _request_timeout=LIMITS)
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            status = getattr(error, "status", None) or SERVER_ERROR
            is_passing = status >= SERVER_ERROR or status == TOO_MANY
            if not is_passing or watch.seconds >= PATIENCE_SECONDS:
                raise
        time.sleep(poll_seconds)


def read_state(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state of a TrainJob, and what its controller says of it."""
    for condition in found.get("status", {}).get("conditions", []):
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return condition["type"], condition.get("message", "")
    for condition in found.get("status", {}).get("conditions", []):
        if condition["type"] == "Suspended" and condition["status"] == "True":
            return "Suspended", condition.get("message", "")
    counts = found.get("status", {}).get("jobsStatus", [])
    active = sum(one.get("active", 0) for one in counts)
    return ("Running", "") if active else ("Pending", "")


def connect() -> tuple[Any, Any, str]:
    """Return Kubernetes' two APIs as the pod's service account sees them, and the namespace."""
    from kubernetes import client, config

    try:
        config.load_incluster_config()
        namespace = NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise DarkroomError(
            f"kubeflow.distributed: this task does not run in a cluster ({error}); set nodes: 1"
        ) from None
    return client.CoreV1Api(), client.CustomObjectsApi(), namespace


def _delete(api: Any, where: tuple[str, ...], name: str) -> None:
    from kubernetes.client import ApiException

    try:
        api.delete_namespaced_custom_object(
            *where, name, propagation_policy="Foreground", _request_timeout=LIMITS
        )
    except ApiException as error:
        if error.status != NOT_FOUND:
            raise
        return
    for _ in range(600):
        try:
            api.get_namespaced_custom_object(*where, name, _request_timeout=LIMITS)
        except ApiException as error:
            if error.status == NOT_FOUND:
                return
            raise
        time.sleep(0.1)
    raise DarkroomError(f"TrainJob {name}: an earlier one is not gone after a minute; delete it")


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    import urllib3
    from kubernetes.client import ApiException

    try:
        yield
    except ApiException as error:
        hint = {
            403: "give the tasks' service account rights on trainjobs, see deploy/",
            NOT_FOUND: "it was deleted, or Kubeflow Trainer is not installed",
        }.get(error.status, "see the cluster's events")
        raise DarkroomError(
            f"TrainJob {name}: Kubernetes answered {error.status} {error.reason}; {hint}"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise DarkroomError(f"TrainJob {name}: Kubernetes does not answer ({error})") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _dump(value: Any, file: Path) -> None:
    from ruamel.yaml import YAML

    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(value, stream)
