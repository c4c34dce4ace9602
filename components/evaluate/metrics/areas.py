"""ROC-AUC and average precision with intervals: of each class against the rest, and averaged."""

from __future__ import annotations

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.statistics.means import count_carrying
from components.common.statistics.shares import Sampling, blend_counts
from components.evaluate.metrics.ends import (
    Counts,
    Ends,
    compute_area_ends,
    compute_area_variance,
    take_share_ends,
)
from components.evaluate.metrics.evidence import FEWEST_CARRYING, FEWEST_WRONG
from components.evaluate.metrics.ranking import Ranking

AREAS = ROC_AUC, AVERAGE_PRECISION = "roc_auc", "average_precision"


def create_rankings(predictions: Predictions) -> dict[int, Ranking]:
    """Return the ranking of each class that has test images, where others have some too."""
    rankings = {}
    for i in range(len(predictions.class_names)):
        positive = predictions.labels == i
        if positive.any() and not positive.all():
            rankings[i] = Ranking(predictions.probabilities[:, i], positive)
    return rankings


def compute_ranked(
    rankings: dict[int, Ranking], weights: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """Return ROC-AUC and average precision, one against the rest, and their averages.

    Args:
        rankings: of :func:`create_rankings`.
        weights: (weightings, images), how often each image counts.
        classes: number of classes.

    Returns:
        `roc_auc` and `average_precision`: (weightings,); `class.roc_auc` and
        `class.average_precision`: (weightings, classes), NaN where there are not both kinds.
    """
    if not rankings:
        return {}
    columns = np.ascontiguousarray(weights.T)
    values = np.full((2, len(weights), classes), np.nan)
    for i, ranking in rankings.items():
        values[:, :, i] = ranking.compute(columns)
    figures = {}
    for name, each in zip(("roc_auc", "average_precision"), values, strict=True):
        known = each[:, list(rankings)]  # (weightings, classes); NaN where a resample has one kind
        counts = (~np.isnan(known)).sum(axis=1)
        sums = np.nansum(known, axis=1)
        figures[name] = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        figures[f"class.{name}"] = each
    return figures


def compute_ranked_ends(
    predictions: Predictions,
    label: int,
    ranking: Ranking | None,
    resampled: dict[str, np.ndarray],
    sampling: Sampling,
) -> dict[str, Ends]:
    """Return the intervals of the areas of one class; none without a ranking.

    Args:
        predictions: of the test split.
        label: of the class.
        ranking: of :func:`create_rankings`.
        resampled: `class.roc_auc` and `class.average_precision` of each resample.
        sampling: groups and level.
    """
    if ranking is None or f"class.{ROC_AUC}" not in resampled:
        return {}
    drawn = {name: resampled[f"class.{name}"][:, label] for name in AREAS}
    drawn = {name: values[~np.isnan(values)] for name, values in drawn.items()}
    own = predictions.labels == label
    return compute_class_areas(ranking, own, sampling.groups, drawn, sampling.level)


def compute_class_areas(
    ranking: Ranking,
    own: np.ndarray,
    groups: np.ndarray,
    drawn: dict[str, np.ndarray],
    level: float,
) -> dict[str, Ends]:
    """Return the intervals of one class's areas; none where too few groups carry them.

    Areas close to 1 hang on the few images that rank wrongly, and on those that were not drawn:
    let one label in a hundred be wrong, and no interval holds.

    Args:
        ranking: of the class.
        own: bool (images,), whether an image is of the class.
        groups: int64 (images,), the group of each image.
        drawn: ROC-AUC and average precision of each resample.
        level: such as 0.95.
    """
    positives, negatives = (len(np.unique(groups[of])) for of in (own, ~own))
    losses = zip((own, own, ~own), ranking.lose(), strict=True)
    carrying = [count_carrying(np.bincount(groups[side], each)) for side, each in losses]
    if min(positives, negatives) < FEWEST_CARRYING or _hang_on_few(carrying, groups):
        return {}
    estimates = [float(one[0]) for one in ranking.compute(np.ones((len(own), 1)))]
    area, average = estimates
    # Of images in groups as many are counted as the spread of the resamples speaks for, between
    # the groups and the images.
    share, spread = positives / own.sum(), float(drawn[ROC_AUC].var(ddof=1))
    if share < 1 and spread:
        known = compute_area_variance(area, float(own.sum()), float((~own).sum()))
        share = float(np.clip(blend_counts(known / spread, share, carrying[0]), share, 1))
    sides = share * own.sum(), max(share * (~own).sum(), negatives)
    counts = Counts(sure=positives, evidence=carrying[1] / 2)
    return {
        ROC_AUC: compute_area_ends(area, *sides, level),
        AVERAGE_PRECISION: take_share_ends(average, drawn[AVERAGE_PRECISION], level, counts),
    }


def compute_area_averages(
    predictions: Predictions,
    rankings: dict[int, Ranking],
    resampled: dict[str, np.ndarray],
    sampling: Sampling,
) -> dict[str, Ends]:
    """Return the intervals of the averages of the areas; none where too few groups carry them.

    Args:
        predictions: of the test split.
        rankings: of :func:`create_rankings`.
        resampled: the averages of each resample.
        sampling: groups and level.
    """
    labels, groups, level = predictions.labels, sampling.groups, sampling.level
    if ROC_AUC not in resampled or not rankings:
        return {}
    sizes = np.array([len(np.unique(groups[labels == i])) for i in rankings])
    others = np.array([len(np.unique(groups[labels != i])) for i in rankings])
    if len(rankings) ** 2 / (1 / np.minimum(sizes, others)).sum() < FEWEST_CARRYING:
        return {}
    once, count = np.ones((len(predictions), 1)), len(rankings)
    if count == 2:  # either class against the other: one and the same ROC-AUC
        label = next(iter(rankings))
        both = compute_ranked_ends(predictions, label, rankings[label], resampled, sampling)
        if not both:
            return {}
    areas, losses = np.zeros((2, count)), np.zeros((3, int(groups.max()) + 1))
    for place, (label, ranking) in enumerate(rankings.items()):
        own = labels == label
        areas[:, place] = [float(one[0]) for one in ranking.compute(once)]
        for row, (side, each) in enumerate(zip((own, own, ~own), ranking.lose(), strict=True)):
            losses[row] += np.bincount(groups[side], each / side.sum(), losses.shape[1])
    carrying = [count_carrying(each) for each in losses]
    if _hang_on_few(carrying, groups):
        return {}
    variance = sum(map(compute_area_variance, areas[0], sizes, others)) / count / (count - 1)
    alike = count**2 / (1 / sizes).sum()
    is_grouped = int(sizes.sum()) < len(predictions)
    found = {}
    for row, name in enumerate(AREAS):
        # Average precision of small classes is biased, and how alike a few groups are, unsure.
        if alike < FEWEST_CARRYING * count and (is_grouped or name == AVERAGE_PRECISION):
            continue
        estimate, sure = float(areas[row].mean()), float(alike)
        if name == ROC_AUC and variance:
            sure = max(sure, estimate * (1 - estimate) / variance)
        counts = Counts(sure=sure, evidence=carrying[row] / 2)
        found[name] = take_share_ends(estimate, resampled[name], level, counts)
    return found | ({ROC_AUC: both[ROC_AUC]} if count == 2 and both else {})


def _hang_on_few(carrying: list[float], groups: np.ndarray) -> bool:
    """Return whether too few misranked groups of a class, or of the others, make up the losses.

    Args:
        carrying: groups of the class and of the others (first and last) that would be as much.
        groups: int64 (images,); how much groups tell is less sure than how much images do.
    """
    is_grouped = len(np.unique(groups)) < len(groups)
    return min(carrying[0], carrying[-1]) < (FEWEST_CARRYING if is_grouped else FEWEST_WRONG)
