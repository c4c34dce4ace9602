"""The MLflow server of deploy/ starts in the image as its pod would run it, and answers."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.engine import ROOT, find_image

pytestmark = pytest.mark.docker
ASK = (
    "import urllib.request as u;"
    "r = u.Request('http://127.0.0.1:5000/{path}', headers={{'Host': '{host}'}});"
    "print(u.urlopen(r, timeout=10).status)"
)


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def read_container() -> dict[str, Any]:
    objects = yaml.safe_load_all((Path(ROOT) / "deploy" / "mlflow.yaml").read_text())
    (server,) = [one for one in objects if one["kind"] == "Deployment"]
    (container,) = server["spec"]["template"]["spec"]["containers"]
    return container


@pytest.fixture
def server() -> Any:
    container = read_container()
    mounts = []
    for mount in container["volumeMounts"]:
        mounts += ["--tmpfs", f"{mount['mountPath']}:mode=1777"]
    limits = ["--read-only", "--network", "none", "--cap-drop", "ALL", *mounts]
    started = docker("run", "-d", *limits, find_image(), *container["command"])
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    yield name
    docker("rm", "-f", name)


def test_the_mlflow_server_of_deploy_answers_under_its_services_name(server: str) -> None:
    def ask(path: str, host: str) -> subprocess.CompletedProcess[str]:
        return docker("exec", server, "python", "-c", ASK.format(path=path, host=host))

    deadline = time.monotonic() + 120
    while ask("health", "localhost:5000").returncode:
        assert time.monotonic() < deadline, docker("logs", server).stdout[-2000:]
        time.sleep(1)
    path = "api/2.0/mlflow/experiments/get?experiment_id=0"
    for host in ("darkroom-mlflow:5000", "darkroom-mlflow.kubeflow.svc:5000", "localhost:5000"):
        # One of its workers may still be starting, and hang up.
        while (found := ask(path, host)).stdout.strip() != "200":
            assert time.monotonic() < deadline, (host, found.stderr[-500:])
            time.sleep(1)
    assert ask(path, "evil.example").returncode, "a foreign host name is refused"
