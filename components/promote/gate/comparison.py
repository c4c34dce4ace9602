"""Relative rules: the challenger against the champion on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from components.common.artifacts.metrics import is_less_better
from components.common.artifacts.predictions import Predictions
from components.common.statistics.bootstrap import SEED, draw_weights
from components.common.statistics.losses import compute_losses
from components.common.statistics.paired import compute_difference_interval
from components.common.statistics.weighted import score_classes
from components.promote.gate.evidence import Evidence
from components.promote.gate.outcomes import (
    FAILED,
    INCOMPARABLE,
    PASSED,
    SKIPPED,
    TOLERANCE,
    TOO_FEW,
    Champion,
    Outcome,
    create_outcome,
)
from components.promote.spec import Rule

POWER = 0.8  # the images needed are those that would show a true difference this often
RESAMPLES = 4000
# A comparison on a remnant says little of today's images.
MIN_SHARED = 0.5


@dataclass(frozen=True)
class Gain:
    """How much better the challenger is than the champion, in the metric's own unit."""

    value: float  # above 0 is better, also where less is better
    low: float  # it is at least this, but for a chance of `level`
    high: float
    error: float  # standard error of the value
    p_value: float | None  # one-sided, that models as good would show such a gain


def judge_relative(rule: Rule, challenger: Evidence, champion: Champion | None) -> Outcome:
    """Judge a rule that names the champion; without one it is skipped."""

    def answer(outcome: str, words: str) -> Outcome:
        return create_outcome(rule, challenger, champion, outcome, words)

    if champion is None:
        return answer(SKIPPED, f"{rule.metric}: no champion yet to compare with")
    if champion.is_challenger:
        return answer(SKIPPED, f"{rule.metric}: it is the champion itself")
    if champion.evidence is None:
        return answer(INCOMPARABLE, f"{_name(champion)} has no evaluation to compare with")
    judge = _judge_margin if rule.limit == "champion_margin" else _judge_paired
    return judge(rule, challenger, champion, champion.evidence)


def _judge_margin(
    rule: Rule, challenger: Evidence, champion: Champion, evidence: Evidence
) -> Outcome:
    def answer(outcome: str, words: str) -> Outcome:
        return create_outcome(rule, challenger, champion, outcome, words)

    if evidence.test_digest != challenger.test_digest:
        return answer(INCOMPARABLE, f"{_name(champion)} was measured on other test images")
    theirs = evidence.figures.get(rule.metric)
    if theirs is None:
        return answer(INCOMPARABLE, f"{_name(champion)} was measured without {rule.metric}")
    figure = challenger.figures[rule.metric]
    worse = figure - theirs if is_less_better(rule.metric) else theirs - figure
    holds = worse <= rule.threshold + TOLERANCE
    compared = (
        "equals"
        if abs(worse) <= TOLERANCE
        else f"is {abs(worse):.4g} {'worse' if worse > 0 else 'better'} than"
    )
    words = f"{rule.metric} {figure:.4g} {compared} the champion's {theirs:.4g}"
    wanted = (
        f", at most {rule.threshold:g} worse is allowed"
        if rule.threshold >= 0
        else (f", at least {-rule.threshold:g} better is wanted")
    )
    return answer(PASSED if holds else FAILED, words if holds else words + wanted)


def _judge_paired(
    rule: Rule, challenger: Evidence, champion: Champion, evidence: Evidence
) -> Outcome:
    def answer(outcome: str, words: str, **more: object) -> Outcome:
        return create_outcome(rule, challenger, champion, outcome, words, **more)

    if challenger.predictions is None or evidence.predictions is None:
        return answer(INCOMPARABLE, f"{_name(champion)} has no predictions to compare with")
    ours, theirs = share_images(challenger.predictions, evidence.predictions)
    whole = max(len(challenger.predictions), len(evidence.predictions))
    if len(ours) < MIN_SHARED * whole:
        words = f"{_name(champion)} was measured on other test images"
        return answer(INCOMPARABLE, f"{words}: {len(ours):,} of {whole:,} are the same")
    gain = compute_gain(rule, ours, theirs)
    outcome, rest, needed = weigh(rule, gain, len(ours))
    side = "better" if gain.value >= 0 else "worse"
    words = (
        f"{rule.metric} is {abs(gain.value):.4g} {side} than the champion's on {len(ours):,} same "
        f"images ({rest})"
    )
    if outcome == TOO_FEW:
        words = f"not enough evidence: {words}; some {needed:,} images would be needed"
    return answer(
        outcome,
        words,
        interval=[gain.low, gain.high],
        images=len(ours),
        images_needed=needed,
        p_value=gain.p_value,
    )


