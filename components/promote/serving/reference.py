"""What the champion's data looked like: with it, `predict watch` compares later batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.common.artifacts.predictions import Predictions
from components.common.artifacts.sample import MEASURED, choose_rows
from components.common.files.writing import writing
from components.common.images.measures import NAMES, measure_images
from components.common.images.pixels import ImageForm


def write_reference(
    file: Path, folder: Path, predictions: Predictions, form: ImageForm, count: int = MEASURED
) -> None:
    """Write a row for some test images: predicted, probability, and the figures of the image.

    The test split is drawn from the same data as the training split, and the model has not learnt
    it by heart: on training images it is surer than it will be of new ones.
    """
    import pandas as pd

    order = choose_rows(predictions.sha256, count)
    figures = measure_images([folder / predictions.paths[row] for row in order], form)
    table = pd.DataFrame(figures, columns=list(NAMES))
    names = np.array(predictions.class_names, dtype=object)
    table.insert(0, "predicted", names[predictions.predicted[order]])
    table.insert(1, "probability", predictions.confidence[order])
    with writing(file) as temporary:
        table.to_parquet(temporary, index=False)
