"""The figures in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.model import ModelCard
from components.evaluate.metrics.metrics import Confusion

CLASSES_NAMED = 5  # with a threshold of their own; metrics.json has all


def describe_errors(metrics: dict[str, Any]) -> str:
    """Return what the accuracy means: how many photos in 100 are misnamed."""
    low, high = metrics["intervals"]["accuracy"]
    mistakes, images = metrics["mistakes"], metrics["images"]
    if not mistakes:
        return (
            f"None of the {images:,} test photos was misnamed; on other photos like these, expect "
            f"at most {_count(1 - low, _choose_base(1 - low))} in {_choose_base(1 - low):,}."
        )
    rate, most = mistakes / images, 1 - low
    base = _choose_base(most)
    least = "up" if (1 - high) * base < 1 else _count(1 - high, base)
    return (
        f"About {_count(rate, _choose_base(rate))} in {_choose_base(rate):,} are misnamed; on "
        f"other photos like these, expect {least} to {_count(most, base)} in {base:,}."
    )


def describe_confusion(pairs: Sequence[Confusion]) -> str:
    """Return which classes are mixed up most; empty without mistakes."""
    if not pairs:
        return ""
    first = pairs[0]
    return (
        f"Most often confused: {first.actual} taken for {first.predicted} "
        f"({first.images:,} {'time' if first.images == 1 else 'times'})."
    )


def describe_calibration(metrics: dict[str, Any]) -> str:
    """Return what the calibration error means."""
    return _describe_bins(metrics["ece"], metrics["reliability"])


def describe_uncalibrated(metrics: dict[str, Any]) -> str:
    """Return what the error would be without calibration."""
    words = _describe_bins(metrics["uncalibrated"]["ece"], metrics["reliability_uncalibrated"])
    return f"Before calibration: {words[0].lower()}{words[1:]}"


def describe_scaling(card: ModelCard) -> str:
    """Return how the probabilities were calibrated."""
    fitted = "fitted on the validation split"
    if not card.scales:
        return f"The logits were divided by a temperature of {card.temperature:.2f}, {fitted}."
    low, high = (end / card.temperature for end in (min(card.scales), max(card.scales)))
    return (
        f"The logits of each class were scaled by a factor of its own ({low:.2f} to {high:.2f}) "
        f"and shifted (by {min(card.offsets):+.2f} to {max(card.offsets):+.2f}), {fitted}."
    )


def describe_rival(rival: dict[str, Any]) -> str:
    """Return how the model does against another on the same images."""
    if not rival["won"] and not rival["lost"]:  # as where the probe was kept
        return f"It is right and wrong where the {rival['name']} is ({rival['accuracy']:.1%})."
    low, high = rival["difference_interval"]
    verdict = "is better than"
    if low <= 0 <= high:
        verdict = "cannot be told from"
    elif high < 0:
        verdict = "is worse than"
    return (
        f"It {verdict} the {rival['name']} ({rival['accuracy']:.1%}): {rival['won']:,} images won, "
        f"{rival['lost']:,} lost, {100 * rival['difference']:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f}), p {say_p(rival['p_value'])}."
    )


def describe_class_threshold(one: dict[str, Any]) -> str:
    """Return from which probability on answers of one class may be given alone."""
    if one["bound"] is None:
        return (
            f"“{one['name']}” is never answered alone: {one['named']:,} answers that name it "
            f"cannot promise that at most {one['max_error']:.1%} are wrong."
        )
    return (
        f"“{one['name']}” is answered alone from {one['threshold']:.2f} on: {one['answered']:,} of "
        f"{one['named']:,} answers, {one['wrong']:,} wrong (at most {one['bound']:.1%}, "
        f"{one['max_error']:.1%} are allowed)."
    )


def describe_automation(metrics: dict[str, Any]) -> str:
    """Return from which probability on the model may answer alone."""
    below, found = metrics["unsure_below"], metrics["automated"]
    if own := metrics.get("unsure_below_classes"):
        return (
            f"{found['coverage']:.1%} of the images are answered alone, "
            f"{found['wrong'] or 0:.1%} of them wrongly. "
            + " ".join(describe_class_threshold(one) for one in own[:CLASSES_NAMED])
            + (f" And {len(own) - CLASSES_NAMED:,} more." if len(own) > CLASSES_NAMED else "")
        )
    if found["bound"] is None:
        return (
            f"{found['evidence']:,} test images cannot promise that at most "
            f"{found['max_error']:.1%} of the answers are wrong: none is given alone."
        )
    promise = (
        f"({found['max_error']:.1%} are allowed; at {found['confidence']:.0%} confidence at most "
        f"{found['bound']:.1%})"
    )
    if not below:
        return f"It may answer all images alone: {found['wrong']:.1%} are wrong {promise}."
    return (
        f"Sure from a probability of {below:.2f} on: {found['coverage']:.1%} of the images are "
        f"answered alone, {found['wrong']:.1%} of them wrongly {promise}."
    )


def describe_sets(metrics: dict[str, Any]) -> str:
    """Return what sets of classes are like, and what they promise."""
    found, classes = metrics["sets"], len(metrics["class_names"])
    if found["groups"] < found["groups_needed"]:
        return (
            f"Of {found['groups']:,} test images no set of classes can promise to hold the true "
            f"one {found['promised']:.0%} of the time: each holds all {classes:,}."
        )
    own = found["classes_promised"]
    rest = f", for each of {own:,} classes apart" if own else ", over all classes together"
    return (
        f"Sets of classes that hold the true one {found['promised']:.0%} of the time{rest}: "
        f"{found['mean_size']:.2f} classes on the average, {found['single']:.1%} of them a single "
        f"one; of images that had no say {found['held']:.1%} are in their set."
    )


def describe_unknown(metrics: dict[str, Any]) -> str:
    """Return what is made of images of no class."""
    found = metrics["unknown"]
    if "passed" not in found:
        return (
            f"Of {found['groups']:,} test images no limit can promise that {found['promised']:.0%} "
            "of those of known kinds pass: no image is called unknown."
        )
    wrong = ""
    if found["wrong"] is not None:
        wrong = f"; of these {found['wrong']:.1%} are misnamed"
    if found["wrong_beyond"] is not None:
        wrong += f", of the others {found['wrong_beyond']:.1%}"
    return (
        f"Images unlike those that it knows are called unknown: {found['passed']:.1%} of test "
        f"images that had no say in the limit pass ({found['promised']:.0%} are promised){wrong}."
    )


def describe_costs(metrics: dict[str, Any]) -> str:
    """Return what an answer costs; empty where no costs are set."""
    found = metrics.get("costs")
    if not found:
        return ""
    low, high = found["expected_interval"]
    text = (
        f"An answer costs {found['expected']:.4g} on the average ({low:.4g} to {high:.4g}); naming "
        f"the likeliest class would cost {found['likeliest']:.4g}."
    )
    if "with_review" not in found:
        return text
    low, high = found["with_review_interval"]
    return (
        f"{text} With {found['handed_over']:.1%} handed to a person it costs "
        f"{found['with_review']:.4g} ({low:.4g} to {high:.4g})."
    )


def describe_slices(metrics: dict[str, Any]) -> str:
    """Return which slices the model does worse on."""
    slices = metrics["slices"]
    judged = sum(one["is_judged"] for one in slices)
    worse = [one for one in slices if one["is_worse"]]
    if not worse:
        small = len(slices) - judged
        left = f"; {small} too small to judge" if small else ""
        return f"No slice of {judged} judged ones is worse than the others beyond luck{left}."
    names = ", ".join(
        f"{one['column']} {one['value']} ({one['accuracy']:.1%} of {one['images']:,})"
        for one in worse[:4]
    )
    more = f" and {len(worse) - 4} more" if len(worse) > 4 else ""
    return f"Worse, and not by luck: {names}{more}."


def describe_robustness(metrics: dict[str, Any]) -> str:
    """Return what spoilt images do to the accuracy."""
    clean = next(one["accuracy"] for one in metrics["robustness"] if not one["strength"])
    spoilt = [one for one in metrics["robustness"] if one["strength"]]
    worst = min(spoilt, key=lambda one: float(one["accuracy"]))
    return (
        f"On spoilt images {metrics['spoilt_accuracy']:.1%} of the answers are right, on the same "
        f"{worst['images']:,} unspoilt {clean:.1%}; worst: {worst['corruption']} at strength "
        f"{worst['strength']}, {worst['accuracy']:.1%}."
    )


def describe_sanity(sanity: dict[str, Any]) -> str:
    """Return whether the maps of Grad-CAM show what was learnt."""
    if sanity["correlation"] is None:
        return "Whether Grad-CAM's maps show what was learnt cannot be checked: they are flat."
    if sanity["passed"] is None:
        return (
            f"Whether Grad-CAM's maps show what was learnt cannot be told: {sanity['images']} maps "
            f"are too few (rank correlation {sanity['correlation']:.2f} when the weights are "
            "shuffled)."
        )
    outcome, advice = (
        ("change", "") if sanity["passed"] else ("hardly change", ": do not trust them")
    )
    return (
        f"Grad-CAM's maps {outcome} when the weights are shuffled (rank correlation "
        f"{sanity['correlation']:.2f} over {sanity['images']} images){advice}."
    )


def describe_cost(cost: dict[str, Any], latency: dict[str, Any]) -> str:
    """Return what the model costs, as counted and as timed."""
    flops = f", {cost['flops'] / 1e9:.2f} GFLOPs an image" if cost["flops"] else ""
    return (
        f"{cost['parameters'] / 1e6:.2f} M parameters, {cost['bytes'] / 1e6:.1f} MB{flops}; one "
        f"image in {latency['latency_ms']:.0f} ms (95th percentile "
        f"{latency['latency_p95_ms']:.0f}), {latency['batch_size']} in "
        f"{latency['batch_ms']:.0f} ms on {latency['device']}."
    )


def describe_mending(metrics: dict[str, Any]) -> str:
    """Return what a person's corrections changed and what came of it; empty without any."""
    found = metrics.get("corrections")
    if not found:
        return ""
    places = [f"{n:,} in {split}" for split, n in found["changed_in"].items() if n]
    text = (
        f"A person looked at labels: {found['changed']:,} changed"
        + (f" ({', '.join(places)})" if places else "")
        + f", {found['dropped']:,} photos dropped, {found['kept']:,} kept as they were."
    )
    if before := found["before"]:
        same = "the same" if before["test_digest"] == metrics["test_digest"] else "other"
        text += (
            f" Accuracy before: {before['accuracy']:.1%} on {before['images']:,} test photos; now "
            f"{metrics['accuracy']:.1%} on {metrics['images']:,}, under {same} labels."
        )
    if found["accuracy_by_old_labels"] is not None:
        text += (
            f" By the test labels as they were, {found['accuracy_by_old_labels']:.1%} of these "
            "answers would be right; as only mistakes were looked at there, the accuracy flatters "
            "a little."
        )
    return text


