"""The first phase, against what the tutorials do: called by benchmarks/train.py probe."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import read_dataset
from components.common.artifacts.model import take_part
from components.common.backend import keras, tf
from components.common.shards.examples import Examples, read_split
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import LOGITS, create_network
from components.train.probe.probe import run_probe
from components.train.runtime.checkpoint import Checkpoint
from components.train.spec import Params

BACKBONE = find_backbone(Params().backbone)
BATCH_SIZE = 32  # of the tutorials


@dataclass(frozen=True)
class Result:
    """A head that was trained, and what it cost until then."""

    accuracy: float
    seconds: float
    cpu: float  # seconds, of all cores: steadier on a machine that does other things as well

    def show(self, name: str) -> None:
        """Print it."""
        print(
            f"  {name:<52}{self.accuracy:.3f}{self.seconds:8.1f} s{self.cpu:8.1f} s of CPU",
            flush=True,
        )


def compare_probes(shards: Path, epochs: int, split: str) -> None:
    """Print accuracy and seconds of both ways from the pretrained network to a trained head."""
    dataset = read_dataset(shards)
    train, val = read_split(shards, "train"), read_split(shards, "val")
    judged = val if split == "val" else read_split(shards, split)
    names, size = dataset.class_names, dataset.form.size_px
    print(f"{len(train.labels):,} images of {size} px, judged by {len(judged.labels)} of {split}")
    own = fit_probe(train, val, judged, names)
    own.show("probe: features once, then logistic regression")
    rows = fit_tutorial(train, judged, len(names), epochs)
    last, error = rows[-1], np.sqrt(own.accuracy * (1 - own.accuracy) / len(judged.labels))
    print(
        f"accuracy {own.accuracy:.3f} against {last.accuracy:.3f} (standard error {error:.3f}) in "
        f"1/{last.seconds / own.seconds:.1f} of the time, 1/{last.cpu / own.cpu:.1f} of its CPU"
    )
    as_good = [row for row in rows if row.accuracy >= own.accuracy]
    print(
        f"the tutorial is as good after {as_good[0].seconds / own.seconds:.1f} times the time"
        if as_good
        else f"the tutorial is not as good in any of its {epochs} epochs"
    )


def fit_probe(train: Examples, val: Examples, judged: Examples, names: list[str]) -> Result:
    """Train a head as the first phase does, from a network with its weights on."""
    params, size = Params(), train.pixels.shape[1]
    keras.utils.clear_session()
    body = create_body(BACKBONE, "imagenet", size)
    network = create_network(BACKBONE, body, names, size_px=size, dropout=params.finetune.dropout)
    recipe = Recipe(params.finetune, params.augment, flip=False, seed=0, classes=len(names))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "model.keras", {})
        watch = start_watch()
        probe = run_probe(network, Material(train, val, recipe), params, checkpoint)
        spent = watch()
    if judged is val:
        return Result(probe.epoch.val_accuracy, *spent)
    logits = take_part(network, LOGITS).predict(judged.pixels, verbose=0)
    return Result(float((logits.argmax(axis=1) == judged.labels).mean()), *spent)


def start_watch() -> Callable[[], tuple[float, float]]:
    """Return a function that returns the seconds and the CPU seconds since now."""
    begin, before = time.perf_counter(), os.times()

    def read() -> tuple[float, float]:
        now = os.times()
        return time.perf_counter() - begin, sum(now[:2]) - sum(before[:2])

    return read


def fit_tutorial(train: Examples, judged: Examples, classes: int, epochs: int) -> list[Result]:
    """Train the head as "Transfer learning & fine-tuning" of keras.io does.

    Augmentation in the model, the frozen network behind it, Adam at 1e-3, dropout 0.2; the same
    weights, and photos that are decoded and in memory. Ten epochs as TensorFlow's tutorial of that
    name has them.

    Returns:
        What it was like after each epoch.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    layers, size = keras.layers, train.pixels.shape[1]
    base = create_body(BACKBONE, "imagenet", size)
    base.trainable = False
    pixels = keras.Input((size, size, 3))
    x = layers.RandomFlip("horizontal")(pixels)
    x = layers.RandomRotation(0.1)(x)
    x = base(layers.Rescaling(1 / 128, offset=-127 / 128)(x), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, layers.Dense(classes)(x))
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def feed(examples: Examples, shuffle: bool) -> Any:
        data = tf.data.Dataset.from_tensor_slices((examples.pixels, examples.labels))
        data = data.shuffle(len(examples.labels), seed=0) if shuffle else data
        return data.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)

    seen: list[Result] = []
    watch = start_watch()

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(Result(float(logs["val_accuracy"]), *watch()))
            seen[-1].show(f"frozen network run again, epoch {epoch + 1}")

    model.fit(
        feed(train, shuffle=True),
        validation_data=feed(judged, shuffle=False),
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[Watch()],
    )
    return seen
