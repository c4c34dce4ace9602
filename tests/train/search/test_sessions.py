"""Several sessions of one search share its trials; the first trial is params.yaml as it stands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest

from components.common.errors import DarkroomError
from components.train.records.records import identify_features
from components.train.runtime.machines import Machines
from components.train.search import study as studies
from components.train.search.__main__ import create_parser
from components.train.search.attempt import REPEATS
from components.train.search.space import read_space
from components.train.search.study import Search, count_ended, run_search
from components.train.spec import Finetune, Params
from tests.train.digit_shards import write_digits

ROOT = Path(__file__).parents[3]
KEY = "train.finetune.epochs"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """Return a copy of the project's params.yaml."""
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def test_two_sessions_run_no_more_trials_than_one(
    params: Path, tmp_path: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session runs a trial whenever this one does."""
    write_digits(tmp_path / "shards", {"train": (2, 2), "val": (2, 2), "test": (1, 1)})
    (tmp_path / "search.yaml").write_text(f"{KEY}: {{ choices: [auto, 3, 4] }}")
    others: list[int] = []

    def attempt(_: Any, trial: optuna.Trial, *__: Any, **___: Any) -> float:
        trial.set_user_attr("val_accuracy", 0.5)
        storage = f"sqlite:///{tmp_path / 'search.db'}"
        elsewhere = optuna.load_study(study_name="search", storage=storage)
        is_again = REPEATS in trial.user_attrs
        waiting = [one for one in elsewhere.trials if one.state.name == "WAITING"]
        if waiting or not is_again:
            other = elsewhere.ask()
            choice = other.suggest_categorical(KEY, ("auto", 3, 4))
            other.set_user_attr("settings", {KEY: choice})
            other.set_user_attr("val_accuracy", 0.5)
            elsewhere.tell(other, 2.0 + other.number)
            others.append(other.number)
        return 1.0 + trial.number

    monkeypatch.setattr(studies, "run_attempt", attempt)
    search = Search(
        tmp_path / "shards", params, tmp_path / "search.yaml", tmp_path / "search.db", "search",
        trials=6, timeout_seconds=None, pruner="none",
    )  # fmt: skip
    run_search(search)
    study = studies.read_study(tmp_path / "search.db", "search")
    assert count_ended(study) == 6
    assert len(study.trials) == 6 + studies.REPEATED
    assert len(others) >= 4
    assert study.trials[0].params == {
        KEY: "auto"
    }  # as params.yaml has it, not the 8 it begins with


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "/a"])
def test_a_study_is_called_by_a_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        create_parser().parse_args(["show", "--study", name])
    assert "is no name" in capsys.readouterr().err


def test_a_backbone_that_is_not_there_is_refused_at_once(params: Path, tmp_path: Path) -> None:
    space = tmp_path / "search.yaml"
    space.write_text("train.backbone: { choices: [ResNet50, ResNet-50] }")
    with pytest.raises(DarkroomError, match="no backbone 'ResNet-50'; did you mean `ResNet50`"):
        read_space(space, params)
    space.write_text("train.finetune.epochs: { choices: [4, 4] }")
    with pytest.raises(DarkroomError, match="two values or more"):
        read_space(space, params)


def test_views_of_another_batch_size_are_others(tmp_path: Path) -> None:
    dataset = write_digits(tmp_path / "shards", {"train": (2, 2), "val": (1, 1), "test": (1, 1)})

    def identify(views: int, batch_size: int) -> dict[str, Any]:
        own = Params(probe_views=views, finetune=Finetune(batch_size=batch_size))
        return identify_features(own, dataset, Machines())

    assert identify(1, 8) == identify(1, 16)
    assert identify(2, 8) != identify(2, 16)
