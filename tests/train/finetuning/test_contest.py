"""What is kept, and when training ends: the contest of epochs, blends and the probe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import (
    LOGITS,
    take_part,
)
from components.common.shards.examples import read_split
from components.train.finetuning.finetune import run_finetuning
from components.train.finetuning.fitting import to_numpy
from components.train.runtime.checkpoint import Checkpoint
from components.train.selection.kept import Contest, Judged, compute_honest_losses
from components.train.selection.rules import Plan
from components.train.selection.scores import compute_log_loss
from tests.train.finetuning.steps import (
    PROBE,
    UNBEATABLE,
    make_material,
    make_recipe,
    read_weights,
    train,
)

AUTO_PLAN: dict[str, Any] = {"rates": (0.01, 0.0025), "may_stop": True, "blends": True}


def test_probe_is_kept_when_it_is_not_beaten(create: Any, shards: Path, tmp_path: Path) -> None:
    network = create()
    before = read_weights(network)
    train(network, shards, tmp_path, make_recipe(learning_rate=0.01), UNBEATABLE)
    after = read_weights(network)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_early_stopping(create: Any, shards: Path, tmp_path: Path) -> None:
    recipe = make_recipe(learning_rate=1e-8, epochs=9, patience=2)
    assert len(train(create(), shards, tmp_path, recipe, UNBEATABLE)) == 2


@pytest.mark.slow
def test_what_gains_nothing_is_tried_once_more_and_ended(
    create: Any, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = create()
    before = read_weights(network)
    rows = train(network, shards, tmp_path, make_recipe(epochs=8), UNBEATABLE, **AUTO_PLAN)
    assert [row.epoch for row in rows if row.blend is None] == [1, 2, 3, 4]
    told = capsys.readouterr().out
    assert "once more from the probe, with learning rate 0.0025" in told
    assert "fine-tuning ends, nothing is to be gained" in told
    assert all(np.array_equal(before[path], after) for path, after in read_weights(network).items())


def test_a_loss_that_wavers_by_rounding_gains_nothing(
    create: Any, shards: Path, tmp_path: Path
) -> None:
    """Photos without anything in them, or a rate of next to nothing."""
    network, val = create(), read_split(shards, "val")
    logits = take_part(network, LOGITS).predict(val.pixels, verbose=0)
    # So little above what follows that each epoch would seem to be a gain.
    before = Judged(PROBE.epoch, compute_honest_losses(logits, val.labels) + 1e-6)
    plan = AUTO_PLAN | {"rates": (1e-8,), "blends": False}
    rows = train(network, shards, tmp_path, make_recipe(epochs=8), before, **plan)
    assert len(rows) == 2


@pytest.mark.parametrize("stopped_after", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_blend_of_probe_and_outcome_is_kept_where_it_is_better(
    create: Any, shards: Path, tmp_path: Path, stopped_after: int
) -> None:
    """And a run that was stopped on the way ends with the same weights."""
    recipe = make_recipe(epochs=4, learning_rate=0.02)
    val, logits = read_split(shards, "val"), []
    networks = [create(), create()]
    rows = train(networks[0], shards, tmp_path / "whole", recipe, PROBE, **AUTO_PLAN)
    kept = [row for row in rows if row.blend] or rows[:1]
    material = make_material(shards, recipe)
    plan = Plan(recipe.finetune, **AUTO_PLAN)
    for network in (create(), networks[1]):
        again = run_finetuning(
            network,
            material,
            contest=Contest(PROBE),
            checkpoint=Checkpoint(tmp_path / "part/model.keras", {}),
            plan=plan,
        )
        done = [next(again) for _ in range(stopped_after)] if network is not networks[1] else again
        timed = {"seconds": 0.0, "images_per_second": None}
        same = [replace(row, **timed) for row in done]
        assert same == [replace(row, **timed) for row in rows][: len(same)]
    assert len(same) == len(rows)
    for one, other in zip(*(network.weights for network in networks), strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    logits = take_part(networks[0], LOGITS).predict(val.pixels, verbose=0)
    losses = {row.epoch: row.val_loss for row in rows}
    assert compute_log_loss(logits, val.labels) == pytest.approx(
        losses[kept[-1].epoch], abs=1e-5
    ) or not any(row.blend for row in rows)


def test_no_epoch_begins_that_the_budget_does_not_hold(
    create: Any, shards: Path, tmp_path: Path
) -> None:
    import time

    network = create()
    rows = run_finetuning(
        network,
        make_material(shards, make_recipe()),
        contest=Contest(PROBE),
        checkpoint=Checkpoint(tmp_path / "model.keras", {}),
        plan=Plan(make_recipe().finetune, rates=(1e-3,)),
        deadline=time.perf_counter() + 5,  # less than what follows is reckoned with
    )
    assert list(rows) == []
