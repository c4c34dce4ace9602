"""What the KFP page shows of a task: figures, confusion matrix, ROC, pages, the verdict."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.common.files.writing import read_json, write_text
from components.common.settings.params import flatten
from pipelines.steps.bundles import FILES
from pipelines.steps.rooms import one_line

MOST_CLASSES = 40  # a larger confusion matrix is not readable, and too much for KFP's metadata
MOST_POINTS = 100  # of a ROC curve
MOST_PATHS = 10  # of images won or lost against the champion


@one_line
def show_metrics(evaluation: Any, confusion: Any) -> None:
    """Log the headline figures, the confusion matrix, and the ROC curve of all classes together."""
    folder = Path(evaluation.path)
    found = read_json(folder / FILES["metrics"])
    for name, value in flatten({k: v for k, v in found.items() if k != "intervals"}).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            evaluation.log_metric(name, value)
    if len(found["class_names"]) <= MOST_CLASSES:
        confusion.log_confusion_matrix(found["class_names"], found["confusion"])
    from components.common.artifacts.predictions import read_predictions  # imports NumPy

    confusion.log_roc_curve(*compute_roc(read_predictions(folder / FILES["predictions"])))


def compute_roc(predictions: Any) -> tuple[list[float], list[float], list[float]]:
    """Return false and true positive rates and thresholds, micro-averaged over the classes.

    Each pair of image and class is one decision: does the image show the class? (scikit-learn,
    "micro-averaged one-vs-rest").
    """
    import numpy as np
    from sklearn.metrics import roc_curve

    truth = np.eye(len(predictions.class_names))[predictions.labels]  # (images, classes)
    curve = roc_curve(truth.ravel(), predictions.probabilities.ravel())
    steps = np.unique(np.linspace(0, len(curve[0]) - 1, MOST_POINTS).round().astype(int))
    false, true, thresholds = (axis[steps] for axis in curve)
    # The first threshold is infinite, which JSON cannot say; no probability exceeds 1.
    return false.tolist(), true.tolist(), np.minimum(thresholds, 1.0).tolist()


def show_data_docs(manifest: Any, page: Any) -> None:
    """Write the data docs as one page: the front page, then the results of Great Expectations."""
    front = Path(manifest.path) / "data_docs" / "index.html"
    write_text(Path(page.path), embed_pages(front))


def embed_pages(front: Path) -> str:
    """Return a page with the local pages that it links to inside it."""
    text = front.read_text(encoding="utf-8")
    frames: list[str] = []
    for link in dict.fromkeys(re.findall(r'href="([^"#:]+\.html)"', text)):
        target = front.parent / html.unescape(link)
        if not target.is_file():
            continue
        name = f"page-{len(frames) + 1}"
        content = html.escape(target.read_text(encoding="utf-8"), quote=True)
        frames.append(
            f'<iframe id="{name}" srcdoc="{content}" title="{html.escape(link)}" '
            'style="width:100%;height:80vh;border:1px solid #ccc"></iframe>'
        )
        text = text.replace(f'href="{link}"', f'href="#{name}"')
    inside = "".join(frames)
    return text.replace("</body>", f"{inside}</body>", 1) if "</body>" in text else text + inside


def describe_verdict(found: Mapping[str, Any]) -> str:
    """Return a verdict as a person reads it on KFP's page: what was decided, then rule by rule."""
    lines = [
        f"{found['model']} version {found['version']}: {found['verdict']}",
        str(found["words"]),
    ]
    lines += [f"- {one['outcome']}: {_line(one['words'])}" for one in found["rules"]]
    against = found.get("against_champion") or {}
    for words in ("won", "lost"):
        if paths := against.get(f"{words}_paths"):
            some = ", ".join(_line(path) for path in paths[:MOST_PATHS])
            rest = ", ..." if len(paths) > MOST_PATHS else ""
            lines += [f"{against[words]} images {words} against the champion: {some}{rest}"]
    lines += [f"MLflow: {found['mlflow']}, run {found['run_id']}"]
    lines += [f"aliases: {', '.join(found['aliases']) or 'none'}"]
    lines += [f"champion before: {found['champion_before'] or 'none'}"]
    lines += [f"{name}: {value}" for name, value in found["lineage"].items()]
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(str(text).split())
