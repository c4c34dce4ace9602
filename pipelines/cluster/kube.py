"""Kubernetes' own API, as a person's `kubectl` reaches it: what KFP does not say.

All of it is a help that may be lacking: who submits may have no way to Kubernetes, or no rights.
Nothing here raises; what cannot be read is None or empty.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.settings.amounts import measure

LIMITS = (3.0, 5.0)  # seconds until a connection stands, and until an answer comes
NODE_ID = "workflows.argoproj.io/node-id"  # annotation of a pod
RUN_ID = "pipeline/runid"  # label of a pod
CONTROLLER = "workflow-controller-configmap"
NOT_FOUND = 404


@dataclass
class Kubernetes:
    """The cluster that KFP runs in, and the namespace of the runs."""

    core: Any  # kubernetes.client.CoreV1Api
    namespace: str
    system: str  # namespace of KFP itself
    context: str  # what a person's kubectl calls it

    def has(self, kind: str, name: str) -> bool | None:
        """Whether the namespace of the runs has something; None if that cannot be seen.

        Args:
            kind: `secret`, `persistent_volume_claim` or `service_account`.
            name: its name.
        """
        read = getattr(self.core, f"read_namespaced_{kind}")
        try:
            read(name, self.namespace, _request_timeout=LIMITS)
        # Refused, unreachable, timed out: the client has errors of many classes, and none of them
        # says that the thing is missing. What cannot be seen is not asked for, and said so.
        except Exception as error:
            return False if getattr(error, "status", None) == NOT_FOUND else None
        return True

    def read_secret_keys(self, name: str) -> set[str] | None:
        """Return the keys of a secret, none of its values; None if that cannot be seen."""
        try:
            found = self.core.read_namespaced_secret(name, self.namespace, _request_timeout=LIMITS)
        except Exception:  # as above: it cannot be seen, which is no fault
            return None
        return set(found.data or {})

    def read_controller(self) -> dict[str, str] | None:
        """Return the configuration of Argo's controller; None if that cannot be seen."""
        with contextlib.suppress(Exception):
            found = self.core.read_namespaced_config_map(
                CONTROLLER, self.system, _request_timeout=LIMITS
            )
            return dict(found.data or {})
        return None

    def find_largest_node(self) -> tuple[str, str] | None:
        """Return the most CPU and the most memory that a node has; None if that cannot be seen."""
        with contextlib.suppress(Exception):
            nodes = self.core.list_node(_request_timeout=LIMITS).items
            amounts = [one.status.allocatable for one in nodes if not one.spec.unschedulable]
            if amounts:
                return (
                    max((one["cpu"] for one in amounts), key=measure),
                    max((one["memory"] for one in amounts), key=measure),
                )
        return None

    def find_reason(self, run_id: str) -> str:
        """Return why a pod of a run does not start, in the words of the scheduler or kubelet."""
        for pod in self._list_pods(run_id):
            if pod.status.phase != "Pending":
                continue
            for one in pod.status.container_statuses or []:
                waits = one.state.waiting if one.state else None
                if waits and waits.reason not in (None, "PodInitializing", "ContainerCreating"):
                    return f"{waits.reason}: {waits.message or ''}".strip(": ")
            for one in pod.status.conditions or []:
                if one.type == "PodScheduled" and one.status == "False" and one.message:
                    return str(one.message)
        return ""

    def read_log(self, run_id: str, node_id: str, lines: int) -> str:
        """Return the end of the log of a node's pod; empty if it is gone."""
        for pod in self._list_pods(run_id):
            if (pod.metadata.annotations or {}).get(NODE_ID) == node_id:
                with contextlib.suppress(Exception):
                    return str(
                        self.core.read_namespaced_pod_log(
                            pod.metadata.name,
                            self.namespace,
                            container="main",
                            tail_lines=lines,
                            _request_timeout=LIMITS,
                        )
                    )
        return ""

    def _list_pods(self, run_id: str) -> list[Any]:
        with contextlib.suppress(Exception):
            found = self.core.list_namespaced_pod(
                self.namespace, label_selector=f"{RUN_ID}={run_id}", _request_timeout=LIMITS
            )
            return list(found.items)
        return []


def connect_kubernetes(namespace: str) -> Kubernetes | None:
    """Return the way to the cluster, if there is one and KFP runs there.

    Args:
        namespace: of the runs.
    """
    file = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    if not inside and not file.is_file():
        return None
    system = os.environ.get("KFP_NAMESPACE", "kubeflow")
    try:
        from kubernetes import client, config

        if inside:
            config.load_incluster_config()
            context = "this cluster"
        else:
            config.load_kube_config(str(file))
            context = config.list_kube_config_contexts(str(file))[1]["name"]
        core = client.CoreV1Api()
        # Of the clusters that a person knows, the present one may be another than KFP's.
        core.read_namespaced_service("ml-pipeline", system, _request_timeout=LIMITS)
    # No kubectl settings, damaged ones, another cluster: the checks are a service, submit goes on.
    except Exception:
        return None
    return Kubernetes(core, namespace or system, system, context)
