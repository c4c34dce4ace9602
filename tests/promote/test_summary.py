"""What a person reads after `make run`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.promote import summary

ROOT = Path(summary.__file__).parents[2]
RULES = [{"outcome": "passed", "words": "accuracy 0.978 is at least 0.8"}]


def make_verdict(verdict: str = "promoted", **more: Any) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "words": "accuracy 0.7 is not at least 0.8; version 2 stays champion",
        "model": "darkroom",
        "version": "3",
        "aliases": ["challenger", "champion"] if verdict == "promoted" else ["challenger"],
        "figures": {
            "accuracy": 0.978,
            "accuracy.low": 0.956,
            "accuracy.high": 0.99,
            "macro.f1": 0.9712,
        },
        "rules": RULES,
    } | more


def show(folder: Path, verdict: object) -> subprocess.CompletedProcess[str]:
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return subprocess.run(
        [sys.executable, "-m", "components.promote.summary", str(folder / "verdict.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_promoted(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    done = show(tmp_path, make_verdict())
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.strip().splitlines()]
    assert lines[0] == "darkroom version 3 is champion"
    assert lines[2:5] == [
        "accuracy 97.8% (interval 95.6% to 99.0%)",
        "macro.f1 97.1%",
        "✓ accuracy 0.978 is at least 0.8",
    ]
    assert f"report   {tmp_path / 'report.html'}" in lines
    assert "data_docs" not in done.stdout  # none there
    assert "-m components.predict --model models:/darkroom@champion PATH…" in lines[-1]


@pytest.mark.parametrize("verdict", ["rejected", "incomparable", "no_rules"])
def test_not_promoted_says_why(tmp_path: Path, verdict: str) -> None:
    done = show(tmp_path, make_verdict(verdict))
    assert "→ accuracy 0.7 is not at least 0.8; version 2 stays champion" in done.stdout
    assert "models:/darkroom@challenger" in done.stdout


def test_without_a_verdict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "components.promote.summary", "nowhere.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: nowhere.json: not there; run the stage that writes it first\n"
