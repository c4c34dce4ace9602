"""A run as KFP would answer for it, its nodes nested and named as in the recorded answers.

For what no recorded run has: groups that fail, many partitions, drivers that wait.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from pipelines.cluster.nodes import compute_node_id

RUN = "darkroom-zzzzz"
ROOT = f"{RUN}(0).root(0)"
BEGAN = "2026-11-25T14:00:00Z"


@dataclass
class Story:
    """The nodes of a run: full name → state and children."""

    states: dict[str, str] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the run."""
        self.add(RUN, f"{RUN}(0)", f"{RUN}(0).root", ROOT, state="RUNNING")

    def add(self, *chain: str, state: str) -> None:
        """Add nodes, each the child of the one before."""
        for name, child in zip(chain, (*chain[1:], ""), strict=True):
            self.states.setdefault(name, state)
            around = self.children.setdefault(name, [])
            if child and child not in around:
                around.append(child)

    def group(self, around: str, name: str, state: str) -> str:
        """Add a group of tasks; return the full name of its attempt."""
        self.add(around, f"{around}.{name}", f"{around}.{name}(0)", state=state)
        return f"{around}.{name}(0)"

    def item(self, around: str, number: int, state: str) -> str:
        """Add an iteration of a loop; return the full name of its attempt."""
        name = f"{around}.iteration-iterations({number}:{number})"
        self.add(around, name, f"{name}(0)", state=state)
        return self.group(f"{name}(0)", "iteration-item", state)

    def driver(self, around: str, task: str, *attempts: str) -> None:
        """Add KFP's own pod before a task, with the state of each of its attempts."""
        self._attempts(around, f"{task}-driver", attempts)

    def task(self, around: str, name: str, *attempts: str) -> str:
        """Add a task, with the state of each attempt of its pod; return the last one's id."""
        state = attempts[-1] if attempts[-1] != "PENDING" else "RUNNING"
        inside = self.group(around, name, state)
        return self._attempts(inside, "executor", attempts)

    def _attempts(self, around: str, name: str, attempts: tuple[str, ...]) -> str:
        whole = f"{around}.{name}"
        self.add(around, whole, state=attempts[-1])
        for number, state in enumerate(attempts):
            self.add(whole, f"{whole}({number})", state=state)
        return compute_node_id(RUN, f"{whole}({len(attempts) - 1})")

    def answer(self, state: str, seed: int = 0) -> dict[str, Any]:
        """Return what the API would answer, its entries in an order of chance."""
        ended = ("SUCCEEDED", "FAILED")
        details = [
            {
                "display_name": name.rpartition(".")[2],
                "state": own,
                "start_time": BEGAN,
                "end_time": "2026-11-25T14:00:30Z" if own in ended else "0001-01-01T00:00:00Z",
                "child_tasks": [
                    {"pod_name": compute_node_id(RUN, child)} for child in self.children[name]
                ],
            }
            for name, own in self.states.items()
        ]
        random.Random(seed).shuffle(details)
        return {"run_id": "r1", "state": state, "run_details": {"task_details": details}}
