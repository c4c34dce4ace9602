"""An evaluation as the gate reads it: named figures, their intervals, on which images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.common.artifacts.metrics import list_figures
from components.common.artifacts.predictions import Predictions
from components.common.errors import DarkroomError

PARTS = ("classes", "slices")  # whose entries have figures with intervals of their own


@dataclass(frozen=True)
class Evidence:
    """The figures of one model on one test split."""

    figures: dict[str, float]  # dotted name → value; `<name>.low`, `<name>.high`: interval's ends
    test_digest: str  # of the test images and their labels
    predictions: Predictions | None = field(default=None, compare=False)  # for paired tests
    # What it costs to take a class for another, by name; empty without evaluate.costs.
    costs: dict[tuple[str, str], float] = field(default_factory=dict, compare=False)
    # Names that the evaluation knows and could not measure, such as `roc_auc.low` → why.
    unmeasured: dict[str, str] = field(default_factory=dict)

    def with_predictions(self, predictions: Predictions | None) -> Evidence:
        """Return the same with what it was computed from."""
        return dataclasses.replace(self, predictions=predictions)

    def with_figures(self, more: Mapping[str, float]) -> Evidence:
        """Return the same with more figures."""
        return dataclasses.replace(self, figures=self.figures | dict(more))

    def list_all(self) -> set[str]:
        """Return the names of all figures, those that few images left out among them."""
        return {*self.figures, *self.unmeasured}

    def list_metrics(self, kind: str) -> set[str]:
        """Return what is known of the classes or slices: `recall`, `accuracy.low`; empty: of none.

        Args:
            kind: `classes` or `slices`.
        """
        own = [name for name in self.list_all() if name.startswith(f"{kind}.")]
        parts = {name.removesuffix("images") for name in own if name.endswith(".images")}
        # The name of a class may hold dots too.
        cuts = ((name, place) for name in own for place, one in enumerate(name, 1) if one == ".")
        return {name[place:] for name, place in cuts if name[:place] in parts}

    def list_parts(self, kind: str, metric: str) -> Iterator[tuple[str, float, int]]:
        """Yield name, figure and number of images of each class or slice that has the metric.

        Args:
            kind: `classes` or `slices`; their figures are named `<kind>.<name>.<metric>`.
            metric: the last part, such as `recall` or `accuracy.low`.
        """
        for name, figure in self.figures.items():
            if name.startswith(f"{kind}.") and name.endswith(f".{metric}"):
                part = name.removesuffix(f".{metric}")
                images = self.figures.get(f"{part}.images")
                if images is not None:
                    yield part.removeprefix(f"{kind}."), figure, int(images)

    def list_unmeasured_parts(self, kind: str, metric: str) -> Iterator[tuple[str, str, int]]:
        """Yield name, reason and number of images of each part that should have the metric."""
        for name, why in self.unmeasured.items():
            if name.startswith(f"{kind}.") and name.endswith(f".{metric}"):
                part = name.removesuffix(f".{metric}")
                images = int(self.figures.get(f"{part}.images", 0))
                yield part.removeprefix(f"{kind}."), why, images


def parse_evidence(found: Any, name: str) -> Evidence:
    """Read the content of a metrics.json.

    Args:
        found: the parsed JSON.
        name: of the file, for messages.

    Raises:
        DarkroomError: if it is no evaluation of ours.
    """
    if not isinstance(found, Mapping) or not isinstance(found.get("test_digest"), str):
        raise DarkroomError(f"{name}: holds no evaluation with a test_digest; run evaluate again")
    try:
        return Evidence(
            list_figures(found),
            found["test_digest"],
            costs=_list_costs(found),
            unmeasured=_list_unmeasured(found),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DarkroomError(
            f"{name}: not an evaluation of this version ({error}); run evaluate again"
        ) from None


def _list_costs(found: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    table = (found.get("decisions") or {}).get("costs") or []
    names = found.get("class_names") or []
    return {
        (actual, taken): float(cost)
        for actual, row in zip(names, table, strict=False)
        for taken, cost in zip(names, row, strict=False)
    }


def _list_unmeasured(found: Mapping[str, Any]) -> dict[str, str]:
    reasons = {name: f"{name} is not defined: {why}" for name, why in _get(found, "undefined")}
    for name in found.get("without_interval") or []:
        few = f"{name} has too few test images for an interval"
        reasons |= {f"{name}.low": few, f"{name}.high": few}
    for name, is_known in _list_parts_without(found):
        few = f"{name} has too few test images for an interval"
        why = few if is_known else f"{name} is not defined for these images"
        reasons |= {f"{name}.low": why, f"{name}.high": why}
        reasons |= {} if is_known else {name: why}
    for name, why in _get(found, "undefined"):
        reasons |= {f"{name}.{end}": f"{name} is not defined: {why}" for end in ("low", "high")}
    return reasons


def _list_parts_without(found: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield each figure of a part that has no interval, and whether the figure is known."""
    parts = {name: part for name, part in found.items() if isinstance(part, Mapping)}
    for kind in PARTS:
        listed = found.get(kind)
        for part in listed if isinstance(listed, list) else []:
            parts[f"{kind}.{part['name']}"] = part
    for name, part in parts.items():
        for key in part:
            figure = key.removesuffix("_interval")
            if figure != key and part[key] is None:
                yield f"{name}.{figure}", part.get(figure) is not None


def _get(found: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    return list((found.get(name) or {}).items())
