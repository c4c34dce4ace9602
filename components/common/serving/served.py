"""The served model: MLflow runs this file (models from code), so nothing is pickled.

In: a table with a binary column `image`, one encoded image a row (over JSON: base64). Out: `label`,
its `probability`, whether that is so low that the answer is `unsure`, and, where the version has
limits for them, whether the image is `unknown` and `sets`, the classes it may be of; then
`probabilities` of all classes, and for an image that cannot be read the `reason` alone. Decoding,
EXIF, resizing, scaling, calibration and limits are inside; requests that arrive together share a
forward pass.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pandas as pd  # MLflow reads the type hint of `predict` when it runs this file
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from components.common.errors import DarkroomError
from components.common.serving.batching import Answer, Batcher, list_columns
from components.common.serving.classifier import ARTIFACT, Classifier
from components.common.serving.decisions import DECISIONS, read_decisions
from components.common.serving.encoded import read_encoded


class ServedClassifier(PythonModel):  # type: ignore[misc]
    """Answers for images as their bytes."""

    def load_context(self, context: Any) -> None:
        """Load the network once, when the server starts."""
        classifier = Classifier(Path(context.artifacts[ARTIFACT]))
        self.class_names = classifier.class_names
        self.decisions = read_decisions(Path(context.artifacts[DECISIONS]))
        # The first call compiles the network: not when a user waits for it.
        classifier.warm_up()
        self.batcher = Batcher(classifier)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return a row for each image; of one that cannot be read only the reason is there."""
        answers = [self._ask(image) for image in model_input["image"]]
        rows = [one.result().describe(self.class_names, self.decisions) for one in answers]
        # As objects: None stays None, and JSON knows no NaN.
        return pd.DataFrame(rows, columns=list_columns(self.decisions), dtype=object)

    def _ask(self, image: Any) -> Future[Answer]:
        try:
            return self.batcher.ask(read_encoded(image))
        except DarkroomError as error:
            unread: Future[Answer] = Future()
            unread.set_result(Answer(str(error)))
            return unread


set_model(ServedClassifier())
