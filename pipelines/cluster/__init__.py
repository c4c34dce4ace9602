"""The way to a Kubeflow cluster: its API, what is sent there, and what a person sees of a run.

==============  ==========================================================================
`connection`    KFP's API: address, credentials, time limits, errors in words
`kube`          Kubernetes' own API, where a person's `kubectl` reaches the same cluster
`checks`        what can be seen to be wrong before anything is sent
`actions`       submit, schedule, upload, retry
`nodes`         the tree of Argo's nodes, from the heap of them that KFP answers with
`progress`      the pipeline's tasks, from that tree: states, attempts, partitions
`watching`      follows a run, and says how it ended and how to go on
`logs`          the last words of a task
==============  ==========================================================================
"""

from pipelines.cluster.actions import Run, retry, schedule, submit, switch_schedule, upload
from pipelines.cluster.connection import connect
from pipelines.cluster.watching import wait

__all__ = ["Run", "connect", "retry", "schedule", "submit", "switch_schedule", "upload", "wait"]
