"""The search: ranges that are refused, trials in Optuna and MLflow, and the best in params.yaml."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
from ruamel.yaml import YAML

from components.common.errors import DarkroomError
from components.train.probe import features
from components.train.search.__main__ import main
from components.train.search.attempt import REPEATS
from components.train.search.settings import change_params, read_present, read_settings
from components.train.search.space import Choices, Range, read_space
from components.train.search.study import find_best_trial, read_study
from tests.train.digit_shards import write_digits

ROOT = Path(__file__).parents[3]
RANGES = """\
train.finetune.learning_rate: { low: 0.00001, high: 0.003, log: true }
train.finetune.optimizer: { choices: [adamw, sgd] }
train.finetune.batch_size: { low: 8, high: 16 }
"""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """Return a copy of the project's params.yaml with a training of seconds: few, simple layers."""
    file = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", file)
    quick = {"epochs": 2, "batch_size": 16, "unfreeze": 0}
    changes = {f"train.finetune.{key}": value for key, value in quick.items()}
    change_params(file, {"train.backbone": "VGG16", "train.weights": "none"} | changes)
    return file


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "search.yaml"
    file.write_text(RANGES)
    return file


def test_settings_are_written_with_comments_and_order_kept(tmp_path: Path) -> None:
    file, original = tmp_path / "params.yaml", (ROOT / "params.yaml").read_text()
    file.write_text(original)
    change_params(file, {})
    assert file.read_text() == original
    before = read_settings(file)["train.finetune.learning_rate"]
    change_params(file, {"train.finetune.learning_rate": 0.00045, "train.seed": 7})
    changed = {
        (old, new)
        for old, new in zip(original.splitlines(), file.read_text().splitlines(), strict=True)
        if old != new
    }
    assert {old.strip().split(" #")[0] for old, _ in changed} == {
        f"learning_rate: {before}",
        "seed: 0",
    }
    for old, new in changed:
        assert old.partition("#")[2] == new.partition("#")[2]
    change_params(file, {"train.finetune.learning_rate": 1e-5, "train.weights": "a b: c/#.h5"})
    found = YAML(typ="safe").load(file)["train"]  # as DVC reads it
    assert (found["finetune"]["learning_rate"], found["weights"]) == (0.00001, "a b: c/#.h5")


def test_an_illegal_setting_leaves_the_file_alone(params: Path) -> None:
    before = params.read_text()
    with pytest.raises(DarkroomError, match=r"train\.finetune\.learning_rate"):
        change_params(params, {"train.finetune.learning_rate": -1.0})
    with pytest.raises(DarkroomError, match=r"unknown key train\.finetune\.momentum"):
        change_params(params, {"train.finetune.momentum": 0.9})
    assert params.read_text() == before


def test_ranges_are_read(params: Path, space: Path) -> None:
    assert read_space(space, params) == {
        "train.finetune.learning_rate": Range(0.00001, 0.003, log=True),
        "train.finetune.optimizer": Choices(("adamw", "sgd")),
        "train.finetune.batch_size": Range(8, 16),
    }


def test_the_ranges_of_the_project_are_legal_and_hold_its_settings() -> None:
    present = read_present(ROOT / "params.yaml")
    for key, part in read_space(ROOT / "search.yaml", ROOT / "params.yaml").items():
        assert part.has(present[key]), key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train.finetune.learnig_rate: {low: 1, high: 2}", ["unknown setting", "did you mean"]),
        ("promote.rules: {choices: [1, 2]}", ["unknown setting promote.rules"]),
        (
            "validate.near_duplicate_bits: {low: 1, high: 2}",
            ["validate.near_duplicate_bits has moved: set data.near_duplicate_bits"],
        ),
        ("train.seed: 3", ["train.seed must be", "got 3"]),
        ("train.seed: {low: 1, high: 2, step: 1}", ["train.seed must be", "step"]),
        ("train.seed: {low: 2, high: 1}", ["low must be less than high", "2 and 1"]),
        ("train.seed: {low: a, high: b}", ["train.seed.low must be a number", "'a'"]),
        ("train.seed: {low: 0, high: 9, log: true}", ["must begin above 0"]),
        ("train.seed: {low: 0.5, high: 9.0}", ["train.seed", "integer"]),
        ("train.finetune.dropout: {low: 0.0, high: 1.5}", ["train.finetune.dropout", "0 to 0.9"]),
        ("train.finetune.optimizer: {choices: [adamw]}", ["two values or more"]),
        ("train.finetune.optimizer: {choices: [adamw, lion]}", ["adamw", "sgd", "lion"]),
        ("{}", ["holds no settings"]),
    ],
)
def test_bad_ranges_are_refused(text: str, words: list[str], params: Path, space: Path) -> None:
    space.write_text(text)
    with pytest.raises(DarkroomError) as error:
        read_space(space, params)
    assert "search.yaml" in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.slow
