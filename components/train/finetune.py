"""Second phase: the unfrozen network is trained from the probe on, and its best epoch is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.common.backend import keras, tf
from components.common.examples import Examples
from components.common.model import LOGITS
from components.common.terminal import bar
from components.train.augment import augment
from components.train.history import Epoch
from components.train.network import take_part
from components.train.probe import compute_accuracy, compute_log_loss
from components.train.spec import Augment, Finetune


@dataclass(frozen=True)
class Recipe:
    """All that decides how the second phase runs."""

    finetune: Finetune
    augment: Augment
    flip: bool
    seed: int


def run_finetuning(
    network: keras.Model, train: Examples, val: Examples, recipe: Recipe, first: Epoch
) -> Iterator[Epoch]:
    """Train the network, yield each epoch as it ends, and leave the best weights in it.

    The best is that of the highest validation accuracy, at equal accuracy that of the lower loss;
    the probe, from which training starts, competes as well. BatchNorm keeps its ImageNet
    statistics.

    Args:
        network: with the probe's head, unfrozen as far as wanted.
        train: the training split.
        val: the validation split.
        recipe: settings, seed, and whether to mirror.
        first: the probe's row of the history.
    """
    settings = recipe.finetune
    trained = take_part(network, LOGITS)
    steps = -(-len(train.labels) // settings.batch_size)
    optimizer = create_optimizer(settings, steps * settings.epochs)
    trained.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        ),
        metrics=["accuracy"],
        # On CPU compiling the graph costs more than it gains on runs of minutes.
        jit_compile=bool(tf.config.list_physical_devices("GPU")),
    )
    # What is judged and kept is the running mean of the weights: it is smoother than the last
    # step's.
    averaged = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    best, best_weights = first, network.get_weights()
    with bar("fine-tuning", "steps", steps * settings.epochs) as progress:
        for number in range(1, settings.epochs + 1):
            start = time.perf_counter()
            batches = create_batches(train, network.output.shape[-1], recipe, number)
            shown = keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: progress.update()
            )
            found = trained.fit(
                batches, epochs=1, shuffle=False, verbose=0, callbacks=[shown, averaged]
            ).history
            logits = trained.predict(val.pixels, batch_size=64, verbose=0)
            epoch = Epoch(
                phase="fine-tune",
                epoch=number,
                learning_rate=float(optimizer.learning_rate),
                train_loss=found["loss"][0],
                train_accuracy=found["accuracy"][0],
                val_loss=compute_log_loss(logits, val.labels),
                val_accuracy=compute_accuracy(logits, val.labels),
                seconds=time.perf_counter() - start,
            )
            if epoch.rank > best.rank:
                best, best_weights = epoch, network.get_weights()
            yield epoch
    network.set_weights(best_weights)


def create_optimizer(settings: Finetune, steps: int) -> keras.Optimizer:
    """Return the optimizer, its learning rate rising linearly, then falling as a half cosine to 0.

    Args:
        settings: which optimizer, the highest rate, the share of steps that it rises, weight decay.
        steps: of the whole phase.
    """
    warmup = round(settings.warmup_fraction * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else settings.learning_rate,
        decay_steps=max(1, steps - warmup),
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    average = {"use_ema": True, "ema_momentum": settings.ema_momentum}
    decay = settings.weight_decay
    create: dict[str, Callable[[], keras.Optimizer]] = {
        "adamw": lambda: keras.optimizers.AdamW(schedule, weight_decay=decay, **average),
        "adam": lambda: keras.optimizers.Adam(schedule, **average),
        "sgd": lambda: keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **average),
    }
    return create[settings.optimizer]()


def create_batches(train: Examples, classes: int, recipe: Recipe, epoch: int) -> Any:
    """Return one epoch of augmented batches: pixels (b, s, s, 3), targets (b, classes), float32.

    Order and augmentation are functions of seed and epoch alone.
    """
    size = recipe.finetune.batch_size
    order = np.random.default_rng((recipe.seed, epoch)).permutation(len(train.labels))
    starts = np.arange(0, len(order), size)
    pixels, labels = train.pixels, train.labels

    def gather(start: Any) -> tuple[Any, Any]:
        chosen = order[int(start) : int(start) + size]
        return pixels[chosen], labels[chosen]

    def load(start: Any) -> tuple[Any, Any]:
        batch, batch_labels = tf.py_function(gather, [start], (tf.uint8, tf.int64))
        batch.set_shape((None, *pixels.shape[1:]))
        batch_labels.set_shape((None,))
        seed = tf.stack([tf.constant(recipe.seed * 1000 + epoch, tf.int64), start])
        changed = augment(batch, recipe.augment, recipe.flip, seed)
        return changed, tf.one_hot(batch_labels, classes)

    return (
        tf.data.Dataset.from_tensor_slices(starts)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(2)
    )
