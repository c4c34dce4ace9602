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

    def list_nodes(self) -> list[dict[str, str]]:
        """Return what each node that takes pods has for them; empty if that cannot be seen."""
        found = []
        with contextlib.suppress(Exception):
            for node in self.core.list_node(_request_timeout=LIMITS).items:
                amounts = dict(node.status.allocatable or {})
                if not node.spec.unschedulable and {"cpu", "memory"} <= amounts.keys():
                    found.append({name: one for name, one in amounts.items() if _is_amount(one)})
        return found

    def find_reason(self, run_id: str, node_id: str = "") -> str:
        """Return why a pod of a run does not start, in the words of scheduler, kubelet or events.

        Args:
            run_id: of the run.
            node_id: Argo's, of the task; empty: any pod of the run that waits.
        """
        for pod in self._list_pods(run_id):
            own = (pod.metadata.annotations or {}).get(NODE_ID, "")
            if pod.status.phase != "Pending" or node_id not in ("", own):
                continue
            if reason := _read_reason(pod.status) or self._read_event(pod.metadata.name):
                return reason
        return ""

    def _read_event(self, pod: str) -> str:
        """Return the last warning about a pod: of a volume that cannot be mounted, only these."""
        with contextlib.suppress(Exception):
            found = self.core.list_namespaced_event(
                self.namespace,
                field_selector=f"involvedObject.name={pod},type=Warning",
                _request_timeout=LIMITS,
            ).items
            if found:
                return f"{found[-1].reason or ''}: {found[-1].message or ''}".strip(": ")
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


def _is_amount(text: str) -> bool:
    with contextlib.suppress(ValueError):
        measure(text)
        return True
    return False


def _read_reason(status: Any) -> str:
    """Return what a pod's status says of why it does not start."""
    # An image that cannot be pulled may be that of a container which comes before ours.
    for one in (*(status.init_container_statuses or []), *(status.container_statuses or [])):
        waits = one.state.waiting if one.state else None
        if waits and waits.reason not in (None, "PodInitializing", "ContainerCreating"):
            return f"{waits.reason}: {waits.message or ''}".strip(": ")
    for one in status.conditions or []:
        if one.type == "PodScheduled" and one.status == "False" and one.message:
            return str(one.message)
    return ""


def connect_kubernetes(namespace: str) -> Kubernetes | None:
    """Return the way to the cluster, if there is one and KFP runs there.

    Args:
        namespace: of the runs; empty: KFP's own.
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
