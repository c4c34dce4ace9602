"""From bootstrap resamples of a figure to the ends of its interval."""

from __future__ import annotations

import numpy as np

from components.common.statistics.shares import compute_wilson

Ends = tuple[float, float]

# Which bins are off is read from the same images, which costs some coverage: tails of 0.6 times
# their size give it back (benchmarks/evaluate.py).
TAILS = 0.6
HALVINGS = 20  # to a millionth of the ECE


def take_ends(resampled: np.ndarray, level: float, images: float | None = None) -> Ends:
    """Return the percentile interval of a figure.

    Args:
        resampled: (resamples,), the figure of each resample.
        level: such as 0.95.
        images: of a figure that lies between 0 and 1: how many images it rests on. Resamples of
            nothing but right answers show no spread; Wilson's interval of so many then stands in.
    """
    if images is not None and np.ptp(resampled) == 0 and resampled[0] in (0.0, 1.0):
        return compute_wilson(float(resampled[0]), images, level)
    low, high = np.percentile(resampled, (50 * (1 - level), 50 * (1 + level)))
    return float(low), float(high)


def take_logit_ends(estimate: float, resampled: np.ndarray, level: float, images: float) -> Ends:
    """Return the interval of an area under a curve: symmetric on the scale of the logit.

    Close to 1 percentiles lie too high; on that scale they hold (Boyd et al. 2013, Area under the
    Precision-Recall Curve: Point Estimates and Confidence Intervals).

    Args:
        estimate: the figure itself, 0 to 1.
        resampled: (resamples,), the figure of each resample.
        level: such as 0.95.
        images: as in :func:`take_ends`.
    """
    from scipy.special import expit, logit
    from scipy.stats import norm

    if not 0 < estimate < 1:
        return compute_wilson(estimate, images, level)
    reach = norm.ppf(0.5 + level / 2) * resampled.std() / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + np.array([-reach, reach]))
    return float(low), float(high)


def compute_ece_ends(gaps: np.ndarray, resampled: np.ndarray, level: float) -> Ends:
    """Return the interval of the expected calibration error, by inverting a test.

    The ECE of a sample is too high: noise of a bin never cancels that of another (Kumar et al.
    2019, Verified Uncertainty Calibration). So a true ECE is held possible if it, together with the
    noise that the resamples show, gives an ECE such as the one that was seen: the gaps of the bins
    are scaled by one factor, and the ends are where the ECE that was seen becomes too unlikely. 0
    is among them where noise alone can give as much.

    Args:
        gaps: (bins,), Σ (confidence - right) of the images of a bin, as a share of all images.
        resampled: (resamples, bins), the same of each resample.
        level: such as 0.95.
    """
    seen = float(np.abs(gaps).sum())
    if seen == 0:
        return 0.0, 0.0
    noise = resampled - gaps
    tail = 50 * (1 - level) * TAILS

    def find_factor(percentile: float) -> float:
        def compute(factor: float) -> float:
            return float(np.percentile(np.abs(factor * gaps + noise).sum(axis=1), percentile))

        low, high = 0.0, 2.0
        if compute(low) >= seen:
            return 0.0
        while compute(high) < seen:
            high *= 2
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if compute(middle) < seen else (low, middle)
        return high

    return find_factor(100 - tail) * seen, min(1.0, find_factor(tail) * seen)