def say_ends(metrics: dict[str, Any], name: str) -> str:
    """Return the interval of a figure, or that there are too few images for one."""
    ends = metrics["intervals"].get(name)
    return "too few images for an interval" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def say_p(value: float) -> str:
    """Return a p-value as one writes it."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def find_doubts(card: ModelCard, dataset: Dataset) -> list[str]:
    """Return what a reader should know before trusting the figures."""
    learnt = card.digests.get("train")
    if learnt and learnt != dataset.splits["train"].digest:
        return [
            "The model was trained on another version of the data: it may have learnt from some of "
            "these test images, and the figures may flatter it."
        ]
    return []


def _count(rate: float, base: int) -> str:
    number = rate * base
    return f"{number:,.0f}" if number >= 0.5 or number == 0 else "less than 1"


def _choose_base(rate: float) -> int:
    """Return the smallest power of ten, at least 100, in which the rate is 1.5 or more."""
    base = 100
    while rate * base < 1.5 and base < 1_000_000:
        base *= 10
    return base


def _describe_bins(ece: float, bins: list[dict[str, Any]]) -> str:
    words = f"On average the probabilities are {100 * ece:.1f} percentage points off"
    used = [one for one in bins if one["images"]]
    lean = sum(one["images"] * (one["confidence"] - one["accuracy"]) for one in used)
    lean /= sum(one["images"] for one in used)
    if abs(lean) < 0.01:
        return f"{words}, to no one side."
    side = "it is surer than it should be" if lean > 0 else "it is right more often than it says"
    return f"{words}: {side}."
