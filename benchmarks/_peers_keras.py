"""What a person with Keras or scikit-learn would do, for benchmarks/peers.py; same weights."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks._peers_flags import BATCH_SIZE, Task, run_way  # noqa: E402

BACKBONE = "EfficientNetLite0"
FROZEN_EPOCHS, TUNED_EPOCHS, TUNED_LAYERS = 25, 4, 20  # of the tutorial


def tutorial(task: Task) -> Iterable[str]:
    """Train as "Image classification via fine-tuning with EfficientNet" of keras.io does.

    Its augmentation, head, optimizers, rates, epochs and unfrozen layers (as of 2026-07-13), its
    flip from left to right alone, batches of 32, and Lite0 with its installed weights in the place
    of B0, which would be downloaded.
    """
    from components.common.backend import keras

    keras.utils.set_random_seed(task.seed)
    layers, classes = keras.layers, task.list_classes()
    train, test = (read_split(task, split) for split in ("train", "test"))
    changes = [layers.RandomRotation(0.15), layers.RandomTranslation(0.1, 0.1)]
    changes += [layers.RandomFlip("horizontal")] * task.flip + [layers.RandomContrast(0.1)]

    def augment(images: Any) -> Any:
        for change in changes:
            images = change(images, training=True)
        return images

    feed = train.map(lambda images, labels: (augment(images), labels)).prefetch(2)
    body = create_body(task.size_px)
    body.trainable = False
    pixels = keras.Input((task.size_px, task.size_px, 3))
    x = layers.GlobalAveragePooling2D()(body(scale(pixels)))
    x = layers.Dropout(0.2)(layers.BatchNormalization()(x))
    model = keras.Model(pixels, layers.Dense(len(classes), activation="softmax")(x))
    for rate, epochs in ((1e-2, FROZEN_EPOCHS), (1e-5, TUNED_EPOCHS)):
        model.compile(keras.optimizers.Adam(rate), loss="categorical_crossentropy")
        model.fit(feed, epochs=epochs, verbose=0)
        body.trainable = True
        for number, layer in enumerate(reversed(body.layers)):
            is_norm = isinstance(layer, layers.BatchNormalization)
            layer.trainable = number < TUNED_LAYERS and not is_norm
    found = model.predict(test, verbose=0)
    return [classes[number] for number in found.argmax(axis=1)]


def features(task: Task) -> Iterable[str]:
    """Fit scikit-learn's logistic regression, its penalty by validation, to frozen features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from components.common.backend import keras

    pixels = keras.Input((task.size_px, task.size_px, 3))
    found = create_body(task.size_px)(scale(pixels), training=False)
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(found))
    classes, seen = task.list_classes(), {}
    for split in ("train", "val", "test"):
        labels = [classes.index(image.parent.name) for image in task.list_images(split)]
        data = read_split(task, split, shuffle=False)
        seen[split] = (model.predict(data, verbose=0), np.array(labels))

    def fit(strength: float) -> Any:
        head = LogisticRegression(C=strength, max_iter=2000)
        return make_pipeline(StandardScaler(), head).fit(*seen["train"])

    best = max((fit(c) for c in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)), key=lambda m: m.score(*seen["val"]))
    return [classes[number] for number in best.predict(seen["test"][0])]


def create_body(size_px: int) -> Any:
    """Return the network with its weights, from scaled pixels to its map of features."""
    from components.train.networks import backbones

    return backbones.create_body(backbones.find_backbone(BACKBONE), "imagenet", size_px)


def scale(pixels: Any) -> Any:
    """Return pixels of 0 to 255 as the network was trained on them."""
    from components.common.backend import keras

    return keras.layers.Rescaling(1 / 128, offset=-127 / 128)(pixels)


def read_split(task: Task, split: str, shuffle: bool | None = None) -> Any:
    """Return a split as Keras reads folders: float32 (batch, s, s, 3), one-hot labels."""
    from components.common.backend import keras

    return keras.utils.image_dataset_from_directory(
        task.photos / split,
        label_mode="categorical",
        class_names=task.list_classes(),
        batch_size=BATCH_SIZE,
        image_size=(task.size_px, task.size_px),
        shuffle=split == "train" if shuffle is None else shuffle,
        seed=task.seed,
        crop_to_aspect_ratio=True,
        verbose=False,
    )


if __name__ == "__main__":
    run_way({"keras": tutorial, "features": features})
