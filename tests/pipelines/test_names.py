"""Names, labels, amounts and paths that Kubernetes would refuse: told before anything is sent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from components.common.errors import DarkroomError
from components.common.settings.amounts import measure, write_bytes, write_cores
from components.common.settings.kubeflow import Kubeflow
from components.common.settings.params import check_params, read_yaml
from pipelines.cluster.checks import check_sizes, find_too_large
from pipelines.cluster.names import check_images, check_names
from pipelines.settings import apply_change
from tests.pipelines.conftest import PARAMS
from tests.pipelines.test_compile import compile_with, executors, load

DIGEST = f"@sha256:{'a' * 64}"


BASE = read_yaml(PARAMS)["kubeflow"]


def read(*changes: str) -> Kubeflow:
    """Return the section alone: the others take most of the time."""
    found = {"kubeflow": copy.deepcopy(BASE)}
    for change in changes:
        apply_change(found, change)
    checked: Kubeflow = check_params(PARAMS, found, {"kubeflow": Kubeflow})["kubeflow"]
    return checked


def check(*changes: str) -> None:
    settings = read(*changes)
    check_names(settings)
    check_sizes(settings)


@pytest.mark.parametrize(
    "image",
    [
        f"darkroom{DIGEST}",
        f"registry.local:5000/team/dark_room.x-y:v1.0{DIGEST}",
        f"[::1]:5000/darkroom{DIGEST}",
        f"Registry.Local/darkroom{DIGEST}",  # a host may be written in capitals
    ],
)
def test_images_that_a_registry_has(image: str) -> None:
    check_images(read(f"kubeflow.image={image}"), False)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (f"'{DIGEST}'", "no image's name"),
        (f"registry.local/Team/darkroom{DIGEST}", "no image's name"),
        (f"registry.local/my room{DIGEST}", "no image's name"),
        (f"https://registry.local/darkroom{DIGEST}", "no image's name"),
        (f"registry.local/dunkel\xfc{DIGEST}", "no image's name"),
        (f'"darkroom{DIGEST}\\n"', "no whole digest"),
        (f"darkroom{DIGEST}{DIGEST}", "no whole digest"),
        (f"darkroom{DIGEST.upper()}", "no whole digest"),
        (f"darkroom{DIGEST[:-1]}", "no whole digest"),
        ("''", "no image's name"),
        ("darkroom:", "no image's name"),
    ],
)
def test_images_that_no_registry_has(image: str, words: str) -> None:
    for key in ("image", "gpu_image") if image != "''" else ("image",):
        settings = read(f"kubeflow.{key}={image}")
        with pytest.raises(DarkroomError) as caught:
            check_images(settings, True)
        assert str(caught.value).startswith(f"kubeflow.{key}: ")
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        "kubeflow.volume={claim: c, mount: '/mnt/the team''s \"photos\" \xe4 #2'}",
        "kubeflow.volume={claim: c, mount: /data/}",
        "kubeflow.volume.claim=photos.2024",
        "kubeflow.pods.labels.kueue.x-k8s.io/queue-name=team_a.B",
        "kubeflow.pods.annotations.sidecar.istio.io/inject=false",
        "kubeflow.pods.annotations={note: 'any text, \xfc \"too\"'}",
        "kubeflow.tasks.train.node_selector.node.kubernetes.io/instance-type=p4d.24xlarge",
        "kubeflow.tasks.train.tolerations=[{key: nvidia.com/gpu}, {operator: Exists}]",
        "kubeflow.secrets=[{name: s, env: {tls.crt: A_1, _x-Y: _b}}]",
        "kubeflow.pipeline_root=s3://bucket/a/b?region=eu&endpoint=x:9000",
        "kubeflow.pipeline_root=minio://mlpipeline/v2",
        "kubeflow.tasks.fetch.memory=1.5Gi",
        "kubeflow.tasks.train.tmp_size=0",
    ],
)
def test_names_that_kubernetes_takes(change: str) -> None:
    check(change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (f"kubeflow.volume.claim={'a' * 254}", "is no name that Kubernetes takes"),
        ("kubeflow.volume.claim=a..b", "is no name that Kubernetes takes"),
        ("kubeflow.service_account=a.-b", "is no name that Kubernetes takes"),
        ("kubeflow.service_account=l\xe4den", "is no name that Kubernetes takes"),
        ('kubeflow.service_account="it\'s"', "is no name that Kubernetes takes"),
        ("kubeflow.pods.pull_secrets=[Reg Cred]", "is no name that Kubernetes takes"),
        (f"kubeflow.namespace={'a' * 64}", "for a namespace"),
        ("kubeflow.namespace=team.a", "for a namespace"),
        ("kubeflow.namespace=''", "for a namespace"),
        ("kubeflow.secrets=[{name: s, env: {my key: A}}]", "no key that a secret can have"),
        ("kubeflow.secrets=[{name: s, env: {a: MY VAR}}]", "no name of a variable"),
        ("kubeflow.secrets=[{name: s, env: {a: 1A}}]", "no name of a variable"),
        ("kubeflow.secrets=[{name: s, env: {a: 'A=b'}}]", "no name of a variable"),
        ("kubeflow.pods.labels={a b: c}", "no key that Kubernetes takes"),
        ("kubeflow.pods.labels={A/: c}", "no key that Kubernetes takes"),
        ("kubeflow.pods.labels={a: b c}", "no value that Kubernetes takes"),
        (f"kubeflow.pods.labels={{a: {'x' * 64}}}", "no value that Kubernetes takes"),
        ("kubeflow.pods.annotations={a b: c}", "no key that Kubernetes takes"),
        ("kubeflow.tasks.train.node_selector={gpu: H 100}", "no value that Kubernetes takes"),
        ("kubeflow.tasks.train.tolerations=[{key: a b}]", "no key that Kubernetes takes"),
        ("kubeflow.tasks.train.gpu_type=nvidia gpu", "no key that Kubernetes takes"),
        ("kubeflow.volume={claim: c, mount: //}", "must be an absolute path"),
        ("kubeflow.volume={claim: c, mount: /mnt/../}", "must be an absolute path"),
        ("kubeflow.volume={claim: c, mount: '/mnt/a:b'}", "must be an absolute path"),
        ("kubeflow.volume={claim: c, mount: /tmp}", "is taken in the tasks' pods"),
        ("kubeflow.volume={claim: c, mount: /tmp/x}", "is taken in the tasks' pods"),
        ("kubeflow.volume={claim: c, mount: /dev/shm}", "is taken in the tasks' pods"),
        ("kubeflow.volume={claim: c, mount: /app}", "is taken in the tasks' pods"),
        ("kubeflow.volume={claim: c, mount: /var}", "is taken in the tasks' pods"),
        ("kubeflow.volume={claim: c, mount: /minio}", "is taken in the tasks' pods"),
        ("kubeflow.pipeline_root=folder", "no address of a store"),
        ("kubeflow.pipeline_root=s3://a bucket", "no address of a store"),
        ("kubeflow.experiment= ", "kubeflow.experiment: is empty"),
        ("kubeflow.tasks.fetch.memory=4", "4 is 4 bytes; give it with its unit"),
        ("kubeflow.tasks.default.memory_request=500m", "500m is 0.5 bytes"),
        ("kubeflow.tasks.train.shared_memory=64", "64 is 64 bytes"),
        ("kubeflow.tasks.fetch.cpu=4Gi", "4Gi is 4,294,967,296 cores"),
    ],
)
def test_names_and_sizes_that_it_does_not_take(change: str, words: str) -> None:
    with pytest.raises(DarkroomError, match=words):
        check(change)


@pytest.mark.parametrize("namespace", ["Team A", "team.a", "a" * 64])
def test_a_namespace_of_the_command_line_is_looked_at_too(
    kfp: Any, call: Callable[..., Any], namespace: str
) -> None:
    code, _, err = call("submit", "--namespace", namespace)
    assert code == 1
    assert "is no name that Kubernetes takes" in err
    assert not kfp.asked


# The amounts by Kubernetes' documentation of quantities, worked out by hand.
@pytest.mark.parametrize(
    ("amount", "value"),
    [
        ("1.5Gi", 1610612736),
        (".5Gi", 536870912),
        ("2e9", 2_000_000_000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("3k", 3000),
        ("5.", 5),
        ("250m", 0.25),
    ],
)
def test_amounts_are_kubernetes_and_written_as_kfp_takes_them(amount: str, value: float) -> None:
    assert measure(amount) == pytest.approx(value)
    assert measure(write_bytes(amount)) == pytest.approx(max(value, 1))
    assert measure(write_cores(amount)) == pytest.approx(value)


@pytest.mark.parametrize(
    "amount", ["", "1e", "e3", "Gi", "8GB", "8gi", "4 Gi", "-1", "\u0663", "1e999"]
)
def test_what_is_no_amount(amount: str) -> None:
    with pytest.raises(ValueError, match="Kubernetes quantity"):
        measure(amount)


def test_amounts_that_kfp_writes_otherwise_reach_the_pipeline() -> None:
    sizes = "{cpu: .5, cpu_request: 0.25, memory: 1.5Gi, memory_request: 800000k, tmp_size: 0m}"
    spec, platform = load(compile_with(f"kubeflow.tasks.promote={sizes}"))
    found = executors(spec)["promote"]["resources"]
    assert found["resourceCpuLimit"] == "0.5"
    assert found["resourceMemoryLimit"] == "1610612736"
    assert found["resourceMemoryRequest"] == "800000000"
    assert "0m" not in str(platform)


def test_no_limit_of_time_is_longer_than_kubernetes_counts() -> None:
    with pytest.raises(DarkroomError, match="timeout_seconds must be 0 to"):
        read("kubeflow.tasks.train.timeout_seconds=99999999999999999999")


NODES = [{"cpu": "8", "memory": "4Gi"}, {"cpu": "2", "memory": "64Gi", "nvidia.com/gpu": "1"}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{cpu: 2, cpu_request: 2, memory: 32Gi, memory_request: 32Gi}", ""),
        (
            "{cpu: 8, cpu_request: 8, memory: 32Gi, memory_request: 32Gi}",
            "train asks for 8 CPU and 32Gi memory, and no node has all of it",
        ),
        ("{cpu: 16, cpu_request: 16}", "train asks for 16 CPU, and no node has more than 8"),
        ("{gpus: 2}", "train asks for 2 nvidia.com/gpu, and no node has more than 1"),
        ("{gpus: 1, gpu_type: amd.com/gpu}", "train asks for 1 amd.com/gpu, and no node has more"),
    ],
)
def test_a_task_must_fit_one_node_with_all_that_it_asks_for(change: str, words: str) -> None:
    settings = read(f"kubeflow.tasks.train={change}", "kubeflow.gpu_image=x:g")
    found = list(find_too_large(settings, ("train",), NODES))
    assert len(found) == (1 if words else 0)
    assert all(one.startswith(words) for one in found)


def test_the_parts_of_a_room_are_one_line() -> None:
    large = "kubeflow.tasks.validate={memory: 1Ti, memory_request: 1Ti}"
    settings = read(large)
    tasks = ("validate", "plan_checks", "check_images", "judge_images", "train")
    (words,) = find_too_large(settings, tasks, NODES)
    assert words.endswith("see kubeflow.tasks.validate")
