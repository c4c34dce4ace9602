"""What `submit --wait` says of runs, on what a real KFP answered for this pipeline."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster import progress, watching
from pipelines.cluster.connection import Run
from pipelines.cluster.logs import find_last_line, unpack
from pipelines.cluster.nodes import Tree, compute_node_id, read_tree
from pipelines.cluster.watching import Screen, Warnings, was_terminated

ANSWERS = Path(__file__).parent / "answers"
SITUATIONS = sorted(file.stem.removeprefix("run-") for file in ANSWERS.glob("run-*.json"))


def read_answer(name: str) -> dict[str, Any]:
    return dict(json.loads((ANSWERS / f"run-{name}.json").read_text()))


def grow(name: str) -> Tree:
    return read_tree(read_answer(name)["run_details"]["task_details"])


def describe(name: str) -> dict[str, str]:
    return {task.name: task.describe() for task in progress.read_tasks(grow(name))}


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_entry_of_the_heap_has_its_place_in_the_tree(name: str) -> None:
    details = read_answer(name)["run_details"]["task_details"]
    entries = [one for one in details if one.get("display_name")]
    tree = grow(name)
    assert sorted(node.own_name for node in tree.nodes.values()) == sorted(
        one["display_name"] for one in entries
    )
    ids = {node.node_id for node in tree.nodes.values()}
    assert {c["pod_name"] for one in entries for c in one.get("child_tasks", [])} < ids
    # The ones that have a state keep it: none is given to two nodes, or to none.
    states = sorted(node.state for node in tree.nodes.values())
    assert states == sorted(one.get("state") or "" for one in entries)


def test_an_id_is_argos() -> None:
    # Of the recorded run: the only child of its first node is the first attempt of all.
    assert compute_node_id("darkroom-5nl7c", "darkroom-5nl7c(0)") == "darkroom-5nl7c-3057330271"


def test_only_our_tasks_are_shown_each_with_its_state() -> None:
    assert describe("promoted") == {
        "fetch": "cached",
        "validate": "done",
        "plan shards": "done",
        "write shards": "done, 3 of 3 partitions",
        "collect shards": "done",
        "train": "done",
        "evaluate": "done",
        "promote": "done",
    }
    cached = describe("all-cached")
    assert set(cached.values()) == {"cached"}
    assert "promote" not in cached  # its group was skipped, and knows none


def test_a_retry_is_a_further_attempt_and_a_failure_is_its_tasks() -> None:
    found = describe("train-drained-then-retried")
    assert (found["train"], found["promote"]) == ("done, attempt 2", "failed")
    assert [name for name, words in describe("promote-failed").items() if words == "failed"] == [
        "promote"
    ]


def test_what_did_not_come_to_run_says_so() -> None:
    found = describe("terminated")
    assert (found["validate"], found["train"]) == ("failed", "not run")
    assert was_terminated(read_answer("terminated"))
    for other in SITUATIONS:
        assert was_terminated(read_answer(other)) == (other == "terminated")


def test_a_task_that_waits_for_its_node_is_told_from_one_that_runs() -> None:
    """Take the run that was terminated as it was before: validate's pod pending for a minute."""
    answer = read_answer("terminated")
    for one in answer["run_details"]["task_details"]:
        if one.get("display_name") in ("validate", "validate(0)", "executor", "executor(0)"):
            states = [state["state"] for state in one["state_history"]]
            if one["state"] == "FAILED":
                one |= {"state": states[0], "end_time": "0001-01-01T00:00:00Z"}
    (task,) = [
        one
        for one in progress.read_tasks(read_tree(answer["run_details"]["task_details"]))
        if one.name == "validate"
    ]
    assert task.state == progress.WAITING
    warnings = Warnings(Run("r1", "http://kfp/#/runs/details/r1"), None, None)
    (words,) = warnings.find([task], Tree())
    assert "validate has been waiting for a node for" in words
    assert "FailedScheduling" in words
    assert warnings.find([task], Tree()) == []  # once


