"""report.html: one self-contained page, for those who decide and for those who mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.dataset import Dataset
from components.common.model import ModelCard
from components.common.reports import Predictions
from components.evaluate import words
from components.evaluate.calibration import Bin
from components.evaluate.figures import draw_confusion, draw_history, draw_reliability
from components.evaluate.gallery import Gallery
from components.evaluate.metrics import find_confusions
from components.evaluate.templating import TEMPLATES, create_environment

if TYPE_CHECKING:
    import pandas as pd

MAX_TABLE_CLASSES = 40  # a confusion table of more is no longer read; a picture is shown instead
PAIRS_SHOWN = 8


@dataclass(frozen=True)
class Content:
    """All that the report shows."""

    metrics: dict[str, Any]  # of create_metrics
    predictions: Predictions
    history: pd.DataFrame
    validation: dict[str, Any]  # of validation.json
    dataset: Dataset
    card: ModelCard
    gallery: Gallery
    doubts: list[str]
    level: float  # of the intervals
    run_id: str
    experiment: str


def render_report(content: Content) -> str:
    """Return the page as HTML."""
    from markupsafe import Markup

    environment = create_environment()
    pairs = find_confusions(content.predictions, PAIRS_SHOWN)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page: str = environment.get_template("report.html.j2").render(
        vars(content)
        | {
            "mistakes": content.gallery.mistakes,
            "pictures": content.gallery.pictures,
            "style": Markup(style),  # noqa: S704 - our own file
            "figures": {name: Markup(svg) for name, svg in _draw(content).items()},  # noqa: S704
            "confusion": _shade(content.metrics) if _has_table(content) else [],
            "pairs": pairs,
            "errors_in_words": words.describe_errors(content.metrics),
            "confusion_in_words": words.describe_confusion(pairs),
            "calibration_in_words": words.describe_calibration(content.metrics),
            "epochs": content.history.to_dict("records"),
            "is_probe_alone": len(content.history) == 1,
            "most_images": max(score["images"] for score in content.metrics["classes"]),
            "trained_on": content.dataset.splits["train"].examples_per_class,
        }
    )
    return page


def _draw(content: Content) -> dict[str, str]:
    """Return the figures, name → SVG; alt texts say what a table beside them does not."""
    history, metrics = content.history, content.metrics
    best = history[history["is_best"]].iloc[0]
    figures = {
        "reliability": draw_reliability(
            [Bin(**one) for one in metrics["reliability"]],
            content.level,
            words.describe_calibration(metrics),
        )
    }
    if len(history) > 1:
        for kind in ("accuracy", "loss"):
            value = best[f"val_{kind}"]
            text = f"{value:.1%}" if kind == "accuracy" else f"{value:.3f}"
            alt = (
                f"Training and validation {kind} by epoch; kept: epoch {best['epoch']} with a "
                f"validation {kind} of {text}"
            )
            figures[kind] = draw_history(history, kind, alt)
    if not _has_table(content):
        counts = np.array(metrics["confusion"], np.float64)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        alt = "Confusion matrix; the pairs that are mixed up most are listed beside it"
        figures["confusion"] = draw_confusion(shares, alt)
    return figures


def _has_table(content: Content) -> bool:
    return len(content.metrics["class_names"]) <= MAX_TABLE_CLASSES


def _shade(metrics: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the cells of the confusion table: count, share of the row, strength of the colour."""
    rows = []
    for i, counts in enumerate(metrics["confusion"]):
        total = sum(counts)
        shares = [count / total if total else 0.0 for count in counts]
        rows.append(
            [
                # The power lifts small shares, which matter most, to where the eye sees them.
                {"count": count, "share": share, "tint": share**0.55, "is_hit": i == j}
                for j, (count, share) in enumerate(zip(counts, shares, strict=True))
            ]
        )
    return rows
