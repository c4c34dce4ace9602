"""Completion, asked of a real bash."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from components import ROOMS
from components.init.completion import create_script

BASH = shutil.which("bash")


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "expected", "missing"),
    [
        (["python", "-m", ""], {f"components.{room}" for room in ROOMS}, {"approve"}),
        (["python3", "-X", "dev", "-m", "components.pro"], {"components.promote"}, set()),
        (["python", "-m", "components.promote", "r"], {"rollback", "rules", "repair"}, {"history"}),
        (["python", "-m", "components.promote", "rollback", "--"], {"--reason"}, {"--shards"}),
        (["python", "-m", "components.train", "--s"], {"--shards"}, {"--reason"}),
        (["python", "-m", "components.train", "weights", "f"], {"fetch"}, {"verify"}),
        (["python", "-m", "components.init", "data", "--m"], {"--minutes"}, {"--name"}),
        (["python", "-m", "p"], {"pipelines"}, {"components.train"}),
        (["python", "-m", "pipelines", ""], {"compile", "submit", "predict"}, {"approve"}),
        (["python", "-m", "pipelines", "submit", "--w"], {"--wait"}, {"--output"}),
        (["python", "-m", "pipelines", "compile", "--o"], {"--output"}, {"--wait"}),
        (["python", "-m", "components.train.search", "r"], {"run"}, {"rollback"}),
        (["python", "-m", "components.train.search", "run", "--p"], {"--pruner"}, {"--reason"}),
        (["python", "-m", "components.promote.summary", "--j"], {"--json"}, {"--reason"}),
        (["python", "script.py", ""], set(), {"components.train"}),
        (["python", "-m", "json.tool", ""], set(), {"--shards"}),
    ],
)
def test_words_that_may_come_next(line: list[str], expected: set[str], missing: set[str]) -> None:
    asked = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _darkroom; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        [str(BASH), "-c", f"{create_script()}\n{asked}", "bash", *line],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found = set(done.stdout.split())
    assert expected <= found
    assert not missing & found
