"""The TrainJob: what is sent against the published schema, and its life against a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from components.common.errors import DarkroomError
from components.train import spec
from pipelines.resources import create_job
from pipelines.settings import read_settings
from pipelines.steps import trainjob
from pipelines.steps.trainjob import follow, prepare
from pipelines.steps.trainjob_manifest import create_manifest

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).parent / "trainjob.schema.json"
JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team-a/trainjobs"


def read_job(*changes: str) -> dict[str, Any]:
    two_nodes = ["kubeflow.distributed.nodes=2", "kubeflow.volume.claim=photos"]
    return create_job(read_settings(ROOT / "params.yaml", [*two_nodes, *changes]).kubeflow)


def close(schema: Any) -> Any:
    """Return the schema with every object closed, as Kubernetes prunes or refuses other fields."""
    if isinstance(schema, dict):
        closed = {key: close(value) for key, value in schema.items()}
        if "properties" in closed and closed.get("type") == "object":
            closed.setdefault("additionalProperties", False)
        return closed
    return [close(one) for one in schema] if isinstance(schema, list) else schema


def validate(manifest: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(close(json.loads(SCHEMA.read_text()))).validate(manifest)


def test_the_manifest_is_one_of_the_published_schema() -> None:
    job = read_job(
        "kubeflow.service_account=darkroom",
        "kubeflow.gpu_image=darkroom:jax",
        "kubeflow.pods={pull_secrets: [registry], pull_policy: '', annotations: {}, "
        "labels: {kueue.x-k8s.io/queue-name: photos}}",
        "kubeflow.tasks.train={cpu: '8', memory: 64Gi, gpus: 4, shared_memory: 8Gi, "
        "node_selector: {gpu: h100}, tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}], "
        "timeout_seconds: 3600}",
    )
    manifest = create_manifest("darkroom-1", ["python", "-m", "components.train"], "1", job)
    validate(manifest)
    wanted = manifest["spec"]["trainer"]
    assert wanted["numNodes"] == 2
    assert wanted["resourcesPerNode"]["limits"] == {
        "cpu": "8",
        "memory": "64Gi",
        "nvidia.com/gpu": "4",
    }
    assert wanted["resourcesPerNode"]["requests"]["cpu"] == "500m"
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "photos"
    (patch,) = manifest["spec"]["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = node["template"]["spec"]["template"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "KERAS_BACKEND", "value": "jax"} in wanted["env"]
    assert {"name": "DARKROOM_KFP_RUN_ID", "value": "1"} in wanted["env"]
    secret = [one for one in wanted["env"] if one["name"] == "MLFLOW_TRACKING_URI"]
    assert secret[0]["valueFrom"]["secretKeyRef"]["key"] == "tracking-uri"
    assert manifest["spec"]["activeDeadlineSeconds"] == 3600
    validate(create_manifest("darkroom-1", ["python"], "1", read_job()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: one["spec"].update(podTemplateOverrides=[]),  # of older versions
        lambda one: one["spec"].pop("runtimeRef"),
        lambda one: one["spec"]["trainer"].update(numNodes="2"),
    ],
)
def test_the_schema_refuses_what_it_must(damage: Callable[[Any], Any]) -> None:
    manifest = create_manifest("darkroom-1", ["python"], "1", read_job())
    damage(manifest)
    with pytest.raises(jsonschema.ValidationError):
        validate(manifest)


def test_the_command_is_one_that_the_room_takes(tmp_path: Path) -> None:
    from components.common.cli import create_parser, read_room_params

    shards = tmp_path / "artifact" / "shards"
    shards.mkdir(parents=True)
    (shards / "dataset.json").write_text("{}")
    settings = read_settings(ROOT / "params.yaml", ["train.finetune.epochs=3"])
    settings.parameters["train"]["finetune"]["epochs"] = 3.0  # as KFP sends it
    given = {name: settings.parameters[name] for name in ("train", "mlflow")}
    given["shards"] = SimpleNamespace(path=str(shards.parent), name="shards")
    volume = tmp_path / "volume"
    command = prepare(volume, volume, spec, given)
    assert command[:3] == ["python", "-m", "components.train"]
    flags = create_parser("train", spec).parse_args(command[3:])
    assert (flags.shards / "dataset.json").is_file()
    assert flags.model == tmp_path / "volume" / "model.keras"
    assert read_room_params(Path(flags.params), "train").finetune.epochs == 3


class Cluster:
    """Kubernetes' API, as far as TrainJobs go."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.states = ["", "Running", "Complete"]
        self.log: list[str] = []
        self.status = 201

        self.away = 0  # the next so many looks are answered with 503

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        name = path.removeprefix(JOBS).strip("/")
        self.log.append(f"{method} {name}".strip())
        if method == "POST":
            if self.status == 201:
                self.jobs[body["metadata"]["name"]] = body
            return self.status, body
        if name not in self.jobs:
            return 404, {"reason": "NotFound"}
        if method == "DELETE":
            return 200, self.jobs.pop(name)
        if self.away:
            self.away -= 1
            return 503, {"reason": "ServiceUnavailable"}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        status: dict[str, Any] = {"jobsStatus": [{"name": "node", "active": 2}]}
        if state in ("Complete", "Failed"):
            condition = {"type": state, "status": "True", "message": f"it is {state.lower()}"}
            status = {"conditions": [condition]}
        return 200, self.jobs[name] | {"status": status if state else {}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(data) if data else None
            status, found = cluster.answer(self.command, self.path.split("?")[0], body)
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def create_api(address: str) -> Any:
    from kubernetes import client

    return client.CustomObjectsApi(client.ApiClient(client.Configuration(host=address)))


MANIFEST = create_manifest("darkroom-1", ["python"], "1", read_job())


def test_a_job_is_made_followed_and_left_when_it_is_complete(
    cluster: Cluster, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    follow(create_api(address), "team-a", MANIFEST, 0.01)
    assert cluster.log[:2] == ["DELETE darkroom-1", "POST"]
    assert cluster.jobs["darkroom-1"]["spec"] == MANIFEST["spec"]
    out = capsys.readouterr().out
    assert ["Pending" in out, "Running" in out, "Complete" in out] == [True] * 3


def test_the_task_fails_with_the_job(cluster: Cluster, address: str) -> None:
    cluster.states = ["Running", "Failed"]
    with pytest.raises(DarkroomError, match=r"failed \(it is failed\).*kubectl logs -n team-a"):
        follow(create_api(address), "team-a", MANIFEST, 0.01)


def test_an_earlier_attempts_job_is_replaced(cluster: Cluster, address: str) -> None:
    cluster.jobs["darkroom-1"] = {"metadata": {"name": "darkroom-1"}, "spec": "old"}
    follow(create_api(address), "team-a", MANIFEST, 0.01)
    assert cluster.jobs["darkroom-1"]["spec"] == MANIFEST["spec"]


def test_missing_rights_are_explained(cluster: Cluster, address: str) -> None:
    cluster.status = 403
    with pytest.raises(DarkroomError, match="rights on trainjobs"):
        follow(create_api(address), "team-a", MANIFEST, 0.01)


def test_a_job_that_disappears_is_an_error(cluster: Cluster, address: str) -> None:
    cluster.states = ["Running"]
    threading.Timer(0.2, cluster.jobs.clear).start()
    with pytest.raises(DarkroomError, match="it was deleted"):
        follow(create_api(address), "team-a", MANIFEST, 0.01)


def test_an_api_that_is_away_for_a_while_ends_no_training(
    cluster: Cluster, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer of 503 while a control plane was renewed ended the TrainJob of hours."""
    cluster.away = 5
    follow(create_api(address), "team-a", MANIFEST, 0.01)
    assert "darkroom-1" in cluster.jobs
    cluster.away, cluster.states = 10_000, ["Running"]
    monkeypatch.setattr(trainjob, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(DarkroomError, match="Kubernetes answered 503"):
        follow(create_api(address), "team-a", MANIFEST, 0.01)
    assert not cluster.jobs


def test_a_task_that_is_stopped_takes_its_job_with_it(cluster: Cluster, address: str) -> None:
    cluster.states = ["Running"]
    code = (
        "from tests.pipelines.test_trainjob import create_api, follow, MANIFEST;"
        f"follow(create_api('{address}'), 'team-a', MANIFEST, 0.05)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 30
    while "GET darkroom-1" not in cluster.log and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 143
    assert not cluster.jobs


def test_a_job_belongs_to_the_workflow_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = SimpleNamespace(
        api_version="argoproj.io/v1alpha1", kind="Workflow", name="darkroom-x", uid="u-1"
    )
    pods = {"launcher": SimpleNamespace(metadata=SimpleNamespace(owner_references=[workflow]))}
    core = SimpleNamespace(read_namespaced_pod=lambda name, _: pods[name])
    monkeypatch.setenv("HOSTNAME", "launcher")
    owner = trainjob.find_owner(core, "team-a")
    assert owner is not None
    assert (owner["kind"], owner["uid"]) == ("Workflow", "u-1")
    validate({**MANIFEST, "metadata": {**MANIFEST["metadata"], "ownerReferences": [owner]}})
    monkeypatch.setenv("HOSTNAME", "unknown")  # or no right to read pods
    assert trainjob.find_owner(core, "team-a") is None


def test_outside_of_a_cluster_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(DarkroomError, match="set nodes: 1"):
        trainjob.connect()
