"""Predict: images + a model → a label and its probability for each image, written as they come."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from components.common.errors import DarkroomError
from components.common.serving.classifier import Answers, Classifier
from components.common.serving.decisions import Decisions
from components.common.terminal import Stopwatch, bar, show_plainly
from components.predict.answers import COLUMNS, SETS, UNKNOWN, Row, check_output, open_output
from components.predict.listing import Source, list_some, name_source
from components.predict.source import open_model
from components.predict.spec import Inputs, Outputs, Params

BATCH_SIZE = 64  # images in one forward pass


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Answer for every image; what cannot be read is told, and fails only if it is all there is.

    Raises:
        DarkroomError: if there is no such model, or not one readable image.
    """
    watch = Stopwatch()
    check_output(outputs.output)
    images, left_out = list_some(inputs.images, "predict")
    with open_model(inputs.model) as source:
        classifier = Classifier(source.file)
    decisions = source.decisions
    if outputs.unsure_below is not None:
        decisions = replace(decisions, unsure_below=outputs.unsure_below, unsure_below_classes=[])
    if outputs.sets and not decisions.set_from:
        raise DarkroomError(
            f"--sets: {inputs.model} carries no limits for sets of classes: evaluate finds them, "
            "promote registers them with a version; give one that was made so"
        )
    tell(f"{inputs.model}: {len(classifier.class_names)} classes, loaded in {watch}")
    extra = [UNKNOWN] if decisions.unknown_above is not None else []
    extra += [SETS] if outputs.sets else []
    extra += name_columns(classifier.class_names) if outputs.probabilities else []
    watch, bad, done, unsure, unknown = Stopwatch(), 0, 0, 0, 0
    with (
        open_output(outputs.output, extra) as write,
        bar("predicting", "images", len(images)) as progress,
    ):
        for answers in classifier.classify_all(images, BATCH_SIZE):
            paths = images[done : done + len(answers.reasons)]
            rows = create_rows(paths, answers, classifier.class_names, extra, decisions)
            write(rows)
            for row in rows:
                unsure += bool(row["unsure"])
                unknown += bool(row.get(UNKNOWN))
                if row["reason"]:
                    bad += 1
                    if sys.stderr.isatty():
                        progress.clear()
                    tell(f"{row['path']}: {row['reason']}")
            done += len(paths)
            progress.update(len(paths))
    where = "" if outputs.output == "-" else f" in {outputs.output}"
    doubts = "" if decisions.unsure_below is None else f", {unsure:,} unsure"
    doubts += f", {unknown:,} unknown" if UNKNOWN in extra else ""
    rest = f"; {left_out}" if left_out else ""
    tell(f"{done - bad:,} of {done:,} images answered{where}{doubts} ({watch}){rest}")
    if bad == done:
        raise DarkroomError(f"no image of {done:,} could be read; the reasons are above")


def create_rows(
    images: Sequence[Source],
    answers: Answers,
    class_names: list[str],
    extra: list[str],
    decisions: Decisions,
) -> list[Row]:
    """Return a row an image: path, label, probability, unsure, reason, the columns of `extra`.

    Without a threshold, whether an answer is unsure is left open.
    """
    columns = set(COLUMNS) | set(extra)
    rows: list[Row] = []
    for image, probabilities, logits, reason in zip(
        images, answers.probabilities, answers.logits, answers.reasons, strict=True
    ):
        row: Row = {"path": name_source(image), "label": None, "probability": None}
        row |= {"unsure": None, "reason": ""}
        if reason:
            told = "image" if isinstance(image, bytes) else image
            row["reason"] = reason.removeprefix(f"{told}: ")
        else:
            found = decisions.judge(probabilities, class_names, logits)
            if decisions.unsure_below is None:
                found["unsure"] = None
            found |= dict(zip(name_columns(class_names), probabilities.tolist(), strict=True))
            row |= {name: value for name, value in found.items() if name in columns}
        rows.append(row)
    return rows


def name_columns(class_names: list[str]) -> list[str]:
    """Return the names of the columns of probabilities; no class can clash with another column."""
    return [f"p_{name}" for name in class_names]


def tell(message: str) -> None:
    """Print a finding where it does not mix with the answers."""
    print(f"  {show_plainly(message)}", file=sys.stderr, flush=True)
