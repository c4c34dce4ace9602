"""The way to a Kubeflow cluster: its API, what is sent there, and what a person sees of a run.

==============  ==========================================================================
`connection`    KFP's API: address, credentials, time limits, errors in words
`answers`       that what comes back is KFP's, and no login page
`kube`          Kubernetes' own API, where a person's `kubectl` reaches the same cluster
`checks`        what can be seen to be wrong before anything is sent
`names`         names, labels and paths that Kubernetes would not take
`actions`       submit, schedule, upload, retry
`nodes`         the tree of Argo's nodes, from the heap of them that KFP answers with
`progress`      the pipeline's tasks, from that tree: states, attempts, partitions
`watching`      follows a run, and says how it ended and how to go on
`logs`          the last words of a task
`cleaning`      what is on the volume and in MLflow that no run needs any more
==============  ==========================================================================
"""

from pipelines.cluster.actions import check_cron, retry, schedule, submit, switch_schedule, upload
from pipelines.cluster.connection import Run, connect
from pipelines.cluster.watching import wait

__all__ = [
    "Run",
    "check_cron",
    "connect",
    "retry",
    "schedule",
    "submit",
    "switch_schedule",
    "upload",
    "wait",
]
