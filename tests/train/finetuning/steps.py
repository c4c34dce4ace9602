"""Tiny networks and a few steps of the second phase, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.history import Epoch
from components.common.shards.examples import read_split
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.finetuning.finetune import run_finetuning
from components.train.finetuning.fitting import to_numpy
from components.train.runtime.checkpoint import Checkpoint
from components.train.selection.kept import Contest, Judged
from components.train.selection.rules import Plan
from components.train.spec import Augment, Finetune

ROW = Epoch("probe", 0, None, 1.0, 0.3, 2.0, 0.2, 1.0)
PROBE = Judged(ROW, np.full(24, 9.0))
UNBEATABLE = Judged(ROW, np.full(24, -1.0))


def make_recipe(augment: dict[str, Any] | None = None, **finetune: Any) -> Recipe:
    settings = Finetune(**({"epochs": 2, "batch_size": 8, "dropout": 0.0} | finetune))
    return Recipe(settings, Augment(**(augment or {})), flip=False, seed=0, classes=4)


def make_material(shards: Path, recipe: Recipe) -> Material:
    return Material(read_split(shards, "train"), read_split(shards, "val"), recipe)


def train(
    network: Any, shards: Path, folder: Path, recipe: Recipe, first: Judged = PROBE, **plan: Any
) -> list[Epoch]:
    made = Plan(recipe.finetune, **({"rates": (recipe.finetune.rate,)} | plan))
    rows = run_finetuning(
        network,
        make_material(shards, recipe),
        contest=Contest(first),
        checkpoint=Checkpoint(folder / "model.keras", {}),
        plan=made,
    )
    return list(rows)


def read_weights(network: Any) -> dict[str, np.ndarray]:
    return {weight.path: to_numpy(weight) for weight in network.weights}
