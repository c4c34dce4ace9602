"""Make components for the project's image, and ask the cluster for what each task needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from kfp import dsl, kubernetes

from components.common.settings.amounts import measure, write_bytes, write_cores
from components.common.settings.kubeflow import Kubeflow
from components.common.tracking.runs import KFP_RUN_ID

# Lineage reads it: no process can read from inside which image it runs in.
IMAGE_DIGEST = "DARKROOM_IMAGE_DIGEST"


def create_component(body: Callable[..., Any], settings: Kubeflow) -> Any:
    """Return a task's function as a KFP component in the project's image; it installs nothing."""
    image = settings.find_image(body.__name__)
    return dsl.component(body, base_image=image, install_kfp_package=False)


def equip(task: Any, name: str, settings: Kubeflow, cached: bool = True) -> Any:
    """Give a task what section `kubeflow` says of it.

    Args:
        task: a task of the pipeline.
        name: of its function.
        settings: the section.
        cached: false for a task that looks at the outside world, or changes it.
    """
    wanted = settings.find_resources(name)
    # The page cuts a name after some 14 characters.
    task.set_display_name(name.replace("_", " ").removesuffix(" on nodes"))
    task.set_caching_options(cached and bool(wanted.cache))
    task.set_cpu_request(write_cores(str(wanted.cpu_request)))
    task.set_cpu_limit(write_cores(str(wanted.cpu)))
    task.set_memory_request(write_bytes(str(wanted.memory_request)))
    task.set_memory_limit(write_bytes(str(wanted.memory)))
    if wanted.gpus:
        task.set_accelerator_type(wanted.gpu_type).set_accelerator_limit(wanted.gpus)
    if wanted.retries:
        wait = f"{wanted.backoff_seconds}s"
        task.set_retry(wanted.retries, backoff_duration=wait, backoff_factor=2.0)
    if wanted.timeout_seconds:
        kubernetes.set_timeout(task, wanted.timeout_seconds)
    _place(task, wanted)
    _mount(task, wanted, settings)
    _describe_pod(task, settings)
    if digest := settings.find_image(name).partition("@")[2]:
        task.set_env_variable(IMAGE_DIGEST, digest)
    for secret in settings.find_secrets(name):
        kubernetes.use_secret_as_env(task, secret.name, dict(secret.env), secret.optional)
    # KFP labels every pod with the run's id. As a parameter it would be part of the cache's key.
    kubernetes.use_field_path_as_env(task, KFP_RUN_ID, "metadata.labels['pipeline/runid']")
    return task


def create_config(settings: Kubeflow) -> Any:
    """Return what is asked for a run as a whole: its longest time, and how long Argo keeps it."""
    return dsl.PipelineConfig(
        active_deadline_seconds=settings.timeout_seconds or None,
        ttl_seconds_after_finished=settings.ttl_seconds or None,
    )


def _describe_pod(task: Any, settings: Kubeflow) -> None:
    pods = settings.pods
    if pods.pull_secrets:
        kubernetes.set_image_pull_secrets(task, pods.pull_secrets)
    if pods.pull_policy:
        kubernetes.set_image_pull_policy(task, pods.pull_policy)
    for key, value in pods.labels.items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in pods.annotations.items():
        kubernetes.add_pod_annotation(task, key, value)


def _place(task: Any, wanted: Any) -> None:
    for key, value in wanted.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for one in wanted.tolerations:
        kubernetes.add_toleration(
            task,
            key=one.key or None,
            operator=one.operator,
            value=one.value or None,
            effect=one.effect or None,
        )


def _mount(task: Any, wanted: Any, settings: Kubeflow) -> None:
    size = wanted.tmp_size if measure(wanted.tmp_size) else None
    kubernetes.empty_dir_mount(
        task,
        "tmp",
        "/tmp",  # noqa: S108 - the image has a read-only root
        size_limit=size,
    )
    if measure(wanted.shared_memory):
        kubernetes.empty_dir_mount(
            task,
            "shm",
            "/dev/shm",  # noqa: S108
            medium="Memory",
            size_limit=wanted.shared_memory,
        )
    if settings.volume.claim:
        kubernetes.mount_pvc(task, settings.volume.claim, settings.volume.mount)


def create_job(settings: Kubeflow) -> dict[str, Any]:
    """Return what the task `train_on_nodes` must know to make its TrainJob.

    Its pods have what `tasks.train` asks for; the task itself, which only looks on, the default.
    """
    wanted = settings.find_resources("train")
    names = (
        *("cpu", "memory", "cpu_request", "memory_request", "gpus", "gpu_type"),
        *("shared_memory", "timeout_seconds"),
    )
    return {
        "image": settings.find_image("train"),
        "nodes": settings.distributed.nodes,
        "runtime": settings.distributed.runtime,
        "poll_seconds": settings.distributed.poll_seconds,
        "claim": settings.volume.claim,
        "mount": settings.volume.mount,
        "service_account": settings.service_account,
        "secrets": [asdict(secret) for secret in settings.find_secrets("train")],
        "pods": asdict(settings.pods),
        "tolerations": [asdict(one) for one in wanted.tolerations or []],
        "node_selector": dict(wanted.node_selector or {}),
        **{name: getattr(wanted, name) for name in names},
    }
