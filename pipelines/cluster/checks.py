"""What can be seen to be wrong before anything is sent: minutes of waiting for a node are saved."""

from __future__ import annotations

import re
from collections.abc import Iterator

from components.common.errors import DarkroomError
from components.common.settings.amounts import measure
from components.common.settings.kubeflow import ALL_TASKS, Kubeflow, Resources
from components.common.terminal import say
from pipelines.cluster.kube import Kubernetes, connect_kubernetes

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# Of a name of the cluster's: RFC 1123, which Kubernetes holds objects to.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_MOST_NAME = 253
ON_FAILURE = re.compile(r"retryPolicy:\s*[\"']?(Always|OnFailure|OnTransientError)")


def check_settings(settings: Kubeflow, allow_mutable_tag: bool, seen: bool = True) -> None:
    """Refuse what cannot run, and say what will not run as it reads.

    Args:
        settings: section `kubeflow`.
        allow_mutable_tag: take an image that is named by a tag.
        seen: ask Kubernetes, if there is a way to it, for what the settings name.
    """
    check_images(settings, allow_mutable_tag)
    check_names(settings)
    if not settings.gpu_image and any(one.gpus for one in settings.tasks.values()):
        say("no GPU is asked for: kubeflow.gpu_image names no image with CUDA")
    kubernetes = connect_kubernetes(settings.namespace) if seen else None
    if kubernetes is None:
        if seen:
            say("secrets, claims and accounts are not looked for: no way to KFP's Kubernetes")
        return
    missing = list(find_missing(settings, kubernetes))
    if missing:
        raise DarkroomError(
            f"{'; '.join(missing)}, as {kubernetes.context} sees it; make it (see deploy/), change "
            "the setting, or pass --no-checks"
        )
    for words in (*find_too_large(settings, kubernetes), *find_no_retries(settings, kubernetes)):
        say(f"warning: {words}")


def check_images(settings: Kubeflow, allow_mutable_tag: bool) -> None:
    """Refuse images that may become others: KFP's cache would not notice."""
    for key, image in (("image", settings.image), ("gpu_image", settings.gpu_image)):
        if not image or DIGEST.search(image):
            continue
        if "@" in image:
            raise DarkroomError(
                f"kubeflow.{key}: {image} has no whole digest: after @ must come sha256: and 64 "
                "digits from 0 to 9 and a to f, as `docker push` prints it"
            )
        if not allow_mutable_tag:
            raise DarkroomError(
                f"kubeflow.{key}: {image} is named by a tag, which may point at other code "
                "tomorrow, and the cache would not notice; give it as name@sha256:<digest> "
                "(`docker push` prints it), or pass --allow-mutable-tag"
            )
        say(f"warning: {image} is named by a tag: the cache may answer with results of other code")


def check_names(settings: Kubeflow) -> None:
    """Refuse names that no object of Kubernetes can have, and a mount that is no path."""
    for key, name in _list_names(settings):
        if not _NAME.fullmatch(name) or len(name) > _MOST_NAME:
            raise DarkroomError(
                f"{key}: {name!r} is no name that Kubernetes takes: small letters, digits, - and "
                "., such as darkroom-images"
            )
    mount = settings.volume.mount
    if settings.volume.claim and (not mount.startswith("/") or mount == "/" or ":" in mount):
        raise DarkroomError(
            f"kubeflow.volume.mount: {mount!r} must be an absolute path without a colon, and not /"
        )


def _list_names(settings: Kubeflow) -> Iterator[tuple[str, str]]:
    yield "kubeflow.namespace", settings.namespace
    if settings.service_account:
        yield "kubeflow.service_account", settings.service_account
    if settings.volume.claim:
        yield "kubeflow.volume.claim", settings.volume.claim
    for secret in settings.secrets:
        yield "kubeflow.secrets", secret.name
    for name in settings.pods.pull_secrets:
        yield "kubeflow.pods.pull_secrets", name


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


def find_too_large(settings: Kubeflow, kubernetes: Kubernetes) -> Iterator[str]:
    """Yield which tasks ask for more than the largest node has, not counting what runs there."""
    largest = kubernetes.find_largest_node()
    if largest is None:
        return
    for task in ALL_TASKS:
        wanted: Resources = settings.find_resources(task)
        asked = (wanted.cpu_request or "0", wanted.memory_request or "0")
        for what, request, has in zip(("CPU", "memory"), asked, largest, strict=True):
            if measure(request) > measure(has):
                yield (
                    f"{task} asks for {request} {what}, and no node has more than {has}: it will "
                    f"wait for one; see kubeflow.tasks.{task}"
                )


def find_no_retries(settings: Kubeflow, kubernetes: Kubernetes) -> Iterator[str]:
    """Yield that Argo's controller makes nothing of `retries`, if it does not."""
    found = kubernetes.read_controller()
    if not found or not any(settings.find_resources(task).retries for task in ALL_TASKS):
        return
    defaults = "\n".join([found.get("workflowDefaults", ""), found.get("config", "")])
    if "retryPolicy" in defaults and not ON_FAILURE.search(defaults):
        yield (
            "kubeflow.tasks.*.retries: Argo's controller has retryPolicy OnError, as KFP ships it, "
            "so a task whose pod was drained or ran out of memory is not tried again by itself; "
            "deploy/operator/retries.yaml changes that"
        )
