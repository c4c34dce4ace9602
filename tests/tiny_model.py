"""A tiny real model file, of the form that train writes."""

from __future__ import annotations

from pathlib import Path

from components.common.artifacts.model import (
    LOGITS,
    PROBABILITIES,
    TEMPERATURE,
    ModelCard,
    save_model,
)
from components.common.images.pixels import ImageForm

SIZE_PX = 16


def make_card(class_names: tuple[str, ...] = ("cat", "dog"), test: str = "t" * 64) -> ModelCard:
    return ModelCard(
        class_names=list(class_names),
        form=ImageForm(SIZE_PX, "crop", "#ffffff"),
        backbone="tiny",
        weights="none",
        temperature=1.5,
        phase="probe",
        digests={"manifest": "m" * 64, "splits": "s" * 64, "test": test},
        params={"train.seed": 0},
        versions={"keras": "3"},
    )


def make_model(file: Path, card: ModelCard | None = None, seed: int = 0) -> Path:
    """Write a linear model with random weights; seed and card decide its digest."""
    from components.common.backend import keras

    card = card or make_card()
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((SIZE_PX, SIZE_PX, 3))  # 0 to 255
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    logits = keras.layers.Dense(len(card.class_names), name=LOGITS)(flat)
    scales = [one / card.temperature for one in card.scales] or 1 / card.temperature
    scaled = keras.layers.Rescaling(scales, card.offsets or 0.0, name=TEMPERATURE)(logits)
    save_model(file, keras.Model(pixels, keras.layers.Softmax(name=PROBABILITIES)(scaled)), card)
    return file
