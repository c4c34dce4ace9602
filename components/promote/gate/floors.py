"""Absolute rules: a floor or a ceiling for the challenger's own figures, whole or part by part."""

from __future__ import annotations

import math

from components.promote.gate.evidence import Evidence
from components.promote.gate.outcomes import (
    FAILED,
    PASSED,
    SKIPPED,
    TOLERANCE,
    TOO_FEW,
    Champion,
    Outcome,
    create_outcome,
)
from components.promote.spec import Rule


def judge_absolute(rule: Rule, challenger: Evidence, champion: Champion | None) -> Outcome:
    """Judge a floor or a ceiling.

    The end of an interval that misses, while the figure itself would hold, is no proof against the
    challenger: then the evidence is not enough, and more images might bring it.
    """
    if rule.each:
        return _judge_parts(rule, challenger, champion)
    if reason := challenger.unmeasured.get(rule.metric):
        words = f"not enough evidence: {reason}"
        return create_outcome(rule, challenger, champion, TOO_FEW, words)
    if rule.metric not in challenger.figures:  # a figure of the served model, which did not answer
        words = f"{rule.metric} could not be measured"
        return create_outcome(rule, challenger, champion, FAILED, words)
    figure = challenger.figures[rule.metric]
    if _holds(rule, figure):
        words = f"{rule.metric} {figure:.4g} is {_describe_limit(rule)}"
        return create_outcome(rule, challenger, champion, PASSED, words)
    words = f"{rule.metric} {figure:.4g} is not {_describe_limit(rule)}"
    needed = _count_images_needed(rule, challenger)
    if needed is None:
        return create_outcome(rule, challenger, champion, FAILED, words)
    name = rule.metric.rpartition(".")[0]
    words = (
        f"not enough evidence: {words}, though {name} {challenger.figures[name]:.4g} is; some "
        f"{needed:,} test images would be needed"
    )
    return create_outcome(rule, challenger, champion, TOO_FEW, words, images_needed=needed)


def _judge_parts(rule: Rule, challenger: Evidence, champion: Champion | None) -> Outcome:
    parts = list(challenger.list_parts(rule.each, rule.metric))
    judged = [part for part in parts if part[2] >= rule.min_images]
    small = [part for part in parts if part[2] < rule.min_images]

    def answer(outcome: str, words: str, **more: object) -> Outcome:
        return create_outcome(rule, challenger, champion, outcome, words, **more)

    lacking = [part for part in challenger.list_unmeasured_parts(rule.each, rule.metric) if part[2]]
    unsure = [part for part in lacking if part[2] >= rule.min_images]
    if not parts and not lacking:
        return answer(SKIPPED, f"{rule.metric}: the evaluation has no {rule.each} with it")
    if not judged and not unsure and rule.small == "skip":
        most = max(part[2] for part in (*parts, *lacking))
        words = (
            f"not enough evidence: none of {len(parts) + len(lacking)} {rule.each} has the "
            f"{rule.min_images} test images that the rule `{rule.words}` wants (the largest has "
            f"{most}); it is there so "
            "that no weak part hides behind the mean. More images, or for a small set "
            f"`min_images: {most}` or `small: test` in that rule, let it be judged"
        )
        return answer(TOO_FEW, words, images_needed=rule.min_images)
    weak = _find_shown_weak(rule, small) if rule.small == "test" else []
    left_out = _describe_small(rule, small) if small and not weak else ""
    # The worst comes first; NaN is worse than all.
    judged.sort(key=lambda part: (not math.isnan(part[1]), part[1]), reverse=False)
    if rule.limit == "at_most":
        judged.sort(key=lambda part: (math.isnan(part[1]), part[1]), reverse=True)
    bad = [part for part in judged if not _holds(rule, part[1])] + weak
    if unsure and not bad:
        return answer(TOO_FEW, _describe_unsure(rule, unsure))
    worst = (bad or judged or sorted(small, key=lambda part: part[1]))[0]
    more: dict[str, object] = {"figure": worst[1], "images": worst[2], "interval": None}
    if not bad and not judged:
        return answer(
            PASSED, f"{rule.metric} by {rule.each}: {left_out.removeprefix('; ')}", **more
        )
    if not bad:
        words = (
            f"{rule.metric} is {_describe_limit(rule)} in each of {len(judged)} {rule.each}, worst "
            f"{worst[0]} {worst[1]:.4g}{left_out}"
        )
        return answer(PASSED, words, **more)
    named = ", ".join(f"{part[0]} {part[1]:.4g} ({part[2]:,} images)" for part in bad[:3])
    named += f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    words = f"{rule.metric} is not {_describe_limit(rule)} in {rule.each} {named}{left_out}"
    return answer(FAILED, words, **more)


def _find_shown_weak(
    rule: Rule, parts: list[tuple[str, float, int]]
) -> list[tuple[str, float, int]]:
    """Return the parts whose share is below the floor, and not by luck: the worst first.

    The exact one-sided binomial test of each at `level`, shared out among them (Bonferroni).
    """
    from scipy.stats import binom

    hits = [(part, round(part[1] * part[2])) for part in parts if not math.isnan(part[1])]
    weak = [
        part
        for part, count in hits
        if binom.cdf(count, part[2], rule.threshold) <= rule.level / len(hits)
    ]
    return sorted(weak, key=lambda part: part[1])


def _describe_unsure(rule: Rule, parts: list[tuple[str, str, int]]) -> str:
    reasons = "; ".join(f"{why} ({images:,})" for _, why, images in parts[:3])
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    most = max(images for _, _, images in parts)
    return (
        f"not enough evidence: {reasons}{more}; more images, or `min_images: {most + 1}` in the "
        f"rule `{rule.words}`, which then leaves such {rule.each} out"
    )


def _describe_small(rule: Rule, small: list[tuple[str, float, int]]) -> str:
    few = f"; {len(small)} with fewer than {rule.min_images} images "
    if rule.small == "skip":
        return f"{few}not judged"
    return f"{few}tested: none is shown to be below {rule.threshold:g} at level {rule.level:g}"


def _holds(rule: Rule, figure: float) -> bool:
    gap = figure - rule.threshold if rule.limit == "at_least" else rule.threshold - figure
    return gap >= -TOLERANCE  # NaN is no pass


def _describe_limit(rule: Rule) -> str:
    return f"{rule.limit.replace('_', ' ')} {rule.threshold:g}"


def _count_images_needed(rule: Rule, challenger: Evidence) -> int | None:
    """Return how many images would bring an interval's end past the limit; None: none would.

    An interval's half narrows with the square root of the images.
    """
    name, _, end = rule.metric.rpartition(".")
    figure, images = challenger.figures.get(name), challenger.figures.get("images")
    wanted = {"at_least": "low", "at_most": "high"}[rule.limit]
    if end != wanted or figure is None or not images or not _holds(rule, figure):
        return None
    half, room = abs(figure - challenger.figures[rule.metric]), abs(figure - rule.threshold)
    if room <= TOLERANCE:
        return None
    return math.ceil(images * (half / room) ** 2)
