"""What a person reads of runs that no recording has: groups that fail, pods that wait."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.cluster import progress, watching
from pipelines.cluster.connection import Run
from pipelines.cluster.logs import MOST_BYTES, find_last_line, unpack
from pipelines.cluster.nodes import Tree, read_tree
from pipelines.cluster.watching import Screen, Warnings, was_terminated
from tests.pipelines.story import ROOT, Story
from tests.pipelines.test_watching import SITUATIONS, Stream, read_answer

RUN = Run("r1", "http://kfp/#/runs/details/r1")


def describe(details: list[Any]) -> dict[str, str]:
    return {task.name: task.describe() for task in progress.read_tasks(read_tree(details))}


def read(story: Story, seed: int = 0) -> list[Any]:
    return list(story.answer("RUNNING", seed)["run_details"]["task_details"])


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_order_of_entries_says_nothing(name: str) -> None:
    details = read_answer(name)["run_details"]["task_details"]
    dice = random.Random(2)
    wanted = describe(details)
    for _ in range(10):
        mixed = copy.deepcopy(details)
        dice.shuffle(mixed)
        for one in mixed:
            dice.shuffle(one.get("child_tasks") or [])
        assert describe(mixed) == wanted


@pytest.mark.parametrize(
    "damage",
    [
        {"child_tasks": [None, {}, {"pod_name": None}, {"pod_name": "x"}, {"pod_name": "a-\xb2"}]},
        {"child_tasks": [{"pod_name": "darkroom-abc-system-container-impl-12345"}]},
        {"state_history": [None, {}], "start_time": "yesterday"},
        {"state": "PAUSED", "display_name": "train(99)"},
    ],
)
def test_an_entry_that_makes_no_sense_does_not_hide_the_others(damage: dict[str, Any]) -> None:
    details = read_answer("promoted")["run_details"]["task_details"]
    (place,) = [i for i, one in enumerate(details) if one.get("display_name") == "promote-driver"]
    details[place] = details[place] | damage
    assert describe([None, *details])["train"] == "done"


def test_of_a_group_that_fails_the_task_in_it_is_named_with_its_own_log(
    kfp: Any, call: Callable[..., Any]
) -> None:
    story = Story()
    group = story.group(ROOT, "validate", "FAILED")
    story.task(group, "plan-checks", "SUCCEEDED")
    loop = story.group(group, "for-loop-1", "FAILED")
    ids = []
    for number in (2, 0, 1):
        state = "FAILED" if number == 1 else "SUCCEEDED"
        around = story.item(loop, number, state)
        ids.append(story.task(around, "check-images", *(["FAILED"] * 2), state))
    kfp.answers = [story.answer("FAILED")]
    code, out, err = call("submit", "--wait")
    assert code == 1
    assert "check images: failed, attempt 3, 2 of 3 partitions" in out
    assert "the run failed in check images (" in err
    (asked,) = [path for _, path, _ in kfp.asked if "main-logs:read" in path]
    assert f"/nodes/{ids[-1]}/" in asked


def test_a_batch_is_followed_by_its_own_tasks_too() -> None:
    story = Story()
    story.task(ROOT, "plan-answers", "SUCCEEDED")
    loop = story.group(ROOT, "for-loop-1", "RUNNING")
    for number, state in enumerate(("SUCCEEDED", "PENDING", "RUNNING")):
        around = story.item(loop, number, "SUCCEEDED" if state == "SUCCEEDED" else "RUNNING")
        story.task(around, "write-answers", state)
    assert describe(read(story)) == {
        "plan answers": "done",
        "write answers": "waiting, 1 of 3 partitions",
    }


def test_drivers_that_fail_now_and_then_end_a_run_once(kfp: Any, call: Callable[..., Any]) -> None:
    story = Story()
    story.task(ROOT, "fetch", "SUCCEEDED")
    story.driver(ROOT, "validate", "FAILED", "FAILED")
    kfp.answers = [story.answer("RUNNING"), story.answer("FAILED")]
    code, out, err = call("submit", "--wait")
    assert code == 1
    assert "warning: KFP's own" not in out  # twice is no habit
    assert "KFP's own driver of validate failed 2 times: a fault of the cluster" in err
    assert "when that is mended, `python -m pipelines retry" in err


def test_partitions_in_any_order_of_which_one_tries_again() -> None:
    story = Story()
    loop = story.group(story.group(ROOT, "preprocess", "RUNNING"), "for-loop-1", "RUNNING")
    for number in (11, 2, 0, 7, 10, 1, 9, 3, 4, 5, 6, 8):
        running = number in (2, 10)
        around = story.item(loop, number, "RUNNING" if running else "SUCCEEDED")
        attempts = ("FAILED", "RUNNING") if running else ("SUCCEEDED",)
        story.task(around, "write-shards", *attempts)
    for seed in range(5):
        assert describe(read(story, seed)) == {
            "write shards": "running, attempt 2, 10 of 12 partitions"
        }


def test_a_wait_is_said_once_however_long_it_takes() -> None:
    warnings = Warnings(RUN, None, None)
    said = []
    for seconds in range(0, 7200, 5):
        for name in ("train", "promote", "fetch"):
            task = progress.Task(name, progress.WAITING, seconds=seconds)
            said += warnings.find([task], Tree())
    assert len(said) == 3
    assert said[0].startswith("train has been waiting for a node for 1 min 0 s, and KFP does not")


class Cluster:
    """What Kubernetes says of pods, by Argo's id of their node."""

    def __init__(self, **reasons: str) -> None:
        self.reasons = reasons

    def find_reason(self, run_id: str, node_id: str = "") -> str:
        return self.reasons.get(node_id, "")


