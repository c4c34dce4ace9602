"""The first phase, against what the tutorials do: called by benchmarks/train.py probe."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from components.common.backend import keras, tf
from components.common.dataset import read_dataset
from components.common.examples import Examples, read_split
from components.train.backbones import create_body, find_backbone
from components.train.batches import Recipe
from components.train.checkpoint import Checkpoint
from components.train.network import LOGITS, create_network, take_part
from components.train.probe import run_probe
from components.train.spec import Params

BACKBONE = find_backbone(Params().backbone)
BATCH_SIZE = 32  # of the tutorials


def compare_probes(shards: Path, epochs: int, split: str) -> None:
    """Print accuracy and seconds of both ways from the pretrained network to a trained head."""
    dataset = read_dataset(shards)
    train, val = read_split(shards, "train"), read_split(shards, "val")
    judged = val if split == "val" else read_split(shards, split)
    names, size = dataset.class_names, dataset.form.size_px
    print(f"{len(train.labels):,} images of {size} px, judged by {len(judged.labels)} of {split}")
    # Ours before and after the other, so that a machine that slows down or speeds up shows.
    first, own = fit_probe(train, val, judged, names)
    print(f"  probe: features once, then logistic regression   {own:.3f}  {first:6.1f} s")
    rows = fit_tutorial(train, judged, len(names), epochs)
    for epoch, (seconds, accuracy) in enumerate(rows, 1):
        print(f"  frozen network run again, epoch {epoch:<3}              {accuracy:.3f}", end="")
        print(f"  {seconds:6.1f} s")
    second, own = fit_probe(train, val, judged, names)
    print(f"  probe again                                      {own:.3f}  {second:6.1f} s")
    seconds, reached = rows[-1]
    mean = (first + second) / 2
    error = np.sqrt(own * (1 - own) / len(judged.labels))
    print(
        f"accuracy {own:.3f} against {reached:.3f} (standard error {error:.3f}) in "
        f"1/{seconds / mean:.1f} of the time"
    )
    as_good = [time for time, accuracy in rows if accuracy >= own]
    if as_good:
        print(f"the tutorial is as good after {as_good[0]:.1f} s: {as_good[0] / mean:.1f} times it")
    else:
        print(f"the tutorial is not as good in any of its {epochs} epochs")


def fit_probe(
    train: Examples, val: Examples, judged: Examples, names: list[str]
) -> tuple[float, float]:
    """Return the seconds of the first phase, from a network with weights on, and its accuracy."""
    params, size = Params(), train.pixels.shape[1]
    keras.utils.clear_session()
    body = create_body(BACKBONE, "imagenet", size)
    network = create_network(BACKBONE, body, names, size_px=size, dropout=params.finetune.dropout)
    recipe = Recipe(params.finetune, params.augment, flip=False, seed=0, classes=len(names))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "model.keras", {})
        start = time.perf_counter()
        probe = run_probe(network, train, val, params=params, recipe=recipe, checkpoint=checkpoint)
        seconds = time.perf_counter() - start
    if judged is val:
        return seconds, probe.epoch.val_accuracy
    logits = take_part(network, LOGITS).predict(judged.pixels, verbose=0)
    return seconds, float((logits.argmax(axis=1) == judged.labels).mean())


def fit_tutorial(
    train: Examples, judged: Examples, classes: int, epochs: int
) -> list[tuple[float, float]]:
    """Train the head as "Transfer learning & fine-tuning" of keras.io does.

    Augmentation in the model, the frozen network behind it, Adam at 1e-3, dropout 0.2; the same
    weights, and photos that are decoded and in memory. Ten epochs as TensorFlow's tutorial of that
    name has them.

    Returns:
        (seconds since the beginning, accuracy) after each epoch.
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

    seen, start = [], time.perf_counter()

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((time.perf_counter() - start, float(logs["val_accuracy"])))

    model.fit(
        feed(train, shuffle=True),
        validation_data=feed(judged, shuffle=False),
        epochs=epochs,
        verbose=0,
        callbacks=[Watch()],
    )
    return seen
