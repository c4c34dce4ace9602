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


def show(folder: Path, verdict: object, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return subprocess.run(
        [sys.executable, "-m", "components.promote.summary", str(folder / "verdict.json"), *more],
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


FINDING = {"kind": "x", "severity": "warning", "message": "3 are blank", "advice": "look at them"}
METRICS = {
    "weakest_class": {"name": "dog", "f1": 0.6},
    "classes": [
        {"name": "cat", "recall": 1.0, "images": 9},
        {"name": "dog", "recall": 0.5, "precision": 0.75, "images": 8},
    ],
    "confusion": [[9, 0], [4, 4]],
}


def test_data_weakest_part_and_what_would_help(tmp_path: Path) -> None:
    data = {"status": "passed_with_warnings", "images": 50, "usable": 48, "quarantined": 2}
    data |= {"classes": {"cat": 25, "dog": 23}}  # type: ignore[dict-item]
    data |= {"findings": [FINDING, FINDING | {"severity": "note", "message": "no matter"}]}  # type: ignore[dict-item]
    (tmp_path / "validation.json").write_text(json.dumps(data))
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    said = show(tmp_path, make_verdict("awaiting_approval")).stdout
    assert "data     48 images of 2 classes, 2 files left out" in said
    assert "3 are blank" in said
    assert "no matter" not in said
    assert "weakest  dog: 50.0% of its 8 test images are found, 75.0% of its answers right" in said
    assert "weakest  dog taken for cat, 4 times" in said
    assert "helps    look at them" in said
    assert "components.promote approve 3 --by NAME" in said
    step = {"title": "Label 100 more photos of dog", "points": "+1.2 points (+0.4 to +2.1)"}
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS | {"next_steps": [step]}))
    said = show(tmp_path, make_verdict()).stdout
    assert "helps    Label 100 more photos of dog: +1.2 points (+0.4 to +2.1)" in said
    ties = METRICS | {"confusion": [[7, 2], [2, 6]]}  # the first, as evaluate says
    (tmp_path / "metrics.json").write_text(json.dumps(ties))
    assert "weakest  cat taken for dog, 2 times" in show(tmp_path, make_verdict()).stdout
    perfect = METRICS | {"confusion": [[9, 0], [0, 8]]}  # nothing is weak, nor do copies harm
    (tmp_path / "metrics.json").write_text(json.dumps(perfect))
    data["findings"][0]["kind"] = "near-duplicates"  # type: ignore[index]
    (tmp_path / "validation.json").write_text(json.dumps(data))
    said = show(tmp_path, make_verdict()).stdout
    assert "weakest" not in said
    assert "helps" not in said
    few = [*RULES, {"outcome": "failed", "words": "w", "images_needed": 70}]
    found = json.loads(show(tmp_path, make_verdict("rejected", rules=few), "--json").stdout)
    assert found["would_help"] == "more photos: a rule wants some 70 test images"
    assert found["data"]["quarantined"] == 2
    assert found["figures"]["accuracy.low"] == 0.956
    assert "rules --dry-run" in found["next"]["rules"]


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
