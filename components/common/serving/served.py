"""The served model: MLflow runs this file (models from code), so nothing is pickled.

In: a table with a binary column `image`, one encoded image a row (over JSON: base64). Out: `label`,
its `probability`, whether that is so low that the answer is `unsure`, and, where the version has
limits for them, whether the image is `unknown` and `sets`, the classes it may be of; last
`probabilities` of all classes. Decoding, EXIF, resizing, scaling, calibration, limits are inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd  # MLflow reads the type hint of `predict` when it runs this file
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from components.common.serving.classifier import ARTIFACT, Classifier
from components.common.serving.decisions import DECISIONS, read_decisions

# As many images at once: a large request then needs no more memory than a small one.
BATCH_SIZE = 64


class ServedClassifier(PythonModel):  # type: ignore[misc]
    """Answers for images as their bytes."""

    def load_context(self, context: Any) -> None:
        """Load the network once, when the server starts."""
        self.classifier = Classifier(Path(context.artifacts[ARTIFACT]))
        self.decisions = read_decisions(Path(context.artifacts[DECISIONS]))
        # The first call compiles the network: not when a user waits for it.
        self.classifier.warm_up()

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return a row for each image.

        Raises:
            MlflowException: if an image is unreadable; a server answers 400 with row and reason.
        """
        names, decisions = self.classifier.class_names, self.decisions
        columns = decisions.list_columns()
        rows: list[dict[str, Any]] = []
        images = [bytes(image) for image in model_input["image"]]
        for answers in self.classifier.classify_all(images, BATCH_SIZE):
            for probabilities, logits, reason in zip(
                answers.probabilities, answers.logits, answers.reasons, strict=True
            ):
                if reason:
                    raise MlflowException.invalid_parameter_value(f"row {len(rows)}: {reason}")
                shares = dict(zip(names, probabilities.tolist(), strict=True))
                judged = decisions.judge(probabilities, names, logits)
                rows.append(judged | {"probabilities": shares})
        return pd.DataFrame(rows, columns=[*columns, "probabilities"])


set_model(ServedClassifier())
