"""Relative rules: the challenger against the champion on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from components.common.artifacts.metrics import is_less_better
from components.common.artifacts.predictions import Predictions
from components.common.statistics.bootstrap import number_groups
from components.common.statistics.losses import compute_losses
from components.common.statistics.paired import Gain, compare_gaps
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
from components.promote.gate.sharing import share_images
from components.promote.spec import COSTS, Rule

POWER = 0.8  # the images needed are those that would show a true difference this often
# A comparison on a remnant says little of today's images.
MIN_SHARED = 0.5


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
        words = f"{_name(champion)} was measured on other test images"
        if challenger.predictions is not None and evidence.predictions is not None:
            words += share_images(challenger.predictions, evidence.predictions).differences
        return answer(INCOMPARABLE, words)
    if reason := challenger.unmeasured.get(rule.metric):
        return answer(TOO_FEW, f"not enough evidence: {reason}")
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
    if rule.metric == COSTS and not challenger.costs:
        return answer(TOO_FEW, "not enough evidence: evaluate.costs names no costs to compare")
    shared = share_images(challenger.predictions, evidence.predictions)
    ours, theirs = shared.ours, shared.theirs
    if not len(ours) or len(ours) < MIN_SHARED * shared.whole:
        words = f"{_name(champion)} was measured on other test images"
        same = f"{len(ours):,} of {shared.whole:,} are the same{shared.differences}"
        return answer(INCOMPARABLE, f"{words}: {same}")
    gain = compute_gain(rule, ours, theirs, challenger.costs)
    outcome, rest, needed = weigh(rule, gain, len(ours), count_groups(ours))
    side = "better" if gain.value >= 0 else "worse"
    words = (
        f"{rule.metric} is {abs(gain.value):.4g} {side} than the champion's on {len(ours):,} same "
        f"images ({rest}){shared.differences}"
    )
    if outcome == TOO_FEW:
        words = f"not enough evidence: {words}; some {needed:,} images would be needed"
    return answer(
        outcome,
        words,
        interval=[gain.low, gain.high],
        images=len(ours),
        images_needed=needed,
        p_value=gain.p_better,
    )


def weigh(rule: Rule, gain: Gain, images: int, groups: int) -> tuple[str, str, int | None]:
    """Return the outcome of a paired rule, what it rests on, and the images needed to tell.

    Args:
        rule: with `better_by` or `not_worse_by`.
        gain: of the challenger.
        images: on which it was measured.
        groups: of these images.
    """
    bound = rule.threshold if rule.limit == "better_by" else -rule.threshold
    if bound == 0 and rule.limit == "better_by":
        test = f"p = {gain.p_better:.3g} over {groups:,} groups"
        if groups == images:
            name = "McNemar" if rule.metric == "accuracy" else "sign-flip"
            test = f"{name} p = {gain.p_better:.3g}"
        shown, rest = gain.low > 0, test
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


def find_groups(ours: Predictions) -> np.ndarray | None:
    """Return the number of each image's group; None where the evaluation knew of none."""
    return number_groups(ours.groups) if ours.groups else None


def count_groups(ours: Predictions) -> int:
    """Return how many groups the images are of."""
    return len(set(ours.groups)) if ours.groups else len(ours)


def compute_gain(
    rule: Rule,
    ours: Predictions,
    theirs: Predictions,
    costs: Mapping[tuple[str, str], float] | None = None,
) -> Gain:
    """Return the gain in a rule's metric, with a two-sided interval of level 1 - 2·level.

    Each metric is a mean over the images of what each adds to it, so one test serves all
    (:mod:`components.common.statistics.paired`). The groups are those of our evaluation, which is
    the newer one.
    """
    if rule.metric == "accuracy":
        gaps = ours.correct.astype(np.int64) - theirs.correct
    elif rule.metric == "log_loss":
        mine, other = (-compute_losses(one.probabilities, one.labels) for one in (ours, theirs))
        gaps = mine - other
    elif rule.metric == COSTS:
        paid, other = (_list_paid(costs or {}, one) for one in (ours, theirs))
        gaps = other - paid
    else:
        mine, other = (_spread_macro(rule.metric, one) for one in (ours, theirs))
        gaps = mine - other
    return compare_gaps(gaps, find_groups(ours), 1 - 2 * rule.level)


def _list_paid(costs: Mapping[tuple[str, str], float], found: Predictions) -> np.ndarray:
    """Return what the answer on each image costs, (images,).

    The champion may answer with a class that is no more: as a mistake without a price, it costs 1.
    """
    names = found.class_names
    table = [[costs.get((one, other), float(one != other)) for other in names] for one in names]
    return np.asarray(np.array(table)[found.labels, found.predicted])


def _spread_macro(metric: str, found: Predictions) -> np.ndarray:
    """Return a macro average as values of the images whose mean it is, (images,).

    Of an average that is no mean, such as F1, each image has the average itself and what one more
    such image would change (its influence, Hampel 1974), which sums to 0.

    Args:
        metric: `macro.f1` or `macro.recall`; classes without images are left out.
        found: the predictions.
    """
    labels, predicted, classes = found.labels, found.predicted, len(found.class_names)
    actual = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[found.correct], minlength=classes)
    answered = np.bincount(predicted, minlength=classes)
    seen = actual > 0
    weight = len(labels) / seen.sum()
    if metric == "macro.recall":
        return np.asarray(weight * found.correct / actual[labels])
    # F1 = 2 · hits / (actual + answered), of classes with images.
    below = np.maximum(actual + answered, 1)
    f1 = np.where(seen, 2 * hits / below, 0.0)
    change = -np.where(seen, f1 / below, 0.0)
    own = 2 * found.correct / below[labels] + change[labels] + change[predicted]
    return np.asarray(f1.sum() / seen.sum() + weight * own)


def _name(champion: Champion) -> str:
    return f"the champion, version {champion.version},"
