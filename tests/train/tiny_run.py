"""Run the room on a network so tiny that it compiles in seconds: `python tiny_run.py ARGUMENTS`.

A process of its own, because tests kill it; the arguments are JSON: shards, out, settings.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.train.spec import Augment, Finetune, Inputs, Outputs, Params


def create_tiny(include_top: bool, weights: None, input_shape: tuple[int, ...]) -> Any:
    """Return a convolution with BatchNorm; the keywords are those of keras.applications."""
    from components.common.backend import keras

    pixels = keras.Input(input_shape)
    x = keras.layers.Conv2D(8, 3, 4, use_bias=False, name="low")(pixels)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(16, 3, 2, name="high")(keras.layers.ReLU(name="relu")(x))
    return keras.Model(pixels, keras.layers.ReLU(name="last")(x), name="Tiny")


def register_tiny() -> None:
    """Add it to the catalogue of this process."""
    from components.common.backend import keras
    from components.train.networks.backbones import CATALOGUE, Backbone
    from components.train.networks.scaling import SYMMETRIC

    CATALOGUE["Tiny"] = Backbone("Tiny", 32, 1400, 1, 0.0, SYMMETRIC, True)
    keras.applications.Tiny = create_tiny


def make_outputs(folder: Path) -> Outputs:
    return Outputs(
        model=folder / "model.keras",
        history=folder / "history.csv",
        findings=folder / "training",
        run=folder / "run.json",
    )


def make_params(finetune: dict[str, Any], augment: dict[str, Any], **others: Any) -> Params:
    return replace(
        Params(recipe="fixed"),
        backbone="Tiny",
        weights="none",
        probe_batch_size=4,
        finetune=replace(Finetune(), **({"epochs": 3, "batch_size": 8} | finetune)),
        augment=replace(Augment(), **augment),
        **others,
    )


def keep_weights(file: Path) -> None:
    """Write the weights that this process ends with, whether or not it writes the model."""
    import numpy as np

    from components.train.records import delivery

    whole = delivery.to_float32

    def to_float32(network: Any, *others: Any) -> Any:
        model = whole(network, *others)
        np.savez(file, **{w.path.replace("/", "|"): np.asarray(w) for w in model.weights})
        return model

    delivery.to_float32 = to_float32


def run_tiny(
    shards: Path, folder: Path, save: str = "", little_memory: bool = False, **settings: Any
) -> None:
    """Train in this process."""
    from components.train.feed import memory
    from components.train.finetuning import finetune
    from components.train.probe import features
    from components.train.run import run

    if little_memory:
        memory.find_free_memory = lambda: 1000
    if save:
        keep_weights(Path(save))

    register_tiny()
    # Checkpoints as often as in a run of hours, seen from its length.
    finetune.SEGMENT_STEPS, features.PIECE_BATCHES = 2, 2
    params = make_params(
        settings.pop("finetune", {}), settings.pop("augment", {"flip": "never"}), **settings
    )
    run(Inputs(shards), make_outputs(folder), params)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    run_tiny(Path(given.pop("shards")), Path(given.pop("out")), **given)
