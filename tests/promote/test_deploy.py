"""The manifest of KServe and the Dockerfile say what the documentation says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.promote.registry import registry

ROOT = Path(registry.__file__).parents[3]
DOCS = (ROOT / "docs/serving.md").read_text()


@pytest.fixture
def service() -> Any:
    return YAML(typ="safe").load((ROOT / "deploy/serving/inference-service.yaml").read_text())


def test_predictor_is_a_legal_pod(service: Any) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs the extra dev")
    predictor = dict(service["spec"]["predictor"])
    for own in ("minReplicas", "timeout"):  # KServe's, beside those of a pod
        predictor.pop(own)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "darkroom"}, "spec": predictor}
    kubernetes_validate.validate(pod, "1.30", strict=True)


def test_container_runs_the_documented_command(service: Any) -> None:
    (container,) = service["spec"]["predictor"]["containers"]
    line = " ".join(container["command"] + container["args"])
    assert line in DOCS.replace(" \\\n ", " ")
    recipe = (ROOT / "deploy/serving/Dockerfile").read_text()
    found = re.search(r"ENTRYPOINT (\[.*\])", recipe)
    assert found is not None
    assert " ".join(json.loads(found[1])) == line.replace("models:/darkroom@champion", "/model")


def test_options_are_those_of_mlflow(service: Any) -> None:
    (container,) = service["spec"]["predictor"]["containers"]
    mlflow = Path(sys.executable).parent / "mlflow"
    command = [mlflow, "models", "serve", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for word in container["args"]:
        assert not word.startswith("--") or word in done.stdout
