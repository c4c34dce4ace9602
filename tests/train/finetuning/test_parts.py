"""The curve of the fine-tuned network: each point is a training of its own on those images."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.curve import (
    EVERYTHING,
    FINETUNED,
    FORECAST,
    MEASURED,
    read_curve,
)
from components.common.backend import keras
from components.common.shards.examples import Examples
from components.train.feed.material import Material
from components.train.finetuning import preflight
from components.train.finetuning.blend import read_weights
from components.train.finetuning.finetune import run_finetuning
from components.train.probe import choice
from components.train.probe.folds import number_groups
from components.train.probe.probe import Probe, run_probe
from components.train.records import parts
from components.train.records.parts import PART, Trained, choose_parts, create_curve
from components.train.runtime.checkpoint import Checkpoint
from components.train.selection.kept import Contest, Judged
from components.train.selection.rules import Plan
from components.train.spec import Finetune, Params
from tests.train.finetuning.steps import PROBE, make_material, make_recipe
from tests.train.tiny_run import run_tiny

EPOCHS, RATE = 3, 0.01
PARAMS = Params(
    recipe="fixed",
    probe_batch_size=8,
    curve_minutes=60,
    finetune=Finetune(epochs=EPOCHS, batch_size=8, dropout=0.0, learning_rate=RATE),
)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train two parts, try two heads and no speed, and keep what gains too little so soon."""
    monkeypatch.setattr(parts, "SHARES", (1 / 4, 1 / 2))
    monkeypatch.setattr(choice, "PENALTIES", {False: (1.0,), True: (0.1,)})
    speed = preflight.Speed(1000, 1000, 80, 24, shared=True, memory_mb=1.0)
    monkeypatch.setattr(preflight, "measure_speed", lambda phase: speed)
    monkeypatch.setattr(Contest, "kept", property(lambda own: own.tuned or own.probe))


def nowhere() -> Checkpoint:
    return Checkpoint(Path("none"), {}, writes=False)


def finetune(network: Any, material: Material, contest: Contest) -> None:
    keras.utils.set_random_seed(PARAMS.seed)
    plan = Plan(material.recipe.finetune, rates=(RATE,))
    given = {"contest": contest, "checkpoint": nowhere(), "plan": plan}
    assert list(run_finetuning(network, material, **given))


def train(network: Any, shards: Path) -> Trained:
    """Return a training on 80 digits, as run.py has it when it is over."""
    material = make_material(shards, make_recipe(epochs=EPOCHS, learning_rate=RATE))
    probe = run_probe(network, material, PARAMS, nowhere())
    start, contest = read_weights(network), Contest(PROBE)  # which every network beats
    finetune(network, material, contest)
    return Trained(network, material, probe, contest, start)


def pretend(network: Any, shards: Path, seconds: float = 10.0) -> Trained:
    """Return a training whose epochs took so long, a fifth of that for judging."""
    material = make_material(shards, make_recipe(epochs=EPOCHS, learning_rate=RATE))
    row = replace(PROBE.epoch, epoch=1, seconds=seconds, images_per_second=80 / (0.8 * seconds))
    contest = Contest(PROBE)
    contest.add(Judged(row, np.zeros(24), np.eye(4)[material.val.labels]))
    probe = Probe(PROBE.epoch, None, None, np.zeros((24, 1)), PROBE.losses, 0.5)
    return Trained(network, material, probe, contest, [])


def find_parts(examples: Examples) -> list[np.ndarray]:
    random = np.random.default_rng((PARAMS.seed, 0))
    return choose_parts(examples.labels, number_groups(examples.units), random)


