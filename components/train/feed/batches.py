"""What the second phase is fed: one epoch of augmented batches, or a part of one.

Order and changes are functions of seed, epoch and step alone, so a run goes on in the middle of an
epoch with the very batch it would have had, and several processes each make their own rows of it.
tf.data feeds every backend of Keras.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from components.common.backend import tf
from components.common.shards.examples import Examples
from components.train.augmentation.augment import augment
from components.train.augmentation.dice import Dice
from components.train.augmentation.mixing import mix, mixes
from components.train.feed.recipe import Recipe


class Feed:
    """Makes the batches of one training run; what TensorFlow compiles for it is compiled once."""

    def __init__(self, train: Examples, recipe: Recipe) -> None:
        """Prepare for batches of a split, by a recipe."""
        self.train, self.recipe = train, recipe
        self.size = recipe.batch_size(len(train.labels))
        self.weights = compute_class_weights(train.labels, recipe.classes).astype(np.float32)
        self._orders: dict[int, np.ndarray] = {}
        self._make = tf.function(self._make_batch, autograph=False)

    def create_batches(self, epoch: int, steps: Iterable[int] | None = None) -> Any:
        """Return a tf.data.Dataset: pixels (b, s, s, 3), targets (b, classes), weights (b,).

        All are float32. Weights are there only with `balance: weights`. Every batch has the same
        size.

        Args:
            epoch: 1, 2, …
            steps: which batches of the epoch; by default all.
        """
        self._begin(epoch)
        count = self.recipe.count_steps(len(self.train.labels))
        wanted = np.array(range(count) if steps is None else list(steps), np.int64)
        epochs = np.full(len(wanted), epoch, np.int64)
        batches = tf.data.Dataset.from_tensor_slices((epochs, wanted))
        made = batches.map(self._make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return made.prefetch(tf.data.AUTOTUNE)

    def make_batch(self, epoch: int, step: int) -> tuple[Any, ...]:
        """Return one batch, without the pipeline around it, which takes longer than a batch."""
        self._begin(epoch)
        numbers = (tf.constant(number, tf.int64) for number in (epoch, step))
        return tuple(self._make(*numbers))

    def _begin(self, epoch: int) -> None:
        """Draw an epoch's order; a pipeline may still be busy with the one before."""
        self._orders = {epoch: create_order(self.train.labels, self.recipe, epoch)} | {
            number: order for number, order in self._orders.items() if number == epoch - 1
        }

    def _make_batch(self, epoch: Any, step: Any) -> tuple[Any, ...]:
        """Return this machine's rows of a batch."""
        recipe = self.recipe
        own = np.arange(self.size).reshape(recipe.processes, -1)[recipe.process]
        pixels, targets = self._load(epoch, step, own)
        if mixes(recipe.augment):
            if recipe.processes == 1:
                partners = (pixels[::-1], targets[::-1])
            else:
                partners = self._load(epoch, step, self.size - 1 - own)
            dice = create_dice(recipe.seed, epoch, step, self.size, own)
            pixels, targets = mix((pixels, targets), partners, recipe.augment, dice)
        if recipe.finetune.balance != "weights":
            return pixels, targets
        # A mixed image counts as much as each of its two labels says, by the label's share.
        weights = tf.reduce_sum(targets, axis=1)
        return pixels, targets / weights[:, None], weights

    def _load(self, epoch: Any, step: Any, rows: np.ndarray) -> tuple[Any, Any]:
        """Return augmented pixels and targets of some rows of a batch.

        A target holds the weight of its class, 1 without `balance: weights`, and else zeros.
        """
        recipe, train = self.recipe, self.train

        def gather(epoch_: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            chosen = np.take(self._orders[int(epoch_)], number * self.size + rows, mode="wrap")
            return train.pixels[chosen], train.labels[chosen]

        kinds = (tf.uint8, tf.int64)
        pixels, labels = tf.numpy_function(gather, [epoch, step], kinds, stateful=False)
        pixels.set_shape((len(rows), *train.pixels.shape[1:]))
        labels.set_shape((len(rows),))
        dice = create_dice(recipe.seed, epoch, step, self.size, rows)
        changed = augment(pixels, recipe.augment, recipe.flip, dice)
        targets = tf.one_hot(labels, recipe.classes)
        if recipe.finetune.balance == "weights":
            targets *= tf.constant(self.weights)
        return changed, targets


def create_batches(
    train: Examples, recipe: Recipe, epoch: int, steps: Iterable[int] | None = None
) -> Any:
    """Return batches of one epoch, as :class:`Feed` makes them."""
    return Feed(train, recipe).create_batches(epoch, steps)


def create_dice(seed: int, epoch: Any, step: Any, size: int, rows: np.ndarray) -> Dice:
    """Return the random numbers of some rows of one batch; epoch and step are numbers, int64."""
    return Dice(tf.stack([tf.constant(seed * 100_003, tf.int64) + epoch, step]), size, rows)


def create_order(labels: np.ndarray, recipe: Recipe, epoch: int) -> np.ndarray:
    """Return the order in which the images of one epoch come: positions, (passes · images,).

    With `balance: sampling` each class comes as often as every other: images of rare classes come
    more than once, of common ones not all.
    """
    random = np.random.default_rng((recipe.seed, epoch))
    return np.concatenate([_order_pass(labels, recipe, random) for _ in range(recipe.passes)])


def _order_pass(labels: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Return the order of one pass over the images."""
    if recipe.finetune.balance != "sampling":
        return random.permutation(len(labels))
    present = np.unique(labels)
    each = -(-len(labels) // len(present))
    chosen = [
        np.resize(random.permutation(np.flatnonzero(labels == label)), each) for label in present
    ]
    return random.permutation(np.concatenate(chosen))[: len(labels)]


def compute_class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the weight of each class in the loss: images / (classes · images of the class)."""
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    return np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
