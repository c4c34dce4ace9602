"""What can be seen to be wrong before anything is sent: minutes of waiting for a node are saved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from components.common.errors import DarkroomError
from components.common.settings.amounts import measure
from components.common.settings.kubeflow import (
    ALL_TASKS,
    BATCH_TASKS,
    PART_OF,
    TASKS,
    Kubeflow,
    Resources,
)
from components.common.terminal import say
from pipelines.cluster.kube import Kubernetes, connect_kubernetes
from pipelines.cluster.names import check_images, check_names
from pipelines.settings import BATCH, Settings

LEAST_BYTES, MOST_CORES = 1024.0**2, 10_000.0  # less, or more, is a slip with the unit
_NAMES = {"cpu": "CPU"}  # Kubernetes' names as a person reads them
ON_FAILURE = re.compile(r"retryPolicy:\s*[\"']?(Always|OnFailure|OnTransientError)")


def check_settings(
    settings: Settings, namespace: str, allow_mutable_tag: bool, seen: bool = True
) -> None:
    """Refuse what cannot run, and say what will not run as it reads.

    Args:
        settings: of the run.
        namespace: that the run will be in; empty: KFP's own, where it knows one user only.
        allow_mutable_tag: take an image that is named by a tag.
        seen: ask Kubernetes, if there is a way to it, for what the settings name.
    """
    asked = settings.kubeflow
    check_images(asked, allow_mutable_tag)
    check_names(asked)
    check_sizes(asked)
    if not asked.gpu_image and any(one.gpus for one in asked.tasks.values()):
        say("no GPU is asked for: kubeflow.gpu_image names no image with CUDA")
    kubernetes = connect_kubernetes(namespace) if seen else None
    if kubernetes is None:
        if seen:
            say("secrets, claims and accounts are not looked for: no way to KFP's Kubernetes")
        return
    missing = list(find_missing(asked, kubernetes))
    if missing:
        raise DarkroomError(
            f"{'; '.join(missing)}, as {kubernetes.context} sees it; make it (see deploy/), change "
            "the setting, or pass --no-checks"
        )
    tasks = BATCH_TASKS if settings.pipeline == BATCH else TASKS
    for words in (
        *find_too_large(asked, tasks, kubernetes.list_nodes()),
        *find_no_retries(asked, kubernetes),
    ):
        say(f"warning: {words}")


def check_sizes(settings: Kubeflow) -> None:
    """Refuse amounts that are legal and cannot be meant: 4 is four bytes, 500m half a byte."""
    for task, wanted in settings.tasks.items():
        for name in ("memory", "memory_request", "shared_memory", "tmp_size"):
            amount = getattr(wanted, name)
            if amount and 0 < measure(amount) < LEAST_BYTES:
                raise DarkroomError(
                    f"kubeflow.tasks.{task}.{name}: {amount} is {measure(amount):g} bytes; give "
                    "it with its unit, such as 512Mi or 4Gi"
                )
        for name in ("cpu", "cpu_request"):
            amount = getattr(wanted, name)
            if amount and measure(amount) > MOST_CORES:
                raise DarkroomError(
                    f"kubeflow.tasks.{task}.{name}: {amount} is {measure(amount):,.0f} cores; give "
                    "their number, or thousandths such as 500m"
                )


def find_missing(settings: Kubeflow, kubernetes: Kubernetes) -> Iterator[str]:
    """Yield what the settings name and the namespace of the runs does not have."""
    where = kubernetes.namespace
    for secret in settings.secrets:
        keys = kubernetes.read_secret_keys(secret.name)
        if secret.optional:
            continue
        if keys is None:
            if kubernetes.has("secret", secret.name) is False:
                yield f"kubeflow.secrets: no secret {secret.name} in {where}"
        elif lacking := [key for key in secret.env if key not in keys]:
            yield f"kubeflow.secrets: {secret.name} in {where} has no key {', '.join(lacking)}"
    for name in settings.pods.pull_secrets:
        if kubernetes.has("secret", name) is False:
            yield f"kubeflow.pods.pull_secrets: no secret {name} in {where}"
    claim, account = settings.volume.claim, settings.service_account
    if claim and kubernetes.has("persistent_volume_claim", claim) is False:
        yield f"kubeflow.volume.claim: no claim {claim} in {where}"
    if account and kubernetes.has("service_account", account) is False:
        yield f"kubeflow.service_account: no account {account} in {where}"


def find_too_large(
    settings: Kubeflow, tasks: Iterable[str], nodes: Sequence[Mapping[str, str]]
) -> Iterator[str]:
    """Yield which tasks ask for more than any node has, not counting what runs there.

    Args:
        settings: section `kubeflow`.
        tasks: of the pipeline that is sent.
        nodes: what each node has for pods, by Kubernetes' names; none: that is not known.
    """
    said = set()
    for task in tasks if nodes else ():
        wanted: Resources = settings.find_resources(task)
        asked = {"cpu": wanted.cpu_request or "0", "memory": wanted.memory_request or "0"}
        if wanted.gpus:
            asked[str(wanted.gpu_type)] = str(wanted.gpus)
        # The parts of a room ask for what it does, and one line is enough for all.
        key = (PART_OF.get(task, task), *asked.values())
        if key in said or any(_has(node, asked) for node in nodes):
            continue
        said.add(key)
        hint = f"it will wait for one; see kubeflow.tasks.{key[0]}"
        large = [name for name in asked if not any(_has(one, {name: asked[name]}) for one in nodes)]
        for name in large:
            most = max((one.get(name, "0") for one in nodes), key=measure)
            what = _NAMES.get(name, name)
            yield f"{task} asks for {asked[name]} {what}, and no node has more than {most}: {hint}"
        if not large:
            words = [f"{amount} {_NAMES.get(name, name)}" for name, amount in asked.items()]
            yield f"{task} asks for {' and '.join(words)}, and no node has all of it: {hint}"


def _has(node: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    return all(measure(amount) <= measure(node.get(name, "0")) for name, amount in asked.items())


def find_no_retries(settings: Kubeflow, kubernetes: Kubernetes) -> Iterator[str]:
    """Yield that Argo's controller makes nothing of `retries`, if it does not."""
    found = kubernetes.read_controller()
    if not found or not any(settings.find_resources(task).retries for task in ALL_TASKS):
        return
    defaults = "\n".join([found.get("workflowDefaults") or "", found.get("config") or ""])
    defaults = re.sub(r"#.*", "", defaults)  # what was tried once, perhaps
    if "retryPolicy" in defaults and not ON_FAILURE.search(defaults):
        yield (
            "kubeflow.tasks.*.retries: Argo's controller has retryPolicy OnError, as KFP ships it, "
            "so a task whose pod was drained or ran out of memory is not tried again by itself; "
            "deploy/operator/retries.yaml changes that"
        )
