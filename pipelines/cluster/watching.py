"""Follow a run: one line that says where it is, and at its end how to go on."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from components.common.errors import DarkroomError
from components.common.settings.kubeflow import ALL_TASKS, DEFAULT, Kubeflow
from components.common.terminal import Stopwatch, describe_seconds, say
from pipelines.cluster import progress
from pipelines.cluster.connection import Connection, Run, explain_failures
from pipelines.cluster.kube import Kubernetes, connect_kubernetes
from pipelines.cluster.logs import read_last_line
from pipelines.cluster.nodes import Tree, read_tree
from pipelines.cluster.progress import Task

# States of a run that changes no more.
SUCCEEDED, ENDED = "SUCCEEDED", ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
POLL_SECONDS = 5.0
PATIENCE = 12  # looks at a run that may fail one after the other: a server that restarts
GRACE_SECONDS = 30.0  # a run that was just retried may still be called ended
WAIT_SECONDS = 60.0  # a task may wait for its node, until that is said
LATE_SECONDS = 300.0  # so long after its limit Argo may end a run; one that went on has another
MOST_DRIVER_FAILURES = 3  # of one of KFP's own pods, until that is said


def wait(
    connection: Connection,
    run: Run,
    timeout: float,
    settings: Kubeflow | None = None,
    retried: bool = False,
) -> None:
    """Show the progress of a run until it ends; raise DarkroomError if it does not succeed.

    Args:
        connection: of :func:`connect`.
        run: what is waited for.
        timeout: seconds until the waiting, not the run, is given up.
        settings: section `kubeflow`, to say what a task that waits asks for.
        retried: the run had ended before, and goes on now.
    """
    watch = Stopwatch()
    screen = Screen(sys.stdout)
    kubernetes = connect_kubernetes(connection.namespace)
    warnings = Warnings(run, settings, kubernetes, connection.namespace)
    failures, grace = 0, GRACE_SECONDS if retried else 0.0
    while True:
        try:
            with explain_failures(connection):
                found = connection.client.get_run(run.run_id).to_dict()
            failures = 0
        except DarkroomError:
            failures += 1
            if failures >= PATIENCE or connection.refused:
                screen.close()
                raise
            found = None
        if found is not None:
            tree = read_tree((found.get("run_details") or {}).get("task_details") or [])
            tasks = progress.read_tasks(tree)
            look = Look(found, tree, tasks)
            screen.show(tasks, warnings.find(tasks, tree))
            if found["state"] not in ENDED:
                grace = 0.0
            elif watch.seconds >= grace:
                break
        if watch.seconds > timeout:
            screen.close()
            raise DarkroomError(
                f"the run has not ended after {timeout:g} s; it goes on, see {run.address}"
            )
        time.sleep(POLL_SECONDS)
    screen.close()
    if found["state"] != SUCCEEDED:
        raise DarkroomError(describe_end(connection, run, look, kubernetes, settings))
    say(f"the run succeeded ({watch})")


@dataclass(frozen=True)
class Look:
    """A run as it stood at one look."""

    found: dict[str, Any]  # KFP's answer
    tree: Tree
    tasks: Sequence[Task]


def describe_end(
    connection: Connection,
    run: Run,
    look: Look,
    kubernetes: Kubernetes | None,
    settings: Kubeflow | None = None,
) -> str:
    """Return how a run ended that did not succeed, why, and how to go on, in one line."""
    found, tree, tasks = look.found, look.tree, look.tasks
    go_on = (
        f"`python -m pipelines retry {run.run_id} --wait`, or Retry on its page, goes on with what "
        f"is not done: {run.address}"
    )
    if was_terminated(found):
        return f"the run was terminated; {go_on}"
    driver, count = progress.count_failed_drivers(tree)
    failed = progress.find_failed(tasks)
    # KFP calls failed what a limit of time ended, and gives no reason: the times must tell.
    limit = settings.timeout_seconds if settings else 0
    if limit and limit <= progress.measure_run(found) <= limit + LATE_SECONDS:
        words = describe_limit("kubeflow.timeout_seconds", limit)
        return f"the run was ended{f' in {failed.name}' if failed else ''} {words} {go_on}"
    if failed is None and count:
        return f"{describe_driver(driver, count)}; when that is mended, {go_on}"
    error = (found.get("error") or {}).get("message") or ""
    if failed is None:
        return f"the run {found['state'].lower()} ({error or 'KFP does not say why'}); {go_on}"
    line = read_last_line(connection, run.run_id, failed.node_id, kubernetes)
    if settings and not line.startswith("error: "):  # a task that is stopped has no last words
        name = failed.name.replace(" ", "_")
        name = name if name in ALL_TASKS else DEFAULT  # what makes a TrainJob has none of its own
        limit = settings.find_resources(name).timeout_seconds or 0
        if limit and failed.attempt_seconds >= limit:
            words = describe_limit(f"kubeflow.tasks.{name}.timeout_seconds", limit)
            return f"{failed.name} was ended {words} {go_on}"
    reason = line.removeprefix("error: ") or error or "its log, on its page, says why"
    return f"the run {found['state'].lower()} in {failed.name} ({reason}); {go_on}"


def describe_limit(setting: str, limit: int) -> str:
    """Return that a limit of time ended something, and what raises it."""
    return (
        f"after {describe_seconds(limit)}, its limit ({setting}: {limit}); set a higher one, or 0 "
        "for none, for the next submit; within the same limit"
    )


def was_terminated(found: dict[str, Any]) -> bool:
    """Whether somebody ended a run: KFP calls it failed, after it was canceling."""
    states = [one["state"] for one in progress.read_history(found)]
    last = max((place for place, state in enumerate(states) if state == "RUNNING"), default=0)
    return "CANCELING" in states[last:] or found.get("state") == "CANCELED"


def describe_driver(driver: str, count: int) -> str:
    """Return what it means that KFP's own pods fail."""
    whose = "the pipeline" if driver == "root" else driver.replace("-", " ")
    often = "once" if count == 1 else f"{count} times"
    return (
        f"KFP's own driver of {whose} failed {often}: a fault of the cluster and not of the "
        "pipeline, such as a store of artifacts or metadata that does not answer; look at the log "
        "of a pod of the run whose name has `driver` in it, and at the pods of KFP itself"
    )


