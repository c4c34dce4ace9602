"""CSV files for `dvc plots`; the top-level `plots` of dvc.yaml says how they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from components.common.artifacts.predictions import Predictions
from components.common.files.cells import shield_text
from components.evaluate.checks.robustness import CLEAN
from components.evaluate.decisions.thresholds import compute_curve

CLASS_COLUMNS = ("images", "precision", "recall", "f1", "roc_auc", "average_precision")
SLICE_COLUMNS = ("images", "accuracy", "gap", "is_judged", "is_worse")


def write_plots(folder: Path, predictions: Predictions, metrics: dict[str, Any]) -> None:
    """Write one CSV file a figure into a folder."""
    for name, table in create_tables(predictions, metrics).items():
        shielded = table.map(lambda cell: shield_text(cell) if isinstance(cell, str) else cell)
        shielded.to_csv(folder / f"{name}.csv", index=False)


def create_tables(predictions: Predictions, metrics: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Return name → table; `dvc plots` names each, and DVC's templates want one file a figure.

    Args:
        predictions: of the test split.
        metrics: the content of metrics.json.
    """
    # A name with a line break would break the table: csv quotes no carriage return.
    names = [" ".join(name.splitlines()) or name for name in predictions.class_names]
    curve = compute_curve(predictions.confidence, predictions.correct)
    clean = [one["accuracy"] for one in metrics["robustness"] if one["corruption"] == CLEAN]
    # Each corruption's line begins with the images as they are.
    spoilt = [
        {"corruption": one["corruption"], "strength": strength, "accuracy": accuracy}
        for one in metrics["robustness"]
        if one["corruption"] != CLEAN
        for strength, accuracy in [
            *((0, value) for value in clean if one["strength"] == 1),
            (one["strength"], one["accuracy"]),
        ]
    ]
    return {
        # One row an image: DVC's template counts them.
        "confusion": pd.DataFrame(
            {
                "actual": [names[i] for i in predictions.labels],
                "predicted": [names[i] for i in predictions.predicted],
            }
        ),
        "classes": pd.DataFrame(
            [
                {"class": name} | {column: score[column] for column in CLASS_COLUMNS}
                for name, score in zip(names, metrics["classes"], strict=True)
            ]
        ),
        "reliability": _create_reliability(metrics["reliability"]),
        "reliability_uncalibrated": _create_reliability(metrics["reliability_uncalibrated"]),
        "thresholds": pd.DataFrame(curve, columns=["threshold", "coverage", "error"]),
        "slices": pd.DataFrame(
            [
                {"slice": " ".join(one["name"].splitlines())}
                | {name: one[name] for name in SLICE_COLUMNS}
                for one in metrics["slices"]
            ],
            columns=["slice", *SLICE_COLUMNS],
        ),
        "robustness": pd.DataFrame(spoilt, columns=["corruption", "strength", "accuracy"]),
    }


def _create_reliability(bins: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "confidence": one["confidence"],
                "accuracy": one["accuracy"],
                "ideal": one["confidence"],
                "images": one["images"],
            }
            for one in bins
            if one["images"]
        ]
    )
