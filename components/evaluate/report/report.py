"""report.html: one self-contained page, for those who decide and for those who mend."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.artifacts.curve import (
    CLASS,
    EVERYTHING,
    FINETUNED,
    LEVEL,
    RECALL,
    CurvePoint,
)
from components.common.artifacts.dataset import Dataset
from components.common.artifacts.model import ModelCard
from components.common.artifacts.predictions import Predictions
from components.common.files.bidi import isolate_html, isolate_text
from components.evaluate.metrics.calibration import Bin
from components.evaluate.metrics.metrics import find_confusions
from components.evaluate.report import next_steps, words
from components.evaluate.report.drawings import (
    draw_confusion,
    draw_curve,
    draw_history,
    draw_reliability,
    draw_robustness,
)
from components.evaluate.report.gallery import Gallery
from components.evaluate.report.templating import TEMPLATES, create_environment, hash_source

if TYPE_CHECKING:
    import pandas as pd

MAX_TABLE_CLASSES = 40  # a confusion table of more is no longer read; a picture is shown instead
PAIRS_SHOWN = 8
SUSPECTS_SHOWN, SUSPECTS_PICTURED = 50, 24
PATHS_SHOWN = 50  # of the images won or lost against another


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
    suspects: list[dict[str, Any]]  # rows of label_issues.csv, the most suspicious first
    held_back: str  # why there are none to be had; empty: there are, or no label looks wrong
    curve: list[CurvePoint]  # of learning_curve.csv
    no_curve: str  # why there is none; empty: there is one
    suspects_pictures: dict[str, str]  # path → data URI, of the first SUSPECTS_PICTURED
    augmented: str  # data URI of the picture of augmented images
    latency: dict[str, Any]  # of latency.json
    doubts: list[str]
    level: float  # of the intervals
    run_id: str
    experiment: str


def render_report(content: Content) -> str:
    """Return the page as HTML."""
    from markupsafe import Markup

    environment = create_environment()
    pairs = find_confusions(content.predictions, PAIRS_SHOWN)
    cells = _describe_cells(content)
    drawn, box = _draw(content)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    # Styles stand at many elements, and those of figures are matplotlib's; no other script may run.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src '{hash_source(script)}'; base-uri 'none'; form-action 'none'"
    )
    page: str = environment.get_template(
        "report.html.j2"
    ).render(
        vars(content)
        | {
            "mistakes": content.gallery.mistakes,
            "hits": content.gallery.hits,
            "pair_pictures": content.gallery.pairs,
            "pictures": content.gallery.pictures,
            "maps": content.gallery.maps,
            "cells": cells,
            "cells_json": Markup(_write_cells(content.gallery, cells)),  # noqa: S704 - escaped there
            "confusion_box": box,
            "suspects": content.suspects[:SUSPECTS_SHOWN],
            "held_back": content.held_back[:1].upper() + content.held_back[1:],
            "suspects_more": max(0, len(content.suspects) - SUSPECTS_SHOWN),
            "style": Markup(style),  # noqa: S704 - our own file
            "script": Markup(script),  # noqa: S704 - our own file
            "policy": policy,
            "figures": {name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704
            "confusion": _shade(content.metrics) if _has_table(content) else [],
            "pairs": pairs,
            "errors_in_words": words.describe_errors(content.metrics),
            "confusion_in_words": words.describe_confusion(pairs),
            "rivals_in_words": [words.describe_rival(one) for one in content.metrics["against"]],
            "automation_in_words": words.describe_automation(content.metrics),
            "costs_in_words": words.describe_costs(content.metrics),
            "unknown_in_words": words.describe_unknown(content.metrics),
            "sets_in_words": words.describe_sets(content.metrics),
            "mending_in_words": words.describe_mending(content.metrics),
            "slices_in_words": words.describe_slices(content.metrics),
            "robustness_in_words": (
                words.describe_robustness(content.metrics) if content.metrics["robustness"] else ""
            ),
            "sanity_in_words": words.describe_sanity(content.metrics["gradcam_sanity"]),
            "cost_in_words": words.describe_cost(content.metrics["cost"], content.latency),
            "steps": content.metrics["next_steps"],
            "curve_in_words": next_steps.describe_curve(
                content.curve, content.no_curve, next_steps.compare_with_probe(content.metrics)
            ),
            "curve_level": LEVEL,
            "is_curve_tuned": any(one.of == FINETUNED for one in content.curve),
            "class_gains": _pair_gains(content.curve),
            "calibration_in_words": words.describe_calibration(content.metrics),
            "method_in_words": words.describe_scaling(content.card),
            "most_paths": PATHS_SHOWN,
            "epochs": content.history.to_dict("records"),
            "is_probe_alone": len(content.history) == 1,
            "most_images": max(score["images"] for score in content.metrics["classes"]),
            "trained_on": content.dataset.splits["train"].examples_per_class,
        }
    )
    return isolate_html(page)


def _draw(content: Content) -> tuple[dict[str, str], list[float]]:
    """Return the figures, name → SVG, and where the cells of the confusion are, if it is one.

    Alt texts say what a table beside them does not.
    """
    history, metrics = content.history, content.metrics
    best = history[history["is_best"]].iloc[0]
    alts = {
        "reliability": words.describe_calibration(metrics),
        "reliability_uncalibrated": words.describe_uncalibrated(metrics),
    }
    figures = {
        name: draw_reliability([Bin(**one) for one in metrics[name]], alt, name)
        for name, alt in alts.items()
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
    if content.curve:
        everything = [one for one in content.curve if one.of in (EVERYTHING, FINETUNED)]
        alt = next_steps.describe_curve(content.curve, "", 1.0)
        figures["curve"] = draw_curve(everything, alt)
    if metrics["robustness"]:
        alt = words.describe_robustness(metrics)
        figures["robustness"] = draw_robustness(metrics["robustness"], alt)
    box: list[float] = []
    if not _has_table(content):
        counts = np.array(metrics["confusion"], np.float64)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        alt = "Confusion matrix; the pairs that are mixed up most are listed beside it"
        figures["confusion"], box = draw_confusion(shares, alt)
    return figures, box


def _pair_gains(curve: list[CurvePoint]) -> list[tuple[CurvePoint, CurvePoint | None]]:
    """Return what more photos of each class bring, to all answers and to its own."""
    own = {one.name: one for one in curve if one.of == RECALL}
    return [(one, own.get(one.name)) for one in curve if one.of == CLASS]


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
                {
                    "count": count,
                    "share": share,
                    "tint": share**0.55,
                    "is_hit": i == j,
                    "key": f"{i}-{j}",
                }
                for j, (count, share) in enumerate(zip(counts, shares, strict=True))
            ]
        )
    return rows


def _describe_cells(content: Content) -> dict[str, str]:
    """Return what each cell with pictures holds, the most frequent mistakes first."""
    counts = content.metrics["confusion"]
    names = [isolate_text(name) for name in content.metrics["class_names"]]
    order = sorted(
        content.gallery.cells, key=lambda cell: (cell[0] == cell[1], -counts[cell[0]][cell[1]])
    )
    found = {}
    for i, j in order:
        share = counts[i][j] / sum(counts[i])
        what = f"{names[i]}, named rightly" if i == j else f"{names[i]} taken for {names[j]}"
        found[f"{i}-{j}"] = f"{what}: {counts[i][j]:,} ({share:.1%} of the class)"
    return found


def _write_cells(gallery: Gallery, titles: dict[str, str]) -> str:
    """Return the pictures behind the cells as JSON that may stand in a script element."""
    found = {
        f"{i}-{j}": {
            "title": titles[f"{i}-{j}"],
            "photos": [
                [isolate_text(one.path), f"{one.probability:.0%}", gallery.small[one.path]]
                for one in some
            ],
        }
        for (i, j), some in gallery.cells.items()
    }
    return json.dumps(found).replace("<", "\\u003c")