@dataclass
class Warnings:
    """What KFP does not say of a run that does not move; each is said once."""

    run: Run
    settings: Kubeflow | None
    kubernetes: Kubernetes | None
    namespace: str = ""  # of the run; empty: KFP's own
    watch: Stopwatch = field(default_factory=Stopwatch)
    said: set[str] = field(default_factory=set)

    def find(self, tasks: Sequence[Task], tree: Tree) -> list[str]:
        """Return what is to be said now."""
        driver, count = progress.count_failed_drivers(tree)
        found = []
        if count >= MOST_DRIVER_FAILURES:
            found.append((f"driver {driver}", describe_driver(driver, count)))
        elif all(one.state == progress.NOT_RUN for one in tasks):
            found += self._find_beginning()
        for task in tasks:
            if task.state in (progress.WAITING, progress.STARTING):
                found += self._find_wait(task)
        new = [words for key, words in found if key not in self.said]
        self.said |= {key for key, _ in found}
        return new

    def _find_beginning(self) -> Iterator[tuple[str, str]]:
        """Yield that no task has begun: the first pod of a run is KFP's own, and may wait too."""
        why = self.kubernetes.find_reason(self.run.run_id) if self.kubernetes else ""
        if why:
            words = f"no task has begun: the run's first pod waits: {why}"
            yield f"begin {_drop_numbers(why)}", words
        elif self.watch.seconds >= WAIT_SECONDS:
            yield (
                "begin",
                f"no task has begun for {describe_seconds(self.watch.seconds)}, and KFP does not "
                f"say why: its own first pod may wait for a node. {self._describe_look()}",
            )

    def _find_wait(self, task: Task) -> Iterator[tuple[str, str]]:
        """Yield why a task waits, with what tells this reason from another."""
        key = f"{task.name} {task.attempt}"
        why = ""
        if self.kubernetes:
            why = self.kubernetes.find_reason(self.run.run_id, task.node_id)
        asked = f"it asks for {self._describe(task)}"
        if task.state == progress.STARTING:
            asked = "that is KFP's own pod before it, which asks for little"
        if why:
            yield f"{key} {_drop_numbers(why)}", f"{task.name} waits: {why}; {asked}"
        elif task.seconds >= WAIT_SECONDS and task.state == progress.WAITING:
            yield (
                key,
                f"{task.name} has been waiting for a node for {describe_seconds(task.seconds)}, "
                f"and KFP does not say why; {asked}. {self._describe_look()}",
            )
        elif task.seconds >= WAIT_SECONDS:
            yield (
                key,
                f"{task.name} has not started for {describe_seconds(task.seconds)}, and KFP does "
                f"not say why: its own pod before it may wait for a node. {self._describe_look()}",
            )

    def _describe_look(self) -> str:
        namespace = self.namespace or "kubeflow"
        return (
            f"Look with `kubectl get events -n {namespace} --field-selector "
            "reason=FailedScheduling`"
        )

    def _describe(self, task: Task) -> str:
        if self.settings is None:
            return "what kubeflow.tasks says"
        wanted = self.settings.find_resources(task.name.replace(" ", "_"))
        gpus = f", {wanted.gpus} x {wanted.gpu_type}" if wanted.gpus else ""
        asked = wanted.cpu_request, wanted.memory_request
        return f"{asked[0] or wanted.cpu} CPU and {asked[1] or wanted.memory} memory{gpus}"


def _drop_numbers(reason: str) -> str:
    """Return a reason without what changes while it stays: how many nodes, how often."""
    return re.sub(r"\d+", "", reason)


class Screen:
    """Where the progress is shown: a line that is redrawn, or in a log a line for each change."""

    def __init__(self, stream: TextIO) -> None:
        """Take a stream; whether it is a terminal decides the form."""
        self._stream = stream
        self._live = stream.isatty()
        self._said: dict[str, str] = {}
        self._drawn = False

    def show(self, tasks: Sequence[Task], warnings: Sequence[str]) -> None:
        """Say what has changed since the last time."""
        for task in tasks:
            words = task.describe()
            finished = task.state in progress.ENDED
            if self._said.get(task.name) == words or (self._live and not finished):
                continue
            self._said[task.name] = words
            took = task.describe_time()
            self._print(f"{task.name}: {words}" + (f" ({took})" if took and finished else ""))
        for words in warnings:
            self._print(f"warning: {words}")
        if self._live:
            self._draw(
                [one for one in tasks if one.state not in (*progress.ENDED, progress.NOT_RUN)]
            )

    def close(self) -> None:
        """Leave nothing half-drawn."""
        if self._drawn:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._drawn = False

    def _print(self, line: str) -> None:
        self.close()
        say(line)

    def _draw(self, tasks: Sequence[Task]) -> None:
        self.close()
        line = " · ".join(f"{one.name} {one.describe()} {one.describe_time()}" for one in tasks)
        if line:
            # A line that wraps cannot be redrawn.
            width = max(shutil.get_terminal_size().columns - 3, 1)
            self._stream.write(f"  {line[:width]}")
            self._stream.flush()
            self._drawn = True