def test_drivers_that_fail_are_a_fault_of_the_cluster() -> None:
    tree = grow("drivers-failing")
    assert progress.count_failed_drivers(tree) == ("root", 4)
    warnings = Warnings(Run("r1", "http://kfp/#/runs/details/r1"), None, None)
    (words,) = warnings.find([], tree)
    assert "driver of the pipeline failed 4 times: a fault of the cluster" in words


def test_of_many_partitions_one_that_runs_is_seen() -> None:
    """As the API would answer for a loop in a group, the names nested as in the recorded runs."""
    run = "darkroom-zzzzz"
    group = f"{run}(0).root(0).preprocess(0).for-loop-1(0)"
    entries = []

    def add(chain: list[str], state: str = "SUCCEEDED") -> None:
        for name, child in zip(chain, [*chain[1:], ""], strict=True):
            ids = [{"pod_name": compute_node_id(run, child)}] if child else []
            own = name.rpartition(".")[2]
            entries.append({"display_name": own, "state": state, "child_tasks": ids})

    parts = group.split(".")
    around = [run] + [
        ".".join([*parts[:end], parts[end].removesuffix("(0)")]) + attempt
        for end in range(len(parts))
        for attempt in ("", "(0)")
        if end or attempt
    ]
    items = [f"{group}.iteration-iterations({number}:{number})" for number in range(30)]
    add([*around, items[0]])
    entries[-1:] = []
    entries[-1]["child_tasks"] += [{"pod_name": compute_node_id(run, one)} for one in items[1:]]
    for number, item in enumerate(items):
        chain = [item, f"{item}(0)"]
        for inner in ("iteration-item", "write-shards", "executor"):
            chain += [f"{chain[-1]}.{inner}", f"{chain[-1]}.{inner}(0)"]
        add(chain, "RUNNING" if number == 7 else "SUCCEEDED")
    (task,) = progress.read_tasks(read_tree(entries))
    assert task.describe() == "running, 29 of 30 partitions"


