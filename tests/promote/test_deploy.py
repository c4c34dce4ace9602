"""The manifest of KServe and the Dockerfile say what the documentation says."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.common.cli import create_command_parser
from components.common.tracking.tags import CHALLENGER, CHAMPION
from components.predict.serve import app
from components.promote.registry import registry

ROOT = Path(registry.__file__).parents[3]
DOCS = (ROOT / "docs/serving.md").read_text()


@pytest.fixture
def service() -> Any:
    return YAML(typ="safe").load((ROOT / "deploy/serving/inference-service.yaml").read_text())


def test_predictor_is_a_legal_pod(service: Any) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs the extra `dev`")
    predictor = dict(service["spec"]["predictor"])
    for own in ("minReplicas", "timeout", "canaryTrafficPercent"):  # KServe's, beside a pod's
        predictor.pop(own, None)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "darkroom"}, "spec": predictor}
    kubernetes_validate.validate(pod, "1.30", strict=True)


@pytest.fixture
def canary(service: Any) -> Any:
    """The service with the patches of the canary, applied as kustomize does (RFC 6902)."""
    folder = ROOT / "deploy/serving/canary"
    found = YAML(typ="safe").load((folder / "kustomization.yaml").read_text())
    assert [(folder / name).resolve().name for name in found["resources"]] == ["serving"]
    base = YAML(typ="safe").load((ROOT / "deploy/serving/kustomization.yaml").read_text())
    assert base["resources"] == ["inference-service.yaml"]
    changed = copy.deepcopy(service)
    for patch in found["patches"]:
        assert patch["target"] == {"kind": service["kind"], "name": service["metadata"]["name"]}
        for change in YAML(typ="safe").load(patch["patch"]):
            *path, last = change["path"].removeprefix("/").split("/")
            place = changed
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place[part]
            key = int(last) if isinstance(place, list) else last
            assert change["op"] == "add" or place[key] is not None
            place[key] = change["value"]
    return changed


def test_canary_is_a_legal_pod_and_differs_in_model_and_share_alone(
    service: Any, canary: Any
) -> None:
    test_predictor_is_a_legal_pod(canary)
    assert canary["spec"]["predictor"].pop("canaryTrafficPercent") == 10
    (container,) = canary["spec"]["predictor"]["containers"]
    (stable,) = service["spec"]["predictor"]["containers"]
    changes = [
        pair for pair in zip(stable["args"], container["args"], strict=True) if len(set(pair)) > 1
    ]
    assert changes == [(f"models:/darkroom@{CHAMPION}", f"models:/darkroom@{CHALLENGER}")]
    container["args"] = stable["args"]
    assert canary == service
    assert "kubectl apply -k deploy/serving/canary" in DOCS


def test_container_runs_the_documented_command(service: Any) -> None:
    (container,) = service["spec"]["predictor"]["containers"]
    line = " ".join(container["command"] + container["args"])
    assert line in DOCS.replace(" \\\n ", " ")
    recipe = (ROOT / "deploy/serving/Dockerfile").read_text()
    found = re.search(r"ENTRYPOINT (\[.*\])", recipe)
    assert found is not None
    words = json.loads(found[1])
    assert words[:4] == container["command"]
    for given in (container["args"], words[4:]):
        parser = create_command_parser("predict", "serve")
        flags = parser.parse_args(given)
        assert (flags.host, flags.port) == ("0.0.0.0", container["ports"][0]["containerPort"])


def test_probes_ask_what_the_server_answers(service: Any) -> None:
    (container,) = service["spec"]["predictor"]["containers"]
    code = Path(app.__file__).read_text()
    for probe in ("readinessProbe", "livenessProbe"):
        assert f'"{container[probe]["httpGet"]["path"]}"' in code
