"""The pipeline's own tasks in a run: what state each is in, and the words for it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.common.settings.kubeflow import ALL_TASKS
from components.common.terminal import describe_seconds
from pipelines.cluster.nodes import Node, Tree

# What a task's state is called, the worst first: of several partitions the worst is shown.
FAILED, WAITING, STARTING, RUNNING = "failed", "waiting", "starting", "running"
DONE, CACHED, SKIPPED, NOT_RUN = "done", "cached", "skipped", "not run"
STATES = (FAILED, WAITING, RUNNING, STARTING, DONE, CACHED, SKIPPED, NOT_RUN)
ENDED = (FAILED, DONE, CACHED, SKIPPED)
_OURS = {
    "SUCCEEDED": DONE,
    "CACHED": CACHED,
    "SKIPPED": SKIPPED,
    "FAILED": FAILED,
    "CANCELED": FAILED,
    "PENDING": WAITING,
    "RUNNING": RUNNING,
    "": NOT_RUN,
}
_DRIVER = re.compile(r"-driver\(\d+\)$")


@dataclass(frozen=True)
class Task:
    """A task of the pipeline as it stands."""

    name: str  # as people see it: `write shards`
    state: str  # one of STATES
    attempt: int = 1
    done: int = 0  # partitions that have ended well
    partitions: int = 1
    seconds: float = 0.0  # since it began, until it ended
    node_id: str = ""  # of its last attempt: whose log it is
    attempt_seconds: float = 0.0  # of that attempt, its wait for a node included
    is_group: bool = False  # other tasks are in it, and have the logs

    def describe(self) -> str:
        """Return its state as a person reads it: ``running, attempt 2, 1 of 3 partitions``."""
        words = [self.state]
        if self.attempt > 1:
            words.append(f"attempt {self.attempt}")
        if self.partitions > 1 and self.state not in (CACHED, NOT_RUN):
            words.append(f"{self.done} of {self.partitions} partitions")
        return ", ".join(words)

    def describe_time(self) -> str:
        """Return how long it took, or takes already; empty where it did nothing."""
        return "" if self.state in (CACHED, SKIPPED, NOT_RUN) else describe_seconds(self.seconds)


def read_tasks(tree: Tree, now: datetime.datetime | None = None) -> list[Task]:
    """Return the tasks that have begun, in the order of the pipeline."""
    now = now or datetime.datetime.now(datetime.UTC)
    names = [
        name for one in ALL_TASKS for name in ([one, "train_on_nodes"] if one == "train" else [one])
    ]
    return [task for name in names for task in _read_task(tree, name, now)]


def _read_task(tree: Tree, name: str, now: datetime.datetime) -> Iterator[Task]:
    own = name.replace("_", "-")
    nodes = tree.find(own) or tree.find(name) or tree.find(name.replace("_", " "))
    shown = name.replace("_", " ")
    if not nodes:
        drivers = [one for one in tree.find(f"{own}-driver") if one.state in ("RUNNING", "PENDING")]
        if drivers:
            begun = _measure(drivers, now)
            last = (tree.find_attempts(drivers[0]) or drivers)[-1]
            yield Task(
                shown, STARTING, seconds=begun, partitions=len(drivers), node_id=last.node_id
            )
        return
    states = [_find_state(tree, node) for node in nodes]
    worst = min(states, key=STATES.index)
    shown_node = nodes[states.index(worst)]
    attempts = [_count_attempts(tree, node) for node in nodes]
    last = _find_last(tree, shown_node)
    yield Task(
        shown,
        worst,
        max(attempts),
        sum(state in (DONE, CACHED) for state in states),
        len(nodes),
        _measure([node for node in nodes if node.state], now),
        last.node_id,
        _measure([last] if last.started else [], now),
        is_group=tree.find_inside(shown_node, "executor") is None and tree.has_inside(shown_node),
    )


def _find_state(tree: Tree, node: Node) -> str:
    state = _OURS.get(node.state, RUNNING)
    executor = tree.find_inside(node, "executor")
    if executor is None:
        return state
    if state == DONE and executor.state == "SKIPPED":
        return CACHED
    if state in (RUNNING, WAITING):
        attempts = tree.find_attempts(executor)
        if not attempts:
            return STARTING
        return WAITING if attempts[-1].state == "PENDING" else RUNNING
    return state


def _find_last(tree: Tree, node: Node) -> Node:
    executor = tree.find_inside(node, "executor")
    return (tree.find_attempts(executor) or [executor])[-1] if executor else node


def _count_attempts(tree: Tree, node: Node) -> int:
    executor = tree.find_inside(node, "executor")
    count = len(tree.find_attempts(executor)) if executor else 1
    return max(count, 1) + node.restarts


def find_failed(tasks: Sequence[Task]) -> Task | None:
    """Return the task that failed: of a group the one in it, for only that has a log."""
    failed = [one for one in tasks if one.state == FAILED]
    return next((one for one in failed if not one.is_group), failed[0] if failed else None)


def count_failed_drivers(tree: Tree) -> tuple[str, int]:
    """Return the driver of KFP's own that failed most, and how often: 0 where none did."""
    counts: dict[str, int] = {}
    for node in tree.nodes.values():
        if node.state == "FAILED" and _DRIVER.search(node.name):
            name = _DRIVER.sub("", node.own_name)
            counts[name] = counts.get(name, 0) + 1
    return max(counts.items(), key=lambda one: one[1], default=("", 0))


def read_history(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the states that a run has had, the first one first, however KFP lists them."""
    states = [one for one in found.get("state_history") or [] if one and one.get("state")]
    times = [_parse(str(one.get("update_time") or "")) for one in states]
    if None in times:
        return states
    order = sorted(range(len(states)), key=lambda place: (times[place], place))  # type: ignore[arg-type, return-value]
    return [states[place] for place in order]


def measure_run(found: dict[str, Any]) -> float:
    """Return how long a run went on that has ended, seconds, since it was started or retried.

    Args:
        found: KFP's answer.
    """
    began = [
        str(one.get("update_time") or "")
        for one in read_history(found)
        if one["state"] == "RUNNING"
    ]
    begin, end = _parse(began[-1] if began else ""), _parse(str(found.get("finished_at") or ""))
    return (end - begin).total_seconds() if begin and end else 0.0


def _measure(nodes: Sequence[Node], now: datetime.datetime) -> float:
    began = [time for node in nodes if (time := _parse(node.started))]
    if not began:
        return 0.0
    ended = [_parse(node.ended) for node in nodes]
    end = now if None in ended else max(time for time in ended if time)
    return max(0.0, (end - min(began)).total_seconds())


def _parse(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