def test_a_search_from_trials_to_params(
    params: Path,
    space: Path,
    mlflow_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = params.parent
    write_digits(folder / "shards", {"train": (12, 12, 12), "val": (8, 8, 8), "test": (2, 2, 2)})
    words = ["--params", str(params), "--space", str(space), "--shards", str(folder / "shards")]
    words += ["--database", str(folder / "search.db"), "--pruner", "none"]
    monkeypatch.setattr("components.train.search.study.REPEATED", 1)
    main(["run", "--trials", "2", *words])
    study = read_study(folder / "search.db", "search")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    # The best is run once more, with another seed.
    first, second, again = study.trials
    assert again.user_attrs[REPEATS] == min(first, second, key=lambda trial: trial.value).number
    assert again.params == study.trials[again.user_attrs[REPEATS]].params
    assert again.intermediate_values != study.trials[again.user_attrs[REPEATS]].intermediate_values
    # The first trial is params.yaml as it stands.
    present = read_present(params)
    assert study.trials[0].user_attrs["settings"] == {
        key: present[key] for key in study.user_attrs["ranges"]
    }
    # Each epoch of both phases was reported: the probe and two of fine-tuning.
    assert set(study.trials[1].intermediate_values) == {0, 1, 2}
    # Scored is a fine-tuned epoch that train would keep, by its log loss; never the probe.
    assert study.trials[1].value in list(study.trials[1].intermediate_values.values())[1:]

    # Run again, it goes on to the number of trials that is wanted, in the same MLflow run.
    monkeypatch.setattr("components.train.search.study.REPEATED", 0)
    main(["run", "--trials", "3", *words])
    study = read_study(folder / "search.db", "search")
    assert len(study.trials) == 4
    assert len({str(trial.params) for trial in study.trials}) == 3
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("darkroom").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert set(runs) == {"search search", *(f"trial {number}" for number in range(4))}
    parent = runs["search search"]
    for trial in study.trials:
        run = runs[f"trial {trial.number}"]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        found = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert {m.step for m in found} == set(trial.intermediate_values)
        rate = trial.user_attrs["settings"]["train.finetune.learning_rate"]
        assert float(run.data.params["train.finetune.learning_rate"]) == rate
    # Settings that were tried twice are compared by the mean of both.
    best, original = find_best_trial(study), study.trials[again.user_attrs[REPEATS]]
    assert (best.number, best.runs) == (original.number, 2)
    assert best.loss == pytest.approx((original.value + again.value) / 2)
    assert parent.data.metrics["best_val_loss"] == best.loss

    # The list, and the best written into params.yaml.
    capsys.readouterr()
    main(["show", "--database", str(folder / "search.db")])
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 5
    assert sum("once more" in line for line in shown) == 1
    before = read_settings(params)
    main(["apply", "--database", str(folder / "search.db"), "--params", str(params)])
    after = read_settings(params)
    assert {key: after[key] for key in best.settings} == best.settings
    assert {k: v for k, v in after.items() if k not in best.settings} == {
        k: v for k, v in before.items() if k not in best.settings
    }

    # Other settings, images or ranges are another study.
    change_params(params, {"train.finetune.epochs": 3})
    with pytest.raises(SystemExit):
        main(["run", *words])
    assert "was made with other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_features_are_extracted_once(
    params: Path, space: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = params.parent, []
    write_digits(folder / "shards", {"train": (12, 12, 12), "val": (8, 8, 8), "test": (2, 2, 2)})
    real = features.run_forward

    def count(forward: Any, pixels: Any, batch_size: int, what: str, *rest: Any) -> Any:
        seen.append(what)
        return real(forward, pixels, batch_size, what, *rest)

    monkeypatch.setattr(features, "run_forward", count)
    monkeypatch.setattr("components.train.search.study.REPEATED", 0)
    space.write_text("train.seed: { low: 0, high: 9 }\n")
    change_params(params, {"train.finetune.epochs": 0})
    run_here(folder, trials=3)
    assert seen == ["train", "val"]
    assert not (folder / "search.work" / "search").exists()


@pytest.mark.slow
def test_a_killed_search_goes_on_in_the_middle_of_its_trial(
    params: Path, space: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = params.parent
    write_digits(folder / "shards", {"train": (12, 12, 12), "val": (8, 8, 8), "test": (2, 2, 2)})
    change_params(params, {"train.finetune.epochs": 4})
    words = [sys.executable, "-m", "components.train.search", "run", *list_words(folder, trials=2)]
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True)
    checkpoint = folder / "search.work/search/trial-0/model.checkpoint/finetune.npz"
    wait_until(lambda: checkpoint.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    monkeypatch.setattr("components.train.search.study.GRACE_SECONDS", 1)
    monkeypatch.setattr("components.train.search.study.REPEATED", 0)
    run_here(folder, trials=2)
    study = read_study(folder / "search.db", "search")
    killed, *later = study.trials
    assert killed.state.name == "FAIL"
    assert [trial.state.name for trial in later] == ["COMPLETE", "COMPLETE"]
    again = next(trial for trial in later if trial.params == killed.params)
    # It went on in the MLflow run of the killed one, which has each epoch …
    runs = mlflow.search_runs(experiment_names=["darkroom"])
    assert len(runs) == 3
    assert set(runs["status"]) == {"FINISHED"}
    own = runs[runs["tags.mlflow.runName"] == f"trial {again.number}"].iloc[0]
    found = mlflow.MlflowClient().get_metric_history(own["run_id"], "val_accuracy")
    assert {metric.step for metric in found} == set(range(5))
    # … and ended as a trial that nobody killed.
    run_here(folder, trials=1, study="whole")
    whole = read_study(folder / "search.db", "whole").trials[0]
    assert whole.params == killed.params
    assert again.intermediate_values == whole.intermediate_values


def list_words(folder: Path, trials: int, study: str = "search") -> list[str]:
    """Return the arguments of `run`."""
    named = {"--params": "params.yaml", "--space": "search.yaml", "--shards": "shards"}
    words = [word for flag, name in named.items() for word in (flag, str(folder / name))]
    words += ["--database", str(folder / "search.db"), "--study", study]
    return [*words, "--trials", str(trials), "--pruner", "none"]


def run_here(folder: Path, trials: int, study: str = "search") -> None:
    main(["run", *list_words(folder, trials, study)])


def wait_until(is_true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_bad_trials_are_pruned(
    params: Path,
    space: Path,
    mlflow_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = params.parent
    monkeypatch.setattr("components.train.search.study.REPEATED", 0)
    write_digits(folder / "shards", {"train": (12, 12, 12), "val": (8, 8, 8), "test": (2, 2, 2)})
    space.write_text("train.finetune.learning_rate: { low: 0.00001, high: 0.003, log: true }\n")
    words = ["--params", str(params), "--space", str(space), "--shards", str(folder / "shards")]
    words += ["--database", str(folder / "search.db")]
    main(["run", "--trials", "1", *words])
    # Four trials that ended and were perfect from their first epoch: whatever comes is worse.
    study = read_study(folder / "search.db", "search")
    for _ in range(4):
        study.add_trial(
            optuna.trial.create_trial(
                value=0.0,
                params={"train.finetune.learning_rate": 0.001},
                distributions=study.trials[0].distributions,
                intermediate_values={0: 0.0, 1: 0.0, 2: 0.0},
                user_attrs={"settings": {}, "val_accuracy": 1.0},
                system_attrs={"completed_rung_0": 0.0},  # of successive halving
            )
        )
    main(["run", "--trials", "6", *words])
    pruned = read_study(folder / "search.db", "search").trials[-1]
    assert pruned.state.name == "PRUNED"
    assert set(pruned.intermediate_values) == {0, 1}  # the second epoch was spared
    assert "pruned after epoch 1" in capsys.readouterr().out
    run = mlflow.search_runs(
        experiment_names=["darkroom"], filter_string="tags.`darkroom.pruned` = 'true'"
    )
    assert run["status"].tolist() == ["KILLED"]
    assert run["tags.mlflow.runName"].tolist() == [f"trial {pruned.number}"]
