"""Section `kubeflow` of params.yaml: what the pipeline asks of a cluster.

It stands here and not in `pipelines`, because every room checks the whole params file.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from components.common.settings.addresses import refuse_secrets
from components.common.settings.amounts import Label, Quantity, measure
from components.common.settings.spec import Between, param, section

TASKS = (
    "find_images",
    "fetch",
    "validate",
    "plan_checks",
    "check_images",
    "judge_images",
    "plan_shards",
    "write_shards",
    "collect_shards",
    "train",
    "evaluate",
    "promote",
)
# Of the pipeline `darkroom-predict`: answers to very many images.
BATCH_TASKS = ("plan_answers", "write_answers", "sum_up_answers", "watch_answers")
ALL_TASKS = (*TASKS, *BATCH_TASKS)
# Tasks that do a part of another's work where images are many: what that asks for holds for them.
PART_OF = {
    "find_images": "fetch",
    "plan_checks": "validate",
    "check_images": "validate",
    "judge_images": "validate",
}
# Tasks of earlier versions, which a params file may still name, and what does their work now.
GONE = {"look_up_champion": "promote", "record_end": "each task itself"}
DEFAULT = "default"
FORBID: dict[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class Toleration:
    """A taint of nodes that a task puts up with."""

    __pydantic_config__: ClassVar = FORBID

    key: str = param("", "the taint's key; empty with `Exists`: every taint")
    operator: Literal["Exists", "Equal"] = param("Exists", "how key and value are compared")
    value: Annotated[str, Label()] = param("", "the taint's value, for `Equal`")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = param(
        "", "the taint's effect; empty: every effect"
    )


@dataclass(frozen=True)
class Resources:
    """What one task asks for. What it leaves out is as in the entry `default`, or else as here."""

    __pydantic_config__: ClassVar = FORBID

    cpu: Annotated[str, Quantity()] | None = param(None, "CPU cores that it may use (1)")
    memory: Annotated[str, Quantity()] | None = param(None, "memory that it may use (4Gi)")
    cpu_request: Annotated[str, Quantity()] | None = param(
        None, "CPU cores that its node must have free, at most `cpu` (500m)"
    )
    memory_request: Annotated[str, Quantity()] | None = param(
        None, "memory that its node must have free, at most `memory` (1Gi)"
    )
    gpus: Annotated[int, Between(0, 64)] | None = param(
        None, "number of GPUs, where kubeflow.gpu_image names an image with CUDA (0)"
    )
    gpu_type: str | None = param(None, "resource name of a GPU (nvidia.com/gpu)")
    shared_memory: Annotated[str, Quantity()] | None = param(
        None, "size of /dev/shm, taken from the memory; 0: the node's default (0)"
    )
    tmp_size: Annotated[str, Quantity()] | None = param(
        None, "most that it may write to /tmp, on its node's disk; 0: no limit (0)"
    )
    node_selector: dict[str, Annotated[str, Label()]] | None = param(
        None, "labels that the node must have ({})"
    )
    tolerations: list[Toleration] | None = param(None, "taints that it puts up with ([])")
    retries: Annotated[int, Between(0, 20)] | None = param(None, "further attempts (2)")
    backoff_seconds: Annotated[int, Between(1, 3600)] | None = param(
        None, "wait before the first further attempt, doubled each time, seconds (30)"
    )
    timeout_seconds: Annotated[int, Between(0, 2**31 - 1)] | None = param(
        None, "a longer attempt is ended, seconds; 0: never (0)"
    )
    cache: bool | None = param(None, "take the result of an equal earlier task (true)")


FALLBACK = Resources(
    cpu="1",
    memory="4Gi",
    cpu_request="500m",
    memory_request="1Gi",
    gpus=0,
    gpu_type="nvidia.com/gpu",
    shared_memory="0",
    tmp_size="0",
    node_selector={},
    tolerations=[],
    retries=2,
    backoff_seconds=30,
    timeout_seconds=0,
    cache=True,
)


@dataclass(frozen=True)
class Secret:
    """A Kubernetes secret whose keys become variables of the environment of tasks."""

    __pydantic_config__: ClassVar = FORBID

    name: str = param("", "name of the secret in the namespace of the runs")
    env: dict[str, str] = param({}, "key of the secret → name of the variable")
    optional: bool = param(False, "a task starts even if the secret is missing")
    tasks: list[str] = param([], "tasks that get it; empty: every task")

    def __post_init__(self) -> None:
        """Refuse tasks that do not exist."""
        for name in self.tasks:
            if name not in ALL_TASKS:
                raise ValueError(f"such that tasks names only {', '.join(ALL_TASKS)}, not {name}")


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
    images: Literal["auto", "copies", "listing"] = param(
        "auto",
        "how images of a source get to the tasks: copies, from task to task; listing: each task "
        "reads those that it needs from the source, and wants its login (kubeflow.secrets); auto: "
        "copies of few",
    )

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
class Pods:
    """What all pods of a run have, those of a TrainJob too."""

    pull_secrets: list[str] = param([], "secrets for the registry of the images")
    pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = param(
        "", "when an image is pulled; empty: the cluster's way"
    )
    labels: dict[str, Annotated[str, Label()]] = param(
        {}, "labels, such as kueue.x-k8s.io/queue-name for Kueue"
    )
    annotations: dict[str, Annotated[str, Label()]] = param(
        {}, 'annotations, such as sidecar.istio.io/inject: "false"'
    )


@dataclass(frozen=True)
class Kubeflow:
    """What the pipeline asks of a Kubeflow cluster."""

    image: str = param("darkroom:latest", "the project's image; for submit with its @sha256 digest")
    gpu_image: str = param(
        "", "image with CUDA, of tasks with GPUs; empty: there is none, and no GPU is asked for"
    )
    host: str = param("", "address of the KFP API; empty: KFP_HOST, or the cluster it runs in")
    namespace: str = param("kubeflow", "namespace of the runs")
    experiment: str = param("darkroom", "KFP's experiment that holds the runs")
    service_account: str = param("", "account of the tasks; empty: the namespace's default")
    pipeline_root: str = param("", "where artifacts go, s3://bucket/folder; empty: KFP's default")
    partitions: Annotated[int, Between(1, 100)] = param(
        4,
        "pods side by side that look at images, write shards or answer a batch, at most one a "
        "shard or partition",
    )
    timeout_seconds: Annotated[int, Between(0, 2**31 - 1)] = param(
        259_200, "a longer run is ended, one that waits for a node included, seconds; 0: never"
    )
    ttl_seconds: Annotated[int, Between(0, 2**31 - 1)] = param(
        0, "Argo's record of a run is removed so long after its end, seconds; 0: KFP's default"
    )
    pods: Pods = section(Pods, "what all pods have")
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
            if name in GONE:
                raise ValueError(
                    f"such that tasks does not name {name}, which is no task any more: "
                    f"{GONE[name]} does its work; leave it out"
                )
            if name not in (DEFAULT, *ALL_TASKS):
                legal = ", ".join((DEFAULT, *ALL_TASKS))
                raise ValueError(f"such that tasks names only {legal}, not {name}")
        if self.distributed.nodes > 1 and not self.volume.claim:
            raise ValueError("given a volume.claim where distributed.nodes is more than 1")

    def find_resources(self, task: str) -> Resources:
        """Return what a task asks for, every field set."""
        chosen: dict[str, Any] = {}
        names = (DEFAULT, PART_OF.get(task, DEFAULT), task)
        for one in (FALLBACK, *(self.tasks.get(name) for name in names)):
            for field in dataclasses.fields(Resources):
                value = getattr(one, field.name, None)
                if value is not None:
                    chosen[field.name] = value
        if not self.gpu_image:
            chosen["gpus"] = 0  # the CPU image would take a GPU and let it idle, or wait for none
        for name in ("cpu", "memory"):
            if measure(chosen[f"{name}_request"]) > measure(chosen[name]):
                chosen[f"{name}_request"] = chosen[name]
        return Resources(**chosen)

    def find_secrets(self, task: str) -> list[Secret]:
        """Return the secrets that a task gets."""
        # What starts a TrainJob notes in MLflow how it ended, as the task train does.
        names = {task, PART_OF.get(task, task), task.removesuffix("_on_nodes")}
        return [one for one in self.secrets if not one.tasks or names & set(one.tasks)]

    def find_image(self, task: str) -> str:
        """Return the image of a task."""
        return self.gpu_image if self.gpu_image and self.find_resources(task).gpus else self.image
