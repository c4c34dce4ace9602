"""Two models on the same images: which is better, and might that be luck?

Everything rests on one test. Of equal models each group of images might as well have favoured the
other, so the signs of the groups' differences are flipped (the sign-flip permutation test). The
sum of the differences under all flips says how likely so great a gain is by luck, and the means of
random halves of the groups are its interval (typical values, Hartigan 1969), which is the same test
at every other gain: so p-value and interval never contradict each other. Where each image is a
group of its own and the figure is accuracy, this is the exact test of McNemar (1947); with groups
it is the exact form of the clustered test of Durkalski et al. (2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.common.statistics.shares import compute_wilson, count_effective

SEED = 0  # the same images give the same intervals
HALVES = 3999  # random halves of the groups; with one more, tails of 2.5 and 5 % are whole numbers
CHUNK = 8_000_000  # halves × groups held at once
MOST_PRODUCTS = 50_000_000  # of a convolution done by hand, which is exact; about 0.1 s
ROUNDING = 1e-12  # a tail of 5 % is no exact number


@dataclass(frozen=True)
class Comparison:
    """What became of the same images under two models, ours and theirs."""

    images: int
    both_right: int
    won: int  # ours is right, theirs is wrong
    lost: int  # ours is wrong, theirs is right
    both_wrong: int
    difference: float  # accuracy of ours minus accuracy of theirs
    low: float  # ends of the interval of the difference
    high: float
    p_value: float  # two-sided: that equal models differ by as much


@dataclass(frozen=True)
class Gain:
    """How much better one model is than another, and whether that is luck."""

    value: float
    low: float
    high: float
    error: float  # standard error of the value
    p_value: float  # two-sided, that equal models differ by as much
    p_better: float  # one-sided, that models as good show such a gain


def compare(
    ours: np.ndarray,
    theirs: np.ndarray,
    groups: np.ndarray | None = None,
    level: float = 0.95,
) -> Comparison:
    """Compare two models by which images each names correctly.

    Args:
        ours: bool (images,), whether our model is right.
        theirs: bool (images,), whether the other model is right on the same images.
        groups: int64 (images,), see :func:`~components.common.statistics.bootstrap.draw_weights`;
            None: each image is a group of its own.
        level: of the interval, such as 0.95.
    """
    ours, theirs = np.asarray(ours, bool), np.asarray(theirs, bool)
    gain = compare_gaps(ours.astype(np.int64) - theirs, groups, level)
    return Comparison(
        images=len(ours),
        both_right=int((ours & theirs).sum()),
        won=int((ours & ~theirs).sum()),
        lost=int((~ours & theirs).sum()),
        both_wrong=int((~ours & ~theirs).sum()),
        difference=gain.value,
        low=gain.low,
        high=gain.high,
        p_value=gain.p_value,
    )


def compare_gaps(gaps: np.ndarray, groups: np.ndarray | None = None, level: float = 0.95) -> Gain:
    """Test whether the mean of the gaps is 0, and return its interval.

    The interval leaves out 0 just where the two-sided p-value is at most 1 - level, and its lower
    end lies above 0 just where the one-sided one is at most half of that.

    Args:
        gaps: (images,), of each image a figure of ours minus that of theirs. Whole numbers, such as
            right minus right (-1, 0, 1), get an exact p-value.
        groups: int64 (images,), as in :func:`compare`.
        level: of the interval, two-sided.
    """
    gaps = np.asarray(gaps)
    groups = np.arange(len(gaps)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(groups).astype(np.float64)  # (groups,)
    sums = np.bincount(groups, gaps)  # (groups,)
    value = float(sums.sum() / len(gaps))
    halves = np.sort(_draw_halves(sums, sizes))
    is_counted = bool(np.isin(gaps, (-1, 0, 1)).all())
    if is_counted:
        better, worse = _count_flips(np.rint(sums).astype(np.int64))
    else:
        better, worse = (float((side <= 0).sum() + 1) / (HALVES + 1) for side in (halves, -halves))
    tail = (1 - level) / 2 + ROUNDING
    low, high = _take_end(halves, better, tail), -_take_end(-halves[::-1], worse, tail)
    if is_counted:
        # Few images won or lost show less spread than there is: either share may be as high as
        # Wilson's interval allows. What the test has shown stays shown.
        wide_low, wide_high = _combine_shares(gaps, groups, level)
        low = low if better <= tail else min(low, wide_low)
        high = high if worse <= tail else max(high, wide_high)
    spread = ((sums - value * sizes) ** 2).sum() * len(sums) / max(len(sums) - 1, 1)
    return Gain(
        value=value,
        low=float(low),
        high=float(high),
        error=float(np.sqrt(spread) / len(gaps)),
        p_value=min(1.0, 2 * min(better, worse)),
        p_better=better,
    )


def _draw_halves(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the mean gap of random halves of the groups, (HALVES,); of none of them, 0."""
    random = np.random.default_rng(SEED)
    columns = np.stack([sums, sizes], axis=1)  # (groups, 2)
    rows, found = max(1, CHUNK // len(sums)), []
    for start in range(0, HALVES, rows):
        shape = min(rows, HALVES - start), len(sums)
        found.append(random.integers(0, 2, shape, np.int8).astype(np.float64) @ columns)
    gap, images = np.concatenate(found).T
    return np.asarray(np.divide(gap, images, out=np.zeros_like(gap), where=images > 0))


def _count_flips(sums: np.ndarray) -> tuple[float, float]:
    """Return the share of flips of signs whose sum is at least, and at most, the one seen.

    All flips are counted: groups of one size are a binomial distribution, and those of the sizes
    are convolved.

    Args:
        sums: int64 (groups,), images won minus images lost of each group.
    """
    from scipy.signal import fftconvolve
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    chances, total = np.ones(1), int((sizes * counts).sum())
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        small = len(chances) * len(steps) < MOST_PRODUCTS
        chances = np.convolve(chances, steps) if small else fftconvolve(chances, steps)
    chances = (chances + chances[::-1]) / 2  # symmetric but for rounding
    seen, least = int(sums.sum()), 0.5 ** min(int(counts.sum()), 1000)
    # The first place is the sum -total. Fourier's rounding can give less than one flip of all.
    ends = (float(chances[total + one :].sum()) for one in (seen, -seen))
    better, worse = (min(1.0, max(least, one)) for one in ends)
    return better, worse


def _take_end(halves: np.ndarray, p_value: float, tail: float) -> float:
    """Return the lower end of the interval: above 0 just where the p-value is at most the tail.

    Args:
        halves: (halves,), sorted.
        p_value: one-sided, that the mean is 0 or less.
        tail: chance that the mean lies below.
    """
    end = float(halves[max(int(tail * (len(halves) + 1)) - 1, 0)])
    if p_value > tail:
        return min(end, 0.0)
    above = halves[halves > 0]
    return end if end > 0 or not len(above) else float(above[0])


def _combine_shares(gaps: np.ndarray, groups: np.ndarray, level: float) -> tuple[float, float]:
    """Return the interval of the share won minus the share lost, from Wilson's of each.

    Their distances from the shares are added as variances are (Zou and Donner 2008), with the
    correlation that shares of one sample have.
    """
    count = count_effective(gaps, groups)
    won, lost = float((gaps > 0).mean()), float((gaps < 0).mean())
    (won_low, won_high), (lost_low, lost_high) = (
        compute_wilson(share, count, level) for share in (won, lost)
    )
    rest = (1 - won) * (1 - lost)
    tie = float(np.sqrt(won * lost / rest)) if rest else 1.0

    def reach(one: float, other: float) -> float:
        return float(np.sqrt(one**2 + other**2 + 2 * tie * one * other))

    low = won - lost - reach(won - won_low, lost_high - lost)
    return max(-1.0, low), min(1.0, won - lost + reach(won_high - won, lost - lost_low))