@pytest.mark.slow
def test_each_point_is_a_training_of_its_own(
    create: Any, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    trained, checkpoint = train(create(), shards), Checkpoint(tmp_path / "model.keras", {})
    learnt, val = trained.material.train, trained.material.val
    answers = trained.network.predict(val.pixels, verbose=0).argmax(axis=1)
    points, reason = create_curve(trained, PARAMS, 400, checkpoint)
    assert reason == ""
    measured = [one for one in points if one.kind == MEASURED]
    assert [one.images for one in measured] == [20, 40, 80]
    assert {one.of for one in points} == {FINETUNED}
    assert measured[-1].accuracy == pytest.approx((answers == val.labels).mean(), abs=0.03)

    # The oracle: a new network, and a split of those images alone, from pixels to answers.
    rows = find_parts(learnt)[1]
    few = Examples(
        learnt.pixels[rows],
        learnt.labels[rows],
        [learnt.paths[row] for row in rows],
        [learnt.sha256[row] for row in rows],
    )
    material, network = replace(trained.material, train=few), create()
    contest = Contest(run_probe(network, material, PARAMS, nowhere()).judged)
    finetune(network, material, contest)
    said = network.predict(val.pixels, verbose=0).argmax(axis=1)
    _, arrays = checkpoint.load(PART) or ({}, {})
    assert arrays["w1"].tolist() == (said != val.labels).tolist()
    assert measured[1].accuracy == pytest.approx((said == val.labels).mean(), abs=0.03)

    # Of 104 labelled images 80 are learnt; of twice as many, twice 80.
    coming = [one for one in points if one.kind == FORECAST]
    assert [one.more for one in coming] == [20, 50, 104]
    assert coming[-1].images == 160
    assert coming[-1].gain_low <= coming[-1].gain <= coming[-1].gain_high


def test_parts_are_nested_of_whole_groups_and_mixed_as_all() -> None:
    labels = np.repeat([0, 1], [300, 100])
    groups = np.arange(400) // 3
    found = choose_parts(labels, groups, np.random.default_rng(0))
    assert [len(rows) for rows in found] == pytest.approx([50, 100, 200], abs=2)
    for rows, larger in zip(found, [*found[1:], np.arange(400)], strict=True):
        assert set(rows) < set(larger)
        assert not set(groups[rows]) & set(np.delete(groups, rows))
        assert labels[rows].mean() == pytest.approx(0.25, abs=0.05)
    # Two groups make no three parts.
    assert len(choose_parts(labels, np.arange(400) // 200, np.random.default_rng(0))) < 2


def test_too_few_minutes_are_told_before_anything_is_trained(
    create: Any, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = pretend(create(), shards)
    monkeypatch.setattr(parts, "_train_part", lambda *given: pytest.fail("trained"))
    few = replace(PARAMS, curve_minutes=1.0)
    points, reason = create_curve(trained, few, 400, nowhere())
    assert points == []
    assert "trains 0 of at least 2 parts" in reason
    # Three parts want 7/8 of 3 epochs of 8 s, and 2 s of judging after each and five times at the
    # end, and a start of 10 s each.
    wanted = 7 / 8 * 3 * 8 + 3 * (10 + 8 * 2)
    (minutes,) = re.findall(r"curve_minutes: (\d+) would", reason)
    assert int(minutes) == math.ceil(wanted / 60)


def test_the_larger_parts_are_left_out_first(
    create: Any, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, clock = pretend(create(), shards), [0.0]
    monkeypatch.setattr(parts.time, "perf_counter", lambda: clock[0])
    guesses = [parts.estimate_seconds(trained, PARAMS, images) for images in (10, 20, 40)]
    assert guesses == sorted(guesses)

    def train(_: Trained, params: Params, rows: np.ndarray, deadline: float) -> np.ndarray:
        clock[0] += 2 * guesses[[10, 20, 40].index(len(rows))]  # twice as slow as was thought
        assert clock[0] <= deadline
        return np.zeros(24)

    monkeypatch.setattr(parts, "_train_part", train)
    # The last would fit if it were no slower than was thought.
    params = replace(PARAMS, curve_minutes=(2 * sum(guesses[:2]) + 1.5 * guesses[2]) / 60)
    points, reason = create_curve(trained, params, 400, nowhere())
    assert reason == ""
    assert [one.images for one in points if one.kind == MEASURED] == [10, 20, 80]


def test_a_part_whose_epochs_would_end_too_late_is_none(
    create: Any, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    network = create()
    made = pretend(network, shards)
    probe = run_probe(network, made.material, PARAMS, nowhere())
    trained = replace(made, probe=probe, start=read_weights(network))
    assert parts._train_part(trained, PARAMS, find_parts(made.material.train)[0], 0.0) is None


def test_a_budget_that_cut_the_whole_cuts_the_parts(create: Any, shards: Path) -> None:
    trained = pretend(create(), shards)  # one epoch of three
    whole = parts.estimate_seconds(trained, PARAMS, 40)
    cut = parts.estimate_seconds(trained, replace(PARAMS, budget_minutes=1.0), 40)
    assert whole - cut == pytest.approx(2 * (4 + 2))


def test_a_kept_probe_and_several_machines_have_none(create: Any, shards: Path) -> None:
    trained = pretend(create(), shards)
    recipe = replace(trained.material.recipe, processes=2)
    several = replace(trained, material=replace(trained.material, recipe=recipe))
    assert create_curve(several, PARAMS, 400, nowhere())[1] == "several machines train none"
    trained.contest.begin_anew()
    points, reason = create_curve(trained, PARAMS, 400, nowhere())
    assert (points, reason) == ([], "the probe was kept, and has its own")


@pytest.mark.slow
def test_a_run_that_is_killed_in_its_curve_trains_nothing_twice(
    shards: Path, tmp_path: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from components.train.finetuning import fitting

    hurry(monkeypatch)
    trained, train_part = [], parts._train_part
    epochs, fit = [], fitting.Finetuning.fit

    def note(_: Trained, params: Params, rows: np.ndarray, deadline: float) -> np.ndarray | None:
        trained.append(len(rows))
        if trained == [20, 40]:
            raise KeyboardInterrupt
        return train_part(_, params, rows, deadline)

    def count(self: Any, *given: Any) -> Any:
        epochs.append(len(self.material.train.labels))
        return fit(self, *given)

    monkeypatch.setattr(parts, "_train_part", note)
    monkeypatch.setattr(fitting.Finetuning, "fit", count)
    settings = {
        "finetune": {"epochs": EPOCHS, "learning_rate": RATE, "ema_momentum": 0.5},
        "curve_minutes": 60.0,
    }
    with pytest.raises(KeyboardInterrupt):
        run_tiny(shards, tmp_path, **settings)
    curve = tmp_path / "training/learning_curve.csv"
    assert FINETUNED not in {one.of for one in read_curve(curve)}
    assert (tmp_path / "model.keras").is_file()  # the result was written before
    assert epochs.count(80) == EPOCHS

    run_tiny(shards, tmp_path, **settings)
    assert trained == [20, 40, 40]
    assert epochs.count(80) == EPOCHS
    assert not (tmp_path / "model.checkpoint").exists()
    points = read_curve(curve)
    assert {EVERYTHING, FINETUNED} <= {one.of for one in points}
    sizes = [one.images for one in points if one.of == FINETUNED and one.kind == MEASURED]
    assert sizes == [20, 40, 80]
    assert "learning curve of the fine-tuned network: 104 more images" in capsys.readouterr().out
    logged = list(mlflow_store.parent.rglob("learning_curve.csv"))
    assert curve.read_bytes() in [file.read_bytes() for file in logged if file != curve]
