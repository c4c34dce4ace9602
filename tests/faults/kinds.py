"""The faults: each runs a room with one in its way, and says how the room ended."""

from __future__ import annotations

import signal
import time

from tests.faults.disks import exceed_quota, fill_disk, have_no_home, have_no_tmp
from tests.faults.inputs import bar_input, change_input, damage_input, lose_input
from tests.faults.registries import (
    break_mlflow,
    cut_mlflow,
    fill_registry,
    lose_mlflow,
    move_at_once,
    slow_mlflow,
)
from tests.faults.trial import Kind, Trial


def interrupt(trial: Trial, name: str) -> list[int]:
    """Send a signal at a touch of the project, or as often at a moment of its time."""
    if trial.dice.random() >= 0.7:
        process = trial.start()
        time.sleep(trial.dice.uniform(0.1, 1) * trial.line.seconds[trial.stage.name])
        process.send_signal(signal.SIGKILL if name == "kill" else signal.SIGTERM)
        if code := trial.wait(process):
            return [code]
        # It was done before that moment: then it is interrupted over its own outputs.
    return [trial.wait(trial.start(f"{name} {trial.draw_touch()}"))]


def kill(trial: Trial) -> list[int]:
    return interrupt(trial, "kill")


def terminate(trial: Trial) -> list[int]:
    return interrupt(trial, "term")


def run_two(trial: Trial) -> list[int]:
    """Start the room twice, one shortly after the other."""
    first = trial.start()
    time.sleep(trial.dice.uniform(0, 0.3) * trial.line.seconds[trial.stage.name])
    return [trial.wait(process) for process in (first, trial.start())]


def jump_back(trial: Trial) -> list[int]:
    """Let the clock go back by an hour while it runs, as Python's `time.time` tells it."""
    return [trial.wait(trial.start(f"clock {trial.draw_touch()}"))]


KINDS: dict[str, Kind] = {
    "SIGKILL": kill,
    "SIGTERM": terminate,
    "full disk": fill_disk,
    "quota": exceed_quota,
    "damaged input": damage_input,
    "vanishing input": lose_input,
    "changing input": change_input,
    "unreadable input": bar_input,
    "two at once": run_two,
    "two promotions and a rollback at once": move_at_once,
    "no home": have_no_home,
    "no /tmp": have_no_tmp,
    "clock goes back": jump_back,
    "MLflow down": lose_mlflow,
    "MLflow cut": cut_mlflow,
    "MLflow slow": slow_mlflow,
    "MLflow 500": break_mlflow,
    "full registry database": fill_registry,
}
