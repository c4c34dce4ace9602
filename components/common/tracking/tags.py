"""Names under which the registry keeps things: promote writes them, predict and watch read them."""

from __future__ import annotations

CHAMPION, CHALLENGER = "champion", "challenger"  # aliases
# Tags of a version begin so.
PREFIX = "darkroom."
MODEL_DIGEST = f"{PREFIX}model_digest"  # sha256 of its model.keras
UNSURE_BELOW = f"{PREFIX}unsure_below"  # an answer less probable than this is unsure
DECISIONS_DIGEST = f"{PREFIX}decisions_digest"  # sha256 of all its limits, where it has more
EVALUATION_RUN = f"{PREFIX}evaluation_run"  # the run that keeps its evaluation
DATA = f"{PREFIX}data"  # the verdict on the data: passed, warning or failed
VERDICT, VERDICT_WORDS = f"{PREFIX}verdict", f"{PREFIX}verdict_words"  # of the gate
PACKAGE_BYTES = f"{PREFIX}package_bytes"  # size of what is stored of it
# The evaluation among the artifacts of that run.
EVALUATION, METRICS, PREDICTIONS = "evaluation", "metrics.json", "predictions.parquet"
SAMPLE = "sample.parquet"  # test images, for the check of the served model
REFERENCE = "reference.parquet"  # what its data look like, for `predict watch`
