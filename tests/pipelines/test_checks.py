"""What `submit` sees before it sends, `--wait` learns: of a server that speaks as Kubernetes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cluster.kube import Kubernetes, connect_kubernetes
from tests.pipelines.test_watching import read_answer

SHIPPED = (
    "spec:\n  templateDefaults:\n    retryStrategy:\n      limit: '2'\n      retryPolicy: OnError\n"
)
PENDING = {
    "metadata": {"name": "darkroom-x-1", "annotations": {"workflows.argoproj.io/node-id": "n1"}},
    "status": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu.",
            }
        ],
    },
}


@pytest.fixture
def objects() -> dict[str, Any]:
    """Return what the cluster has: path below /api/v1 → object; None: forbidden."""
    run = "namespaces/kubeflow"
    return {
        f"{run}/services/ml-pipeline": {"metadata": {"name": "ml-pipeline"}},
        f"{run}/secrets/darkroom-mlflow": {"data": {"tracking-uri": "aHR0cDovL20="}},
        f"{run}/pods": {"items": []},
        f"{run}/configmaps/workflow-controller-configmap": {"data": {"workflowDefaults": SHIPPED}},
        "nodes": {
            "items": [
                {"spec": {}, "status": {"allocatable": {"cpu": "1930m", "memory": "3900Mi"}}},
                {
                    "spec": {"unschedulable": True},
                    "status": {"allocatable": {"cpu": "64", "memory": "1Ti"}},
                },
            ]
        },
    }


@pytest.fixture
def kubectl(
    objects: dict[str, Any], kfp: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Let this machine's kubectl know the cluster."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0].removeprefix("/api/v1/")
            found = objects.get(path, 404)
            status = 403 if found is None else 404 if found == 404 else 200
            text = found if isinstance(found, str) else json.dumps(found if status == 200 else {})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test", "clusters": [here],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "here", "user": "me"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield
    server.shutdown()
    server.server_close()


def connect() -> Kubernetes:
    found = connect_kubernetes("kubeflow")
    assert found is not None
    return found


@pytest.mark.usefixtures("kubectl")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("kubeflow.volume.claim=photos", "kubeflow.volume.claim: no claim photos in kubeflow"),
        ("kubeflow.service_account=ada", "kubeflow.service_account: no account ada in kubeflow"),
        (
            "kubeflow.secrets=[{name: store, env: {id: AWS_ACCESS_KEY_ID}}]",
            "kubeflow.secrets: no secret store in kubeflow",
        ),
        (
            "kubeflow.secrets=[{name: darkroom-mlflow, env: {uri: MLFLOW_TRACKING_URI}}]",
            "kubeflow.secrets: darkroom-mlflow in kubeflow has no key uri",
        ),
        (
            "kubeflow.pods={pull_secrets: [registry], pull_policy: '', labels: {}, "
            "annotations: {}}",
            "kubeflow.pods.pull_secrets: no secret registry in kubeflow",
        ),
    ],
)
def test_what_is_not_in_the_namespace_is_refused_before_anything_is_sent(
    kfp: Any, call: Callable[..., Any], change: str, words: str
) -> None:
    code, _, err = call("submit", "--set", change)
    assert code == 1
    assert words in err
    assert "as test sees it" in err
    assert not kfp.bodies("POST", "/runs")
    assert call("submit", "--set", change, "--no-checks")[0] == 0


@pytest.mark.usefixtures("kubectl")
def test_it_is_the_namespace_of_the_run_that_is_looked_into(
    objects: dict[str, Any], kfp: Any, call: Callable[..., Any]
) -> None:
    """With --namespace the claim was looked for where params.yaml says, and refused."""
    change = ("--set", "kubeflow.volume.claim=photos")
    objects["namespaces/team-a/persistentvolumeclaims/photos"] = {}
    words = "no claim photos in kubeflow"
    assert words in call("submit", "--namespace", "team-a", *change)[2]  # KFP knows one user here
    kfp.multi_user = True
    assert call("submit", "--namespace", "team-a", *change)[0] == 0
    assert "no claim photos in team-b" in call("submit", "--namespace", "team-b", *change)[2]


@pytest.mark.usefixtures("kubectl")
def test_what_may_not_be_read_is_no_fault(
    objects: dict[str, Any], call: Callable[..., Any]
) -> None:
    names = ("secrets/darkroom-mlflow", "persistentvolumeclaims/photos", "serviceaccounts/ada")
    objects |= {f"namespaces/kubeflow/{name}": None for name in names} | {"nodes": None}
    wanted = ("kubeflow.volume.claim=photos", "kubeflow.service_account=ada")
    assert call("submit", "--set", wanted[0], "--set", wanted[1])[0] == 0


@pytest.mark.usefixtures("kubectl")
def test_sizes_and_retries_that_will_not_be_are_said(
    objects: dict[str, Any], call: Callable[..., Any]
) -> None:
    code, out, _ = call("submit", "--set", "kubeflow.tasks.validate={cpu: 4, cpu_request: 4}")
    assert code == 0
    assert "validate asks for 4 CPU, and no node has more than 1930m" in out
    assert "deploy/operator/retries.yaml changes that" in out
    tried = SHIPPED.replace("OnError", "OnError # retryPolicy: Always")
    objects["namespaces/kubeflow/configmaps/workflow-controller-configmap"]["data"] = {
        "workflowDefaults": tried
    }
    assert "deploy/operator/retries.yaml changes that" in call("submit")[1]
    assert "no GPU is asked for" in out
    patched = yaml.safe_load(Path("deploy/operator/retries.yaml").read_text())["data"]
    objects["namespaces/kubeflow/configmaps/workflow-controller-configmap"] = {"data": patched}
    _, out, _ = call("submit")
    assert "retries" not in out
    assert "asks for" not in out.replace("no GPU is asked for", "")  # the defaults fit


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("kubeflow.volume.claim=My Photos", "is no name that Kubernetes takes"),
        ("kubeflow.service_account=Ada_1", "is no name that Kubernetes takes"),
        ("kubeflow.volume={claim: photos, mount: 'mnt/my photos'}", "must be an absolute path"),
    ],
)
def test_names_that_can_be_none_are_refused(
    kfp: Any, call: Callable[..., Any], change: str, words: str
) -> None:
    code, _, err = call("submit", "--set", change)
    assert code == 1
    assert words in err
    assert not kfp.bodies("POST", "/runs")


@pytest.mark.usefixtures("kubectl")
def test_the_schedulers_reason_is_told(objects: dict[str, Any]) -> None:
    assert connect().find_reason("r1") == ""
    objects["namespaces/kubeflow/pods"] = {"items": [PENDING]}
    assert connect().find_reason("r1") == "0/1 nodes are available: 1 Insufficient cpu."
    pulling = {
        "metadata": {"name": "p"},
        "status": {
            "phase": "Pending",
            "containerStatuses": [
                {
                    "name": "main", "image": "darkroom", "imageID": "", "ready": False,
                    "restartCount": 0,
                    "state": {
                        "waiting": {"reason": "ImagePullBackOff", "message": "no such image"}
                    },
                }
            ],
        },
    }  # fmt: skip
    objects["namespaces/kubeflow/pods"] = {"items": [pulling]}
    assert connect().find_reason("r1") == "ImagePullBackOff: no such image"


@pytest.mark.usefixtures("kubectl")
def test_a_pods_own_reason_is_found_wherever_kubernetes_tells_it(objects: dict[str, Any]) -> None:
    def wait(name: str, node: str, **status: Any) -> dict[str, Any]:
        about = {"name": name, "annotations": {"workflows.argoproj.io/node-id": node}}
        return {"metadata": about, "status": {"phase": "Pending", **status}}

    def state(name: str, reason: str, **more: str) -> dict[str, Any]:
        waiting = {"reason": reason, **more}
        about = {"image": "x", "imageID": "", "ready": False, "restartCount": 0}
        return {"name": name, **about, "state": {"waiting": waiting}}

    creating = [state("main", "PodInitializing")]
    pulling = [state("kfp-launcher", "ErrImagePull", message="no route to ghcr.io")]
    objects["namespaces/kubeflow/pods"] = {
        "items": [
            PENDING,
            wait("p2", "n2", containerStatuses=creating, initContainerStatuses=pulling),
            wait("p3", "n3", containerStatuses=[state("main", "ContainerCreating")]),
        ]
    }
    event = {
        "metadata": {"name": "e"}, "involvedObject": {"name": "p3"}, "reason": "FailedMount",
        "message": "mount failed: no such volume",
    }  # fmt: skip
    assert connect().find_reason("r1", "n3") == ""
    objects["namespaces/kubeflow/events"] = {"items": [event]}
    assert connect().find_reason("r1", "n1") == "0/1 nodes are available: 1 Insufficient cpu."
    assert connect().find_reason("r1", "n2") == "ErrImagePull: no route to ghcr.io"
    assert connect().find_reason("r1", "n3") == "FailedMount: mount failed: no such volume"
    assert connect().find_reason("r1", "n4") == ""


@pytest.mark.usefixtures("kubectl")
def test_the_log_of_a_pod_is_read_where_kfp_has_none(
    objects: dict[str, Any], kfp: Any, call: Callable[..., Any]
) -> None:
    from pipelines.cluster import progress
    from pipelines.cluster.nodes import read_tree

    kfp.answers = [read_answer("promote-failed")]
    tasks = progress.read_tasks(read_tree(kfp.answers[0]["run_details"]["task_details"]))
    (node,) = [task.node_id for task in tasks if task.name == "promote"]
    pod = {
        "metadata": {"name": "p9", "annotations": {"workflows.argoproj.io/node-id": node}},
        "status": {"phase": "Failed"},
    }
    objects["namespaces/kubeflow/pods"] = {"items": [pod]}
    objects["namespaces/kubeflow/pods/p9/log"] = "6/6 promote\nerror: the registry is away\n"
    code, _, err = call("submit", "--wait")
    assert code == 1
    assert "the run failed in promote (the registry is away)" in err


@pytest.mark.usefixtures("kubectl")
def test_another_cluster_than_kfps_is_not_asked(objects: dict[str, Any]) -> None:
    objects.pop("namespaces/kubeflow/services/ml-pipeline")
    assert connect_kubernetes("kubeflow") is None