def test_each_task_is_told_its_own_reason_and_again_only_if_that_changes() -> None:
    cluster: Any = Cluster(n1="0/3 nodes are available: 3 Insufficient cpu.")
    warnings = Warnings(RUN, None, cluster)
    tasks = [
        progress.Task("train", progress.WAITING, node_id="n1"),
        progress.Task("evaluate", progress.WAITING, node_id="n2"),
    ]
    (words,) = warnings.find(tasks, Tree())
    assert words.startswith("train waits: 0/3 nodes are available: 3 Insufficient cpu.;")
    cluster.reasons["n1"] = "0/4 nodes are available: 4 Insufficient cpu."  # one came, as full
    assert warnings.find(tasks, Tree()) == []
    cluster.reasons["n1"] = "ImagePullBackOff: no such image"
    (words,) = warnings.find(tasks, Tree())
    assert "train waits: ImagePullBackOff: no such image" in words


def test_a_driver_that_waits_is_said_and_so_is_a_run_that_does_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story()
    story.driver(ROOT, "fetch", "PENDING")
    tree = read_tree(read(story))
    (task,) = progress.read_tasks(tree)
    assert (task.name, task.state) == ("fetch", progress.STARTING)
    assert task.node_id in {node.node_id for node in tree.nodes.values()}
    warnings = Warnings(RUN, None, None, "team-a")
    (words,) = warnings.find([task], tree)
    assert words.startswith("fetch has not started for")
    assert "kubectl get events -n team-a" in words
    assert warnings.find([task], tree) == []

    assert warnings.find([], Tree()) == []  # not yet
    monkeypatch.setattr(watching, "WAIT_SECONDS", 0.0)
    (words,) = warnings.find([], Tree())
    assert "no task has begun" in words
    assert warnings.find([], Tree()) == []
    quota: Any = Cluster(**{"": "0/1 nodes are available: 1 Too many pods."})
    (words,) = Warnings(RUN, None, quota).find([], Tree())
    assert words == (
        "no task has begun: the run's first pod waits: 0/1 nodes are available: 1 Too many pods."
    )


@pytest.mark.parametrize(
    ("states", "terminated"),
    [
        (["PENDING", "CANCELING", "FAILED"], True),  # before it began
        (["PENDING", "RUNNING", "CANCELING", "FAILED", "RUNNING", "FAILED"], False),  # then Retry
        (["PENDING", "RUNNING", "FAILED", "RUNNING", "CANCELING", "FAILED"], True),
        (["PENDING", "RUNNING", "FAILED"], False),
    ],
)
def test_terminated_is_what_was_canceling_since_it_went_on_last(
    states: list[str], terminated: bool
) -> None:
    history = [
        {"state": state, "update_time": f"2026-11-25T14:0{minute}:00Z"}
        for minute, state in enumerate(states)
    ]
    assert was_terminated({"state": "FAILED", "state_history": history}) == terminated
    assert was_terminated({"state": "FAILED", "state_history": history[::-1]}) == terminated


def test_a_narrow_terminal_gets_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "2")
    stream = Stream(True)
    Screen(stream).show([progress.Task("train", progress.RUNNING)], [])
    assert len(stream.getvalue()) <= 3


def test_a_last_line_does_not_redraw_the_readers_terminal() -> None:
    log = "epoch 1\r\x1b[2K\x1b[31merror:\x1b[0m\tthe disk\x07 is full\x1b]0;title\x07\n"
    assert find_last_line(log) == "error: the disk is full"
    assert find_last_line(b"\xff\xfe caf\xe9".decode("utf-8", "replace")).endswith("caf\ufffd")


def test_of_a_huge_or_broken_archive_what_there_is_is_read() -> None:
    import gzip

    log = b"a line\n" * 1_000_000 + b"error: the last\n"
    assert find_last_line(unpack(log)) == "error: the last"
    assert len(unpack(log)) <= MOST_BYTES
    packed = gzip.compress(b"first\nerror: here\n" * 1000)
    assert "error: here" in unpack(packed[:-8])  # broke off
    assert unpack(b"\x1f\x8b damaged") == ""
