"""deploy/: every object is one that Kubernetes takes, and what refers to another finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.common.cli import create_schema
from components.common.settings.params import read_params
from pipelines.cluster.checks import ON_FAILURE
from pipelines.steps.rooms import STOPPED, TRY_AGAIN
from pipelines.steps.trainjob_manifest import PLURAL

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VERSION = "1.31"


def read_kustomization() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())


def read_objects() -> list[dict[str, Any]]:
    return [
        one
        for name in read_kustomization()["resources"]
        for one in yaml.safe_load_all((DEPLOY / name).read_text())
    ]


def find(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in read_objects() if one["kind"] == kind}


@pytest.mark.parametrize("one", read_objects(), ids=lambda one: one["kind"])
def test_kubernetes_takes_every_object(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, VERSION, strict=True)


@pytest.mark.parametrize("name", ["volume-owner", "clean"])
def test_kubernetes_takes_what_an_operator_applies(name: str) -> None:
    one = yaml.safe_load((DEPLOY / "operator" / f"{name}.yaml").read_text())
    kubernetes_validate.validate(one, VERSION, strict=True)
    pod = yaml.safe_dump(one)
    assert f"claimName: {find_claim()}" in pod
    assert "image: darkroom:latest" in pod


def find_claim() -> str:
    return next(name for name in find("PersistentVolumeClaim") if name.endswith("images"))


def test_the_change_of_argos_controller_tries_again_what_may_help_and_nothing_else() -> None:
    patch = yaml.safe_load((DEPLOY / "operator" / "retries.yaml").read_text())
    defaults = yaml.safe_load(patch["data"]["workflowDefaults"])
    strategy = defaults["spec"]["templateDefaults"]["retryStrategy"]
    assert strategy["retryPolicy"] == "Always"
    assert ON_FAILURE.search(patch["data"]["workflowDefaults"])
    assert f'contains "{TRY_AGAIN}: "' in strategy["expression"]
    # Argo's expressions, of the library expr, read as Python's here.
    words = strategy["expression"].replace("||", "or").replace("contains", "in")
    words = words.replace(f'lastRetry.message in "{TRY_AGAIN}: "', f'"{TRY_AGAIN}: " in message')
    words = words.replace("lastRetry.status", "status")
    words = words.replace("asInt(lastRetry.exitCode)", "int(code)")

    def again(status: str, code: int, message: str = "main: Error") -> bool:
        values = {"status": status, "code": str(code), "message": message, "int": int}
        return bool(eval(words, {"__builtins__": {}}, values))

    assert again("Error", -1, "pod deleted")
    assert again("Failed", STOPPED)
    assert again("Failed", 137, "OOMKilled (exit code 137)")
    assert again("Failed", 1, f"main: Error (exit code 1): {TRY_AGAIN}: the store broke off")
    assert not again("Failed", 1, "main: Error (exit code 1): error: no image in data/images")
    assert not again("Failed", -1, "")  # a group of tasks


def test_a_wrong_object_is_refused() -> None:
    (claim, *_) = find("PersistentVolumeClaim").values()
    claim["spec"]["acessModes"] = ["ReadWriteMany"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(claim, VERSION, strict=True)


def test_all_files_are_in_the_kustomization() -> None:
    files = {file.name for file in DEPLOY.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(read_kustomization()["resources"]) == files


def test_secrets_of_params_yaml_are_made_here() -> None:
    made = {one["name"]: one["envs"] for one in read_kustomization()["secretGenerator"]}
    settings = read_params(ROOT / "params.yaml", create_schema())["kubeflow"]
    for secret in settings.secrets:
        (file,) = made[secret.name]
        example = (DEPLOY / f"{file}.example").read_text()
        keys = {line.partition("=")[0] for line in example.splitlines() if "=" in line}
        assert set(secret.env) <= keys
    for (file,) in made.values():
        assert (DEPLOY / f"{file}.example").is_file()


def test_what_refers_to_another_object_finds_it() -> None:
    (server,) = find("Deployment").values()
    pod = server["spec"]["template"]
    claims = find("PersistentVolumeClaim")
    for volume in pod["spec"]["volumes"]:
        if "persistentVolumeClaim" in volume:
            assert volume["persistentVolumeClaim"]["claimName"] in claims
    (service,) = find("Service").values()
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (policy,) = find("NetworkPolicy").values()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} <= ports
    address = (DEPLOY / "secrets" / "mlflow.env.example").read_text()
    assert f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}" in address
    (binding,) = find("RoleBinding").values()
    assert binding["roleRef"]["name"] in find("Role")
    assert binding["subjects"][0]["name"] in find("ServiceAccount")


def test_the_account_may_handle_what_the_tasks_make() -> None:
    (role,) = find("Role").values()
    rights = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {(PLURAL, verb) for verb in ("get", "create", "delete")} <= rights
