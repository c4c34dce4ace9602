"""Section `kubeflow` of params.yaml: what the pipeline asks of a cluster.

It stands here and not in `pipelines`, because every room checks the whole params file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from components.common.settings.addresses import refuse_secrets
from components.common.settings.spec import Between, param, section

TASKS = (
    "fetch",
    "validate",
    "plan_shards",
    "write_shards",
    "collect_shards",
    "train",
    "evaluate",
    "look_up_champion",
    "promote",
    "record_end",
)
DEFAULT = "default"
FORBID: dict[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class Quantity:
    """An amount as Kubernetes writes it: ``Annotated[str, Quantity()]``."""

    def check(self, value: str) -> str:
        """Return the value, or raise ValueError with the legal form."""
        if re.fullmatch(r"\d+(\.\d+)?(m|k|[KMGTP]i?)?", value):
            return value
        raise ValueError("must be a Kubernetes quantity such as '500m', '2' or '8Gi'")

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to apply :meth:`check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class Toleration:
    """A taint of nodes that a task puts up with."""

    __pydantic_config__: ClassVar = FORBID

    key: str = param("", "the taint's key; empty with `Exists`: every taint")
    operator: Literal["Exists", "Equal"] = param("Exists", "how key and value are compared")
    value: str = param("", "the taint's value, for `Equal`")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = param(
        "", "the taint's effect; empty: every effect"
    )


@dataclass(frozen=True)
class Resources:
    """What one task asks for. What it leaves out is as in the entry `default`, or else as here."""

    __pydantic_config__: ClassVar = FORBID

    cpu: Annotated[str, Quantity()] | None = param(None, "CPU cores, requested and limit (1)")
    memory: Annotated[str, Quantity()] | None = param(None, "memory, requested and limit (4Gi)")
    gpus: Annotated[int, Between(0, 64)] | None = param(None, "number of GPUs (0)")
    gpu_type: str | None = param(None, "resource name of a GPU (nvidia.com/gpu)")
    shared_memory: Annotated[str, Quantity()] | None = param(
        None, "size of /dev/shm, taken from the memory; 0: the node's default (0)"
    )
    node_selector: dict[str, str] | None = param(None, "labels that the node must have ({})")
    tolerations: list[Toleration] | None = param(None, "taints that it puts up with ([])")
    retries: Annotated[int, Between(0, 20)] | None = param(None, "further attempts (2)")
    backoff_seconds: Annotated[int, Between(1, 3600)] | None = param(
        None, "wait before the first further attempt, doubled each time, seconds (30)"
    )
    timeout_seconds: Annotated[int, Between(0)] | None = param(
        None, "a longer attempt is ended, seconds; 0: never (0)"
    )
    cache: bool | None = param(None, "take the result of an equal earlier task (true)")


FALLBACK = Resources(
    cpu="1",
    memory="4Gi",
    gpus=0,
    gpu_type="nvidia.com/gpu",
    shared_memory="0",
    node_selector={},
    tolerations=[],
    retries=2,
    backoff_seconds=30,
    timeout_seconds=0,
    cache=True,
)


@dataclass(frozen=True)
class Secret:
    """A Kubernetes secret whose keys become variables of every task's environment."""

    __pydantic_config__: ClassVar = FORBID

    name: str = param("", "name of the secret in the namespace of the runs")
    env: dict[str, str] = param({}, "key of the secret → name of the variable")
    optional: bool = param(False, "a task starts even if the secret is missing")


@dataclass(frozen=True)
class Fetch:
    """Where the first task gets the images."""

    source: str = param(
        "",
        "empty: as section `ingest` says; address of a git repository: its DVC data; "
        "s3://bucket/folder, gs://bucket/folder or hf://datasets/owner/name",
    )
    revision: str = param("", "commit, tag or branch of the git repository; empty: its default")
    path: str = param("data/images", "folder of images in the git repository")

    def __post_init__(self) -> None:
        """Refuse a store's address with a secret; git's own take a token from the environment."""
        if not self.source.lower().startswith("http"):
            refuse_secrets(self.source, "kubeflow.fetch.source")


@dataclass(frozen=True)
class Volume:
    """A shared volume for images that are too many to be copied from task to task."""

    claim: str = param("", "persistent volume claim, ReadWriteMany; empty: artifacts are copied")
    mount: str = param("/mnt/darkroom", "where the tasks see it")


@dataclass(frozen=True)
class Distributed:
    """Training on several machines by a TrainJob of Kubeflow Trainer; it needs the volume."""

    nodes: Annotated[int, Between(1, 1024)] = param(1, "machines; 1: the task itself trains")
    runtime: str = param("jax-distributed", "name of the ClusterTrainingRuntime")
    poll_seconds: Annotated[float, Between(0.01, 600)] = param(
        15.0, "wait between two looks at the TrainJob, seconds"
    )


@dataclass(frozen=True)
class Kubeflow:
    """What the pipeline asks of a Kubeflow cluster."""

    image: str = param("darkroom:latest", "the project's image; for submit with its @sha256 digest")
    gpu_image: str = param("", "image of tasks with GPUs; empty: the same")
    host: str = param("", "address of the KFP API; empty: KFP_HOST, or the cluster it runs in")
    namespace: str = param("kubeflow", "namespace of the runs")
    experiment: str = param("darkroom", "KFP's experiment that holds the runs")
    service_account: str = param("", "account of the tasks; empty: the namespace's default")
    pipeline_root: str = param("", "where artifacts go, s3://bucket/folder; empty: KFP's default")
    partitions: Annotated[int, Between(1, 100)] = param(
        4, "pods that write shards side by side, at most one a shard"
    )
    fetch: Fetch = section(Fetch, "where the images come from")
    volume: Volume = section(Volume, "shared volume for very many images")
    distributed: Distributed = section(Distributed, "training on several machines")
    secrets: list[Secret] = param([], "secrets that become environment variables")
    tasks: dict[str, Resources] = param(
        {}, f"what tasks ask for, `{DEFAULT}` or a task's name → its settings"
    )

    def __post_init__(self) -> None:
        """Refuse settings of tasks that do not exist, and machines that could share no files."""
        for name in self.tasks:
            if name not in (DEFAULT, *TASKS):
                legal = ", ".join((DEFAULT, *TASKS))
                raise ValueError(f"such that tasks names only {legal}, not {name}")
        if self.distributed.nodes > 1 and not self.volume.claim:
            raise ValueError("given a volume.claim where distributed.nodes is more than 1")

    def find_resources(self, task: str) -> Resources:
        """Return what a task asks for, every field set."""
        chosen: dict[str, Any] = {}
        for one in (FALLBACK, self.tasks.get(DEFAULT), self.tasks.get(task)):
            for field in dataclasses.fields(Resources):
                value = getattr(one, field.name, None)
                if value is not None:
                    chosen[field.name] = value
        return Resources(**chosen)

    def find_image(self, task: str) -> str:
        """Return the image of a task."""
        return self.gpu_image if self.gpu_image and self.find_resources(task).gpus else self.image
