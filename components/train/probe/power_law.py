"""How far errors fall with more images: a power law through a few measured points, with doubt.

error(n) = a + b · n^-c: what stays however many images there are, and what more images take away
(Cortes et al. 1994; Viering and Loog 2022 find it the best of the usual curves). A few points do
not tell a from c, so each exponent counts as much as it explains them: what an interval holds is
the doubt about the points and about the law's form together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.artifacts.curve import LEVEL

# From barely falling to as fast as the best case of learning (1/n), and somewhat beyond.
EXPONENTS = np.linspace(0.1, 1.2, 12)


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Laws:
    """Power laws that may all be true, drawn by how well they explain the points."""

    floor: np.ndarray  # a, (draws,)
    scale: np.ndarray  # b, (draws,)
    exponent: np.ndarray  # c, (draws,)

    def compute_error(self, images: float) -> np.ndarray:
        """Return the error at a number of images by each law, (draws,)."""
        return np.asarray(self.floor + self.scale * images**-self.exponent)

    def compute_gain(self, images: float, more: float) -> np.ndarray:
        """Return how far the error falls with so many more images, by each law, (draws,)."""
        return self.compute_error(images) - self.compute_error(images + more)


def fit_laws(
    sizes: np.ndarray,
    errors: np.ndarray,
    spread: np.ndarray,
    random: np.random.Generator,
    may_rest: bool = True,
) -> Laws:
    """Return one law for each draw of the measured errors.

    Where no law goes through the points within their spread, the spread is taken to be as wide as
    the best one is off: what has bent the curve below may bend it above.

    Args:
        sizes: images that were learnt, (points,), rising.
        errors: shares of wrong answers, (draws, points), each row as it might have been measured.
        spread: standard deviation of each point about a smooth curve, (points,).
        random: of that spread, and of which exponent a draw gets, of those that explain it.
        may_rest: whether an error may remain however many images there are.
    """
    spread = np.maximum(spread, 1e-6)
    misfit = _try_exponents(sizes, errors.mean(axis=0)[None], spread, may_rest)[2].min()
    spread = spread * max(1.0, np.sqrt(misfit / max(1, len(sizes) - 2)))
    drawn = errors + random.normal(0, spread, errors.shape)
    floors, scales, misfits = _try_exponents(sizes, drawn, spread, may_rest)
    chances = np.exp(-(misfits - misfits.min(axis=0)) / 2)
    chances /= chances.sum(axis=0)
    chosen = (chances.cumsum(axis=0) < random.random(len(errors))).sum(axis=0)
    chosen = np.minimum(chosen, len(EXPONENTS) - 1)
    draws = np.arange(len(errors))
    return Laws(floors[chosen, draws], scales[chosen, draws], EXPONENTS[chosen])


def _try_exponents(
    sizes: np.ndarray, errors: np.ndarray, spread: np.ndarray, may_rest: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a, b and the weighted sum of squares, each (exponents, draws), by least squares."""
    share = spread**-2.0 / (spread**-2.0).sum()  # weights of the points
    power = sizes.astype(float) ** -EXPONENTS[:, None]  # (exponents, points)
    mean_power, mean_error = power @ share, errors @ share
    off = power - mean_power[:, None]
    scale = ((off * share) @ errors.T) / ((off**2) @ share)[:, None]  # Σ off is 0
    scale = np.maximum(scale, 0.0)
    floor = mean_error - scale * mean_power[:, None]
    alone = ((power * share) @ errors.T) / ((power**2) @ share)[:, None]  # with no floor
    bare = (floor < 0) | (not may_rest)
    floor, scale = np.where(bare, 0.0, floor), np.where(bare, alone, scale)
    rest = errors - floor[..., None] - scale[..., None] * power[:, None]  # (…, draws, points)
    return floor, scale, (rest**2 / spread**2).sum(axis=2)


def estimate(draws: np.ndarray, noise: float = 0.0) -> Estimate:
    """Return the median of some draws, and the ends between which LEVEL of them lie.

    Args:
        draws: (draws,).
        noise: standard deviation of what comes on top, such as that of a test set; it widens the
            interval to either side.
    """
    middle, low, high = np.quantile(draws, [0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2])
    more = 1.645 * noise  # a normal deviate beyond which 5 % lie
    below, above = np.hypot(middle - low, more), np.hypot(high - middle, more)
    return Estimate(float(middle), float(middle - below), float(middle + above))
