"""The TrainJob of Kubeflow Trainer as it is sent: nodes, image, what its pods ask for and mount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.common.settings.amounts import measure
from components.common.tracking.runs import KFP_RUN_ID

GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
# Names in every runtime of Kubeflow Trainer: the job of the training pods, and their container.
NODE = "node"
VOLUME = "darkroom"


def create_manifest(
    name: str, command: list[str], run: str, job: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the TrainJob: N nodes with G GPUs each, on Keras' JAX backend."""
    limits = {"cpu": job["cpu"], "memory": job["memory"]}
    requests = {"cpu": job["cpu_request"], "memory": job["memory_request"]}
    if job["gpus"]:
        limits[job["gpu_type"]] = requests[job["gpu_type"]] = str(job["gpus"])
    env = [
        {"name": "KERAS_BACKEND", "value": "jax"},
        {"name": KFP_RUN_ID, "value": run},
        *(
            {
                "name": variable,
                "valueFrom": {
                    "secretKeyRef": {
                        "name": secret["name"],
                        "key": key,
                        "optional": bool(secret.get("optional")),
                    }
                },
            }
            for secret in job["secrets"]
            for key, variable in secret["env"].items()
        ),
    ]
    pod: dict[str, Any] = {
        "volumes": [{"name": VOLUME, "persistentVolumeClaim": {"claimName": job["claim"]}}],
        "containers": [
            {"name": NODE, "volumeMounts": [{"name": VOLUME, "mountPath": job["mount"]}]}
        ],
    }
    if measure(job["shared_memory"]):
        size = {"medium": "Memory", "sizeLimit": job["shared_memory"]}
        pod["volumes"].append({"name": "shm", "emptyDir": size})
        mount = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108
        pod["containers"][0]["volumeMounts"].append(mount)
    if job["node_selector"]:
        pod["nodeSelector"] = dict(job["node_selector"])
    if job["tolerations"]:
        pod["tolerations"] = [{k: v for k, v in one.items() if v} for one in job["tolerations"]]
    if job["service_account"]:
        pod["serviceAccountName"] = job["service_account"]
    pods = job["pods"]
    if pods["pull_secrets"]:
        pod["imagePullSecrets"] = [{"name": one} for one in pods["pull_secrets"]]
    described = {key: dict(pods[key]) for key in ("labels", "annotations") if pods[key]}
    template = {"spec": pod} | ({"metadata": described} if described else {})
    node = {"name": NODE, "template": {"spec": {"template": template}}}
    spec: dict[str, Any] = {
        "runtimeRef": {"name": job["runtime"]},
        "trainer": {
            "image": job["image"],
            "command": command,
            "numNodes": job["nodes"],
            "resourcesPerNode": {"requests": requests, "limits": limits},
            "env": env,
        },
        "runtimePatches": [
            {
                "manager": "darkroom.pipelines/train",
                "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}},
            }
        ],
    }
    if job["timeout_seconds"]:
        spec["activeDeadlineSeconds"] = job["timeout_seconds"]
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        # Kueue looks for its queue on the TrainJob itself.
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/part-of": "darkroom", **pods["labels"]},
        },
        "spec": spec,
    }
