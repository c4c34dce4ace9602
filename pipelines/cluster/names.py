"""Names that Kubernetes would refuse, or accept and never start: told before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from components.common.errors import DarkroomError
from components.common.settings.kubeflow import Kubeflow, Resources
from components.common.terminal import say

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# The grammar of a registry's names: github.com/distribution/reference.
_HOST = r"(?:[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_IMAGE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?:{_TAG})?")
# RFC 1123, which Kubernetes holds its objects to: labels of a host's name, with dots between.
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MOST_NAME, _MOST_LABEL = 253, 63
_WORD = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")  # of a label: key and value
_SECRET_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROOT = re.compile(r"[a-z][a-z0-9]*://[^/?\s]+(?:/[^?\s]*)?(?:\?\S*)?")
# What the tasks' pods have already, by the image, by KFP or by us: a second mount is refused, and
# one above them hides them.
_TAKEN = (
    *("/bin", "/dev", "/etc", "/lib", "/opt/darkroom", "/app", "/proc", "/sys", "/usr"),
    *("/tmp", "/var/run", "/kfp-launcher", "/gcs", "/minio", "/s3", "/.local", "/.cache"),  # noqa: S108
    "/.config",
)


def check_images(settings: Kubeflow, allow_mutable_tag: bool) -> None:
    """Refuse images that may become others, for KFP's cache would not notice, or that can be none.

    Args:
        settings: section `kubeflow`.
        allow_mutable_tag: take an image that is named by a tag.
    """
    for key, image in (("image", settings.image), ("gpu_image", settings.gpu_image)):
        if not image and key == "gpu_image":
            continue
        name, at, digest = image.partition("@")
        if at and not DIGEST.fullmatch(digest):
            raise DarkroomError(
                f"kubeflow.{key}: {image} has no whole digest: after @ must come sha256: and 64 "
                "digits from 0 to 9 and a to f, as `docker push` prints it"
            )
        if not _IMAGE.fullmatch(name):
            raise DarkroomError(
                f"kubeflow.{key}: {image!r} is no image's name, and its pods would wait for ever: "
                "host/folder/name in small letters, without https:// or spaces, such as "
                "registry.example/team/darkroom@sha256:<digest>"
            )
        if at:
            continue
        if not allow_mutable_tag:
            raise DarkroomError(
                f"kubeflow.{key}: {image} is named by a tag, which may point at other code "
                "tomorrow, and the cache would not notice; give it as name@sha256:<digest> "
                "(`docker push` prints it), or pass --allow-mutable-tag"
            )
        say(f"warning: {image} is named by a tag: the cache may answer with results of other code")


def check_names(settings: Kubeflow) -> None:
    """Refuse names, labels, variables and paths that Kubernetes or KFP would not take.

    Raises:
        DarkroomError: naming the setting, what stands there, and what is legal.
    """
    for key, name in _list_names(settings):
        if not _NAME.fullmatch(name) or len(name) > _MOST_NAME:
            raise DarkroomError(
                f"{key}: {name!r} is no name that Kubernetes takes: small letters, digits, - and "
                "., such as darkroom-images"
            )
    check_namespace(settings.namespace)
    for secret in settings.secrets:
        for name, variable in secret.env.items():
            if not _SECRET_KEY.fullmatch(name):
                raise DarkroomError(
                    f"kubeflow.secrets: {name!r} of {secret.name} is no key that a secret can "
                    "have: letters, digits, -, _ and ."
                )
            if not _VARIABLE.fullmatch(variable):
                raise DarkroomError(
                    f"kubeflow.secrets: {variable!r} of {secret.name} is no name of a variable: "
                    "letters, digits and _, such as AWS_ACCESS_KEY_ID"
                )
    for key, labels, has_words in _list_labels(settings):
        _check_labels(key, labels, has_words)
    _check_mount(settings)
    root = settings.pipeline_root
    if root and not _ROOT.fullmatch(root):
        raise DarkroomError(
            f"kubeflow.pipeline_root: {root!r} is no address of a store: s3://bucket/folder, "
            "gs://bucket/folder or minio://bucket/folder"
        )
    if not settings.experiment.strip():
        raise DarkroomError("kubeflow.experiment: is empty; KFP wants a name for it")


def check_namespace(namespace: str) -> None:
    """Refuse what can be no namespace: its name has no dots."""
    if not re.fullmatch(_LABEL, namespace) or len(namespace) > _MOST_LABEL:
        raise DarkroomError(
            f"kubeflow.namespace: {namespace!r} is no name that Kubernetes takes for a namespace: "
            f"small letters, digits and -, at most {_MOST_LABEL}"
        )


def _check_labels(key: str, labels: Mapping[str, str], has_words: bool) -> None:
    for label, value in labels.items():
        prefix, _, name = label.rpartition("/")
        if not _WORD.fullmatch(name) or (prefix and not _NAME.fullmatch(prefix)):
            raise DarkroomError(
                f"{key}: {label!r} is no key that Kubernetes takes: letters, digits, -, _ and ., "
                "at most 63, with a host's name and / before it, or none"
            )
        if has_words and value and not _WORD.fullmatch(value):
            raise DarkroomError(
                f"{key}: {value!r} of {label} is no value that Kubernetes takes: letters, digits, "
                "-, _ and ., at most 63"
            )


def _check_mount(settings: Kubeflow) -> None:
    mount = settings.volume.mount
    path = PurePosixPath(mount)
    if not settings.volume.claim:
        return
    if not path.is_absolute() or ":" in mount or ".." in path.parts or not path.name:
        raise DarkroomError(
            f"kubeflow.volume.mount: {mount!r} must be an absolute path without a colon or .., and "
            "not /"
        )
    if any(path.is_relative_to(one) or PurePosixPath(one).is_relative_to(path) for one in _TAKEN):
        raise DarkroomError(
            f"kubeflow.volume.mount: {mount!r} is taken in the tasks' pods; give one such as "
            "/mnt/darkroom"
        )


def _list_names(settings: Kubeflow) -> Iterator[tuple[str, str]]:
    if settings.service_account:
        yield "kubeflow.service_account", settings.service_account
    if settings.volume.claim:
        yield "kubeflow.volume.claim", settings.volume.claim
    for secret in settings.secrets:
        yield "kubeflow.secrets", secret.name
    for name in settings.pods.pull_secrets:
        yield "kubeflow.pods.pull_secrets", name
    if settings.distributed.nodes > 1:
        yield "kubeflow.distributed.runtime", settings.distributed.runtime


def _list_labels(settings: Kubeflow) -> Iterator[tuple[str, Mapping[str, str], bool]]:
    """Yield settings that hold labels, and whether their values are words or any text."""
    yield "kubeflow.pods.labels", settings.pods.labels, True
    yield "kubeflow.pods.annotations", settings.pods.annotations, False
    for task, wanted in settings.tasks.items():
        where = f"kubeflow.tasks.{task}"
        yield f"{where}.node_selector", wanted.node_selector or {}, True
        yield f"{where}.gpu_type", {wanted.gpu_type: ""} if wanted.gpu_type else {}, True
        yield f"{where}.tolerations", _list_taints(wanted), True


def _list_taints(wanted: Resources) -> dict[str, str]:
    return {one.key: one.value for one in wanted.tolerations or [] if one.key}