def weigh(rule: Rule, gain: Gain, images: int) -> tuple[str, str, int | None]:
    """Return the outcome of a paired rule, what it rests on, and the images needed to tell.

    Args:
        rule: with `better_by` or `not_worse_by`.
        gain: of the challenger.
        images: on which it was measured.
    """
    bound = rule.threshold if rule.limit == "better_by" else -rule.threshold
    if gain.p_value is not None and bound == 0 and rule.limit == "better_by":
        shown, rest = gain.p_value <= rule.level, f"McNemar p = {gain.p_value:.3g}"
    else:
        shown, rest = gain.low > bound, f"at least {gain.low:+.4g} at level {rule.level:g}"
    wanted = (
        f"more than {bound:g} better is wanted"
        if rule.limit == "better_by"
        else f"less than {rule.threshold:g} worse is allowed"
    )
    if shown:
        return PASSED, rest, None
    if gain.value <= bound + TOLERANCE:
        return FAILED, f"{rest}, {wanted}", None
    from scipy.stats import norm

    reach = norm.isf(rule.level) + norm.ppf(POWER)
    needed = math.ceil(images * (gain.error * reach / (gain.value - bound)) ** 2)
    return TOO_FEW, f"{rest}, {wanted}", max(needed, images + 1)


def share_images(ours: Predictions, theirs: Predictions) -> tuple[Predictions, Predictions]:
    """Return the rows of both for the images that both saw under the same label, in one order."""

    def place(found: Predictions) -> dict[tuple[str, str], int]:
        names = found.class_names
        keys = zip(found.sha256, found.labels, strict=True)
        return {(digest, names[label]): row for row, (digest, label) in enumerate(keys)}

    if ours.class_names != theirs.class_names:
        return take(ours, []), take(theirs, [])
    mine, other = place(ours), place(theirs)
    common = [key for key in mine if key in other]
    return take(ours, [mine[key] for key in common]), take(theirs, [other[key] for key in common])


def take(found: Predictions, rows: list[int]) -> Predictions:
    """Return some rows of predictions."""
    index = np.array(rows, np.int64)
    return replace(
        found,
        paths=[found.paths[row] for row in rows],
        sha256=[found.sha256[row] for row in rows],
        labels=found.labels[index],
        logits=found.logits[index],
        probabilities=found.probabilities[index],
    )


def compute_gain(rule: Rule, ours: Predictions, theirs: Predictions) -> Gain:
    """Return the gain in a rule's metric, with a two-sided interval of level 1 - 2·level.

    Accuracy: the exact one-sided McNemar test (1947) against "no better"; all else by the paired
    percentile bootstrap over images.
    """
    level = 1 - 2 * rule.level
    if rule.metric == "accuracy":
        return _compute_accuracy_gain(ours, theirs, level)
    if rule.metric in ("macro.f1", "macro.recall"):
        return _compute_macro_gain(rule.metric, ours, theirs, level)
    mine, other = (-compute_losses(one.probabilities, one.labels) for one in (ours, theirs))
    low, high = compute_difference_interval(mine, other, level=level, resamples=RESAMPLES)
    gap = mine - other
    return Gain(float(gap.mean()), low, high, _compute_error(gap), None)


def _compute_accuracy_gain(ours: Predictions, theirs: Predictions, level: float) -> Gain:
    from scipy.stats import binomtest

    gap = ours.correct.astype(float) - theirs.correct.astype(float)  # -1, 0, 1
    images, won, lost = len(gap), int((gap > 0).sum()), int((gap < 0).sum())
    if not won + lost:
        low, high = compute_difference_interval(gap, 0 * gap, level=level)
        return Gain(0.0, low, high, 0.0, 1.0)
    p_value = float(binomtest(won, won + lost, 0.5, alternative="greater").pvalue)
    # Of gaps that are -1, 0 or 1 a resample is a multinomial draw of how many there are of each.
    shares = np.array([won, lost, images - won - lost]) / images
    drawn = np.random.default_rng(SEED).multinomial(images, shares, RESAMPLES)
    gains = (drawn[:, 0] - drawn[:, 1]) / images
    low, high = np.percentile(gains, (50 * (1 - level), 50 * (1 + level)))
    return Gain(float(gap.mean()), float(low), float(high), _compute_error(gap), p_value)


def _compute_error(gap: np.ndarray) -> float:
    return float(gap.std(ddof=1) / math.sqrt(len(gap))) if len(gap) > 1 else 0.0


def _compute_macro_gain(metric: str, ours: Predictions, theirs: Predictions, level: float) -> Gain:
    images = np.arange(len(ours))
    whole = np.ones((1, len(ours)))

    def measure(weights: np.ndarray) -> np.ndarray:
        mine = _compute_macro(metric, ours, weights)
        return np.asarray(mine - _compute_macro(metric, theirs, weights))

    value = float(measure(whole)[0])
    found = np.concatenate([measure(weights) for weights in draw_weights(images, RESAMPLES)])
    low, high = np.percentile(found, (50 * (1 - level), 50 * (1 + level)))
    return Gain(value, float(low), float(high), float(found.std()), None)


def _compute_macro(metric: str, found: Predictions, weights: np.ndarray) -> np.ndarray:
    """Return macro F1 or recall of each resample, (resamples,).

    Args:
        metric: `macro.f1` or `macro.recall`.
        found: the predictions.
        weights: (resamples, images), how often each image counts.
    """
    scores = score_classes(found.labels, found.predicted, weights, len(found.class_names))
    return scores.average(scores.recall if metric == "macro.recall" else scores.f1)


def _name(champion: Champion) -> str:
    return f"the champion, version {champion.version},"