class Stream(io.StringIO):
    """A terminal, or a log."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self.live = live

    def isatty(self) -> bool:
        return self.live


@pytest.mark.parametrize("live", [False, True])
def test_each_state_is_said_once_however_often_it_is_looked_at(
    live: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(Stream(live))
    tasks = progress.read_tasks(grow("promoted"))
    for _ in range(5):
        screen.show(tasks, [])
    screen.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(tasks) == 8
    assert lines[1].strip() == "validate: done (30 s)"


def test_a_terminal_has_one_line_that_is_redrawn() -> None:
    stream = Stream(True)
    screen = Screen(stream)
    running = progress.Task("train", progress.RUNNING, attempt=2, seconds=192)
    for _ in range(3):
        screen.show([running], [])
    screen.close()
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().count("train running, attempt 2 3 min 12 s") == 3
    assert stream.getvalue().endswith("\r\033[K")


LOG = """time="2026-11-25T15:26:01Z" level=info msg="capturing logs"
I1125 15:26:02.1 18 launcher_v2.go:151] executing
6/6 promote · What promote reads, writes and can be told.
error: /mnt/darkroom/images/ab is gone from the shared volume
F1125 15:26:09.2 18 main.go:52] failed to execute component: exit status 1
time="2026-11-25T15:26:10Z" level=info msg="sub-process exited" error="<nil>"
Error: exit status 1
"""


def test_the_last_line_of_a_log_is_the_tasks_own() -> None:
    assert find_last_line(LOG).startswith("error: /mnt/darkroom/images/ab is gone")
    assert find_last_line("1/6\nKilled\nF1125 15:26:09.2 18 main.go:52] failed\n") == "Killed"
    assert find_last_line("") == ""


def test_a_log_is_read_however_argo_archives_it() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        about = tarfile.TarInfo("main.log")
        about.size = len(LOG.encode())
        tar.addfile(about, io.BytesIO(LOG.encode()))
    for data in (LOG.encode(), packed.getvalue(), gzip.compress(packed.getvalue())):
        assert unpack(data) == LOG


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("promote-failed", "the run failed in promote (/mnt/darkroom/images/ab is gone"),
        ("terminated", "the run was terminated; `python -m pipelines retry"),
    ],
)
def test_the_end_names_the_task_its_last_words_and_how_to_go_on(
    kfp: Any, call: Callable[..., Any], name: str, words: str
) -> None:
    kfp.answers = [read_answer(name)]
    kfp.logs = {"data": base64.b64encode(LOG.encode()).decode()}
    code, out, err = call("submit", "--wait")
    assert code == 1
    assert words in err
    assert "retry" in err
    assert "/#/runs/details/" in err
    assert err.count("\n") == 1
    assert "driver" not in out
    assert "executor" not in out
    if name == "promote-failed":  # the log that was asked for is that of promote's last attempt
        (asked,) = [path for _, path, _ in kfp.asked if "main-logs:read" in path]
        (task,) = [one for one in progress.read_tasks(grow(name)) if one.name == "promote"]
        assert f"/nodes/{task.node_id}/" in asked


@pytest.mark.parametrize(
    ("setting", "log", "words"),
    [
        # The run went on for 341 s, promote's last attempt for 6 s.
        ("timeout_seconds=300", LOG, "the run was ended in promote after 5 min 0 s, its limit"),
        ("timeout_seconds=400", LOG, "the run failed in promote (/mnt/darkroom/images/ab is gone"),
        ("timeout_seconds=20", LOG, "the run failed in promote (/mnt/"),  # another's, then
        ("timeout_seconds=0", LOG, "the run failed in promote (/mnt/"),
        (
            "tasks.promote.timeout_seconds=5",
            "6/6 promote",
            "promote was ended after 5.0 s, its limit",
        ),
        ("tasks.promote.timeout_seconds=5", LOG, "the run failed in promote (/mnt/"),
        (
            "tasks.promote.timeout_seconds=7",
            "6/6 promote",
            "the run failed in promote (6/6 promote)",
        ),
    ],
)
def test_a_limit_of_time_is_called_by_its_setting(
    kfp: Any, call: Callable[..., Any], setting: str, log: str, words: str
) -> None:
    kfp.answers = [read_answer("promote-failed")]
    kfp.logs = {"data": base64.b64encode(log.encode()).decode()}
    code, _, err = call("submit", "--wait", "--set", f"kubeflow.{setting}")
    assert code == 1
    assert words in err
    assert "retry" in err
    if "its limit" in words:
        assert f"(kubeflow.{setting.replace('=', ': ')}); set a higher one, or 0 for none" in err


def test_drivers_that_fail_are_said_while_the_run_goes_on(
    kfp: Any, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.answers = [read_answer("drivers-failing")]
    code, out, err = call("submit", "--wait", "--timeout", "0.1")
    assert code == 1
    assert out.count("warning: KFP's own driver of the pipeline failed") == 1
    assert "has not ended" in err


def test_retry_goes_on_with_a_run(kfp: Any, host: str, call: Callable[..., Any]) -> None:
    kfp.states = ["FAILED"]
    code, out, _ = call("retry", f"{host}/#/runs/details/r7")
    assert (code, out.splitlines()[-1]) == (0, f"{host}/#/runs/details/r7")
    assert kfp.bodies("POST", "/runs/r7:retry") != []
    kfp.states = ["FAILED", "FAILED", "RUNNING", "SUCCEEDED"]  # first it still stands as it did
    code, out, _ = call("retry", "r7", "--wait")
    assert code == 0
    assert "the run succeeded" in out


def test_another_kfp_whose_entries_know_no_children_is_read_by_names() -> None:
    details = [
        {"display_name": "validate", "state": "RUNNING", "start_time": "2026-11-25T14:00:00Z"}
    ]
    (task,) = progress.read_tasks(read_tree(details))
    assert (task.name, task.state) == ("validate", watching.progress.RUNNING)
