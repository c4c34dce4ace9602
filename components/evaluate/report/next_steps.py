"""What to do next: the steps that would gain most, by figures that were measured.

A gain is of accuracy on a test like this one. What is not measured is not among them: nobody knows
what another backbone or larger photos would bring until it is tried.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.common.artifacts.curve import (
    CLASS,
    EVERYTHING,
    FINETUNED,
    FORECAST,
    LABELS,
    MEASURED,
    RECALL,
    CurvePoint,
)

SHOWN = 3
LEAST_GAIN = 0.0005  # less is 0.0 points as it is shown
# The files of `dvc repro`; from a cluster's run, or the registry, a model has another name.
FILES = [
    "--model models/model.keras",
    "--known data/manifest.parquet",
    "--metrics reports/metrics.json",
]


@dataclass(frozen=True)
class Step:
    """Something to do, and what it is expected to bring."""

    title: str
    gain: float  # accuracy, share
    low: float
    high: float
    why: str
    command: str
    link: str = ""  # a page or a part of this one that helps with it

    @property
    def points(self) -> str:
        """The gain in words."""
        return describe_gain(self.gain, self.low, self.high)


def list_steps(
    points: Sequence[CurvePoint], metrics: dict[str, Any], labels_page: str
) -> list[Step]:
    """Return the three steps that would gain most, the best first; fewer where fewer are known.

    Args:
        points: of learning_curve.csv. Most are about the probe: a model that makes fewer mistakes
            has less to gain, that share of the probe's gain. Of all classes together there may be
            some about the model itself.
        metrics: of metrics.json.
        labels_page: where labels can be mended, as an address in the report.
    """
    share = compare_with_probe(metrics)
    found = [
        *_list_photos(points, share),
        *_list_slices(metrics),
        *_list_labels(points, share, labels_page),
    ]
    return sorted((step for step in found if step.gain >= LEAST_GAIN), key=lambda step: -step.gain)[
        :SHOWN
    ]


def describe_steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return what metrics.json says of steps."""
    return [asdict(step) | {"points": step.points} for step in steps]


def compare_with_probe(metrics: dict[str, Any]) -> float:
    """Return the model's mistakes over those of the probe on the same images, at most 1."""
    probe = next((one for one in metrics["against"] if one["name"] == "probe"), None)
    if probe is None or probe["accuracy"] >= 1:
        return 1.0
    return float(min(1.0, (1 - metrics["accuracy"]) / (1 - probe["accuracy"])))


def list_forecasts(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Return what more photos of all classes would bring: to the model, else to the probe."""
    found = [one for one in points if one.kind == FORECAST]
    return [one for one in found if one.of == FINETUNED] or [
        one for one in found if one.of == EVERYTHING
    ]


def _list_photos(points: Sequence[CurvePoint], share: float) -> Iterator[Step]:
    """Yield more photos: of all classes, and of each that was looked at."""
    forecasts = list_forecasts(points)
    for one in forecasts[:1]:  # the amount that is about that of a class
        most, its = forecasts[-1], 1.0 if one.of == FINETUNED else share
        gain = describe_gain(its * most.gain, its * most.gain_low, its * most.gain_high)
        whose = "the model's own learning curve" if one.of == FINETUNED else "the learning curve"
        yield Step(
            f"Label {one.more:,} more photos, of all classes",
            its * one.gain,
            its * one.gain_low,
            its * one.gain_high,
            f"By {whose}; twice the photos would bring {gain}.",
            _create_command(f"--count {one.more}"),
            "#more",
        )
    recalls = {one.name: one for one in points if one.of == RECALL}
    for one in points:
        if one.of != CLASS:
            continue
        why = "Twice as many of them brought as much where there were fewer of all."
        if own := recalls.get(one.name):
            gain = describe_gain(own.gain, own.gain_low, own.gain_high)
            why = f"Its own recall, of the probe: {gain}."
        yield Step(
            f"Label {one.more:,} more photos of {one.name}",
            share * one.gain,
            share * one.gain_low,
            share * one.gain_high,
            why,
            _create_command(f"--of {shlex.quote(one.name)}", f"--count {one.more}"),
            "#more",
        )


def _create_command(*flags: str) -> str:
    """Return the command that chooses photos, a flag a line: a page then breaks none of them."""
    return " \\\n  ".join(["python -m components.predict suggest FOLDER", *FILES, *flags])


def _list_slices(metrics: dict[str, Any]) -> Iterator[Step]:
    """Yield photos like those of each slice that is worse: at best it becomes as good."""
    for one in metrics["slices"]:
        if not one["is_worse"]:
            continue
        most = -one["gap"] * one["images"] / metrics["images"]
        yield Step(
            f"Add photos like those of {one['column']} {one['value']}",
            most / 2,
            0.0,
            most,
            f"{one['accuracy']:.1%} of its {one['images']:,} are right; at best, as many as of the "
            "others.",
            "dvc repro  # with such photos in their class folders",
            "#slices",
        )


def _list_labels(points: Sequence[CurvePoint], share: float, page: str) -> Iterator[Step]:
    """Yield the mending of labels, where probes without the doubted ones were better."""
    for one in points:
        if one.of == LABELS:
            yield Step(
                f"Look at the {one.images:,} labels that look wrong",
                share * one.gain,
                share * one.gain_low,
                share * one.gain_high,
                "Without these photos the probe names the others so much better.",
                "dvc repro  # when data.corrections names what the page saved",
                page,
            )


def describe_gain(gain: float, low: float, high: float) -> str:
    """Return `+1.2 points (+0.4 to +2.1)`."""
    text = f"{100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    return text.replace("-", "−")


def describe_curve(points: Sequence[CurvePoint], reason: str, share: float) -> str:
    """Return what the curve says, or why there is none."""
    forecasts = list_forecasts(points)
    if not forecasts:
        return f"There is no learning curve: {reason}."
    last = forecasts[-1]
    gain = describe_gain(last.gain, last.gain_low, last.gain_high)
    if last.of == FINETUNED:
        parts = [one.images for one in points if one.of == FINETUNED and one.kind == MEASURED]
        counts = ", ".join(f"{images:,}" for images in parts)
        text = (
            f"The model itself was trained with {counts} photos; {last.more:,} more that are "
            f"labelled, mixed as these, would bring it {gain} on a test like this one."
        )
        if share < 1 and any(one.of in (CLASS, LABELS) for one in points):
            text += (
                " Of single classes and of labels only the probe's gains are known: the model "
                f"makes {share:.0%} of its mistakes, and is taken to gain that share of them."
            )
        return text
    now = last.images - last.more
    text = (
        f"The probe learnt {now:,} photos; {last.more:,} more, mixed as these, would bring it "
        f"{gain} on a test like this one."
    )
    if share < 1:
        text += (
            f" The model makes {share:.0%} of the probe's mistakes, and is taken to gain that "
            "share of it."
        )
    return text
