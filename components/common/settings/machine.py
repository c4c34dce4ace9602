"""Section `machine` of params.yaml: what the rooms may take of the computer that they run on.

It changes no result, so no stage depends on it; on a cluster `kubeflow.tasks` says the same of each
task, and Kubernetes keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from components.common.host import limit_memory
from components.common.settings.spec import Between, param


@dataclass(frozen=True)
class Machine:
    """Bounds of every room."""

    memory_gb: Annotated[float, Between(0.1, 1e6)] | Literal["auto"] = param(
        "auto",
        "memory that a room plans with, GB: what does not fit stays on disk, is done in parts, or "
        "is refused before an image is read; auto: what the machine or its container has free",
    )

    def apply(self) -> None:
        """Let what asks for free memory from now on be told of no more."""
        limit_memory(None if self.memory_gb == "auto" else float(self.memory_gb))
