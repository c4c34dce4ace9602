"""CSV files for `dvc plots`; the top-level `plots` of dvc.yaml says how they are drawn."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from components.common.reports import Predictions
from components.evaluate.calibration import Bin
from components.evaluate.metrics import ClassScore


def write_plots(
    folder: Path, predictions: Predictions, classes: list[ClassScore], bins: list[Bin]
) -> None:
    """Write confusion.csv, classes.csv and reliability.csv into a folder."""
    names = predictions.class_names
    tables = {
        # One row an image: DVC's template counts them.
        "confusion": pd.DataFrame(
            {
                "actual": [names[i] for i in predictions.labels],
                "predicted": [names[i] for i in predictions.predicted],
            }
        ),
        "classes": pd.DataFrame(
            [
                {
                    "class": score.name,
                    "images": score.images,
                    "precision": score.precision,
                    "recall": score.recall,
                    "f1": score.f1,
                }
                for score in classes
            ]
        ),
        "reliability": pd.DataFrame(
            [
                {
                    "confidence": one.confidence,
                    "accuracy": one.accuracy,
                    "ideal": one.confidence,
                    "images": one.images,
                }
                for one in bins
                if one.images
            ]
        ),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
