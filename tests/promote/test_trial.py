"""Rules tried on what was measured before, with a registry and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from benchmarks._registry import World
from components.common.cli import run_room
from components.common.tracking.server import import_mlflow
from components.promote.registry.ledger import Ledger

ROOT = Path(__file__).parents[2]


def write_rules(folder: Path, *rules: dict[str, Any]) -> None:
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["promote"]["rules"] = list(rules)
    YAML().dump(settings, folder / "params.yaml")


def write_reports(folder: Path, accuracy: float) -> None:
    (folder / "reports").mkdir()
    metrics = {"accuracy": accuracy, "test_digest": "t"}
    (folder / "reports" / "metrics.json").write_text(json.dumps(metrics))


def test_past_versions_are_judged_and_nothing_moves(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = two_champions.folder
    write_rules(
        folder,
        {"metric": "accuracy", "at_least": 0.75},
        {"metric": "accuracy", "champion_margin": 0},
        {"metric": "served.p95_ms", "at_most": 100},
    )
    write_reports(folder, 0.78)
    before = Ledger(import_mlflow(), "darkroom").read()
    capsys.readouterr()
    run_room("promote", ["rules", "--dry-run"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "promote.rules[0]: accuracy at least 0.75" in lines
    told = [line for line in lines if ": " in line and "(then" in line]
    assert told == [
        "version 1: rejected (then: promoted)",
        "version 2: promoted (then: promoted)",
        "reports/: rejected (then: not judged)",
    ]
    assert "✗ accuracy 0.78 is 0.02 worse than the champion's 0.8, at most 0 worse" in " ".join(
        lines
    )
    assert lines[-1] == "with these rules version 2 would be champion"
    assert Ledger(import_mlflow(), "darkroom").read() == before


def test_reports_of_a_version_are_not_their_own_challenger(
    two_champions: World, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rules(two_champions.folder, {"metric": "accuracy", "champion_margin": 0})
    write_reports(two_champions.folder, 0.8)  # as version 2
    run_room("promote", ["rules", "--dry-run"])
    told = capsys.readouterr().out
    assert "reports/: the evaluation of version 2" in told
    assert "reports/: rejected" not in told


def test_a_first_model_that_misses_a_rule_is_told_which_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    floors = [{"metric": "accuracy", "at_least": limit} for limit in (0.7, 0.9, 0.95)]
    write_rules(tmp_path, *floors)
    write_reports(tmp_path, 0.8)
    run_room("promote", ["rules", "--dry-run"])
    told = capsys.readouterr().out
    assert "there is no champion: lower promote.rules[1], promote.rules[2] in params.yaml" in told


def test_without_a_registry_the_reports_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_rules(tmp_path, {"metric": "accuracy", "at_least": 0.75})
    with pytest.raises(SystemExit):
        run_room("promote", ["rules", "--dry-run"])
    assert "no evaluation to try the rules on" in capsys.readouterr().err
    write_reports(tmp_path, 0.8)
    run_room("promote", ["rules", "--dry-run"])
    assert "with these rules reports/ would be champion" in capsys.readouterr().out
    assert not (tmp_path / "mlflow.db").exists()
    write_rules(tmp_path, {"metric": "acuracy", "at_least": 0.75})
    with pytest.raises(SystemExit):
        run_room("promote", ["rules", "--dry-run"])
    assert "did you mean `accuracy`" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["team/darkroom", "", " ", "a:b", "it's", "a\nb", "-x", "x" * 201])
def test_name_that_mlflow_refuses_is_refused_with_all_settings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["mlflow"]["registered_model"] = name
    YAML().dump(settings, tmp_path / "params.yaml")
    with pytest.raises(SystemExit):
        run_room("promote", ["rules"])
    assert "mlflow.registered_model must be 1 to 200 letters" in capsys.readouterr().err
    if name:
        with pytest.raises(SystemExit):
            run_room("promote", ["history", f"--name={name}"])
        assert "--name: " in capsys.readouterr().err


def test_pulled_model_gets_the_lines_that_register_and_ask_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.keras").write_text("a model")
    with pytest.raises(SystemExit):
        run_room("promote", ["history", "--name", "darkroom"])
    told = capsys.readouterr().err
    assert "dvc repro --force --single-item promote" in told
    assert "components.predict --model models/model.keras PATH" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dry-run", "--name", "typo"], "--name typo: MLflow has no such model"),
        (["--dry-run", "--reports", "nowhere"], "--reports nowhere: holds no metrics.json"),
        (["--reports", "reports"], "--reports: goes with --dry-run"),
    ],
)
def test_what_was_named_and_is_not_there_is_not_passed_over(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_rules(tmp_path, {"metric": "accuracy", "at_least": 0.75})
    write_reports(tmp_path, 0.78)
    with pytest.raises(SystemExit) as end:
        run_room("promote", ["rules", *words])
    assert end.value.code == 1
    assert told in capsys.readouterr().err
