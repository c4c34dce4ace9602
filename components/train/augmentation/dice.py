"""Random numbers that are a function of seed, epoch, step and row, and of nothing else.

A batch then looks the same after a resume, on any machine, and whether one process makes it whole
or each of several makes its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.common.backend import tf


@dataclass(frozen=True)
class Dice:
    """The random numbers of one batch."""

    seed: Any  # int tensor (2,)
    count: int  # rows of the whole batch
    rows: Any  # int tensor (b,): which of them are wanted

    def share(self, number: int) -> Any:
        """Return the numbered draw: (b,) numbers, 0 to 1."""
        own = tf.random.experimental.stateless_fold_in(self.seed, number)
        return tf.gather(tf.random.stateless_uniform([self.count], own), self.rows)

    def around(self, number: int, limit: float) -> Any:
        """Return the numbered draw: (b,) numbers, -limit to limit."""
        return (2.0 * self.share(number) - 1.0) * limit

    def of_batch(self, number: int) -> Any:
        """Return the numbered draw for the batch as a whole, 0 to 1."""
        own = tf.random.experimental.stateless_fold_in(self.seed, number)
        return tf.random.stateless_uniform([], own)

    def beta(self, number: int, alpha: float) -> Any:
        """Return one number of the distribution Beta(alpha, alpha) for the batch."""
        own = tf.random.experimental.stateless_fold_in(self.seed, number)
        pair = tf.random.stateless_gamma([2], own, alpha)
        return pair[0] / tf.maximum(tf.reduce_sum(pair), 1e-20)
