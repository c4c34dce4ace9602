"""Watch: a batch of new images against the data that the champion was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.common.errors import DarkroomError
from components.common.files.ownership import check_file
from components.common.files.tables import read_table
from components.common.files.writing import write_json
from components.common.images.measures import NAMES, measure_images
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import Decisions, compute_energy
from components.common.terminal import Stopwatch, bar, show_plainly
from components.predict.drift import LEVEL, MIN_EFFECT, NUMBERS, Shift, compare
from components.predict.listing import Source, describe_skipped, list_images, name_source
from components.predict.recording import record_watch
from components.predict.run import BATCH_SIZE, tell
from components.predict.serve.requestlog import read_logs
from components.predict.source import open_model

MIN_IMAGES = 20  # fewer show only what the eye sees as well
UNITS = {"megapixels": " MP", "aspect": " : 1"}


def watch(
    model: str,
    paths: Sequence[Source],
    output: Path | None,
    logs: Sequence[Path] = (),
    min_effect: float = MIN_EFFECT,
) -> bool:
    """Compare images with the reference of a registered model; tell and keep what differs.

    It is printed, written, and recorded in MLflow beside the version.

    Args:
        model: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        paths: files and folders of the batch.
        output: JSON file for the result, None for none.
        logs: of servers, whose answers by this version belong to the batch.
        min_effect: a smaller shift is no drift.

    Returns:
        Whether the batch has drifted.

    Raises:
        DarkroomError: if the version keeps no reference, or too few images are readable.
    """
    if output:
        check_file(output)
    stopwatch, (images, skipped) = Stopwatch(), list_images(paths)
    with open_model(model, with_reference=True) as source:
        if source.reference is None:
            raise DarkroomError(
                f"--model {model}: keeps no reference of its data; watch wants a version that "
                "promote registered: run promote again"
            )
        reference = read_reference(source.reference)
        classifier = Classifier(source.file) if images else None
    logged = read_logs(logs, source.version or "")
    batch, bad = pd.DataFrame(), 0
    if classifier:
        batch, bad = describe_batch(classifier, images, source.decisions)
    batch, bad = pd.concat([batch, logged.answers], ignore_index=True), bad + logged.unreadable
    if left_out := describe_skipped(skipped):
        tell(left_out)
    if logs:
        tell(logged.describe())
    if len(batch) < MIN_IMAGES:
        where = ", ".join([*map(name_source, paths), *map(str, logs)])
        raise DarkroomError(
            f"{len(batch)} readable images in {where}; {MIN_IMAGES} are the fewest that can be "
            "told from another batch"
        )
    shifts = compare(reference, batch, min_effect=min_effect)
    drifted = any(shift.is_drift for shift in shifts)
    knows = source.decisions.unsure_below is not None or source.decisions.review_cost is not None
    result: dict[str, Any] = {
        "drifted": drifted,
        "model": model,
        "version": source.version,
        "images": len(batch),
        "unreadable": bad,
        "reference_images": len(reference),
        "level": LEVEL,
        "min_effect": min_effect,
        "unsure_share": float(batch["unsure"].mean()) if knows else None,
        "unknown_share": float(batch["unknown"].mean()) if "unknown" in batch else None,
        "shifts": [asdict(shift) for shift in shifts],
    }
    for line in describe(shifts):
        print(show_plainly(line))
    word = "drift: this batch is not what the model was measured on" if drifted else "no drift"
    print(f"{word} ({len(batch):,} images against {len(reference):,}, {stopwatch})")
    if output is not None:
        write_json(output, result)
    name = model.removeprefix("models:/").partition("@")[0].partition("/")[0]
    record_watch(name, str(source.version), result)
    return drifted


def read_reference(file: Path) -> pd.DataFrame:
    """Return what the data of a version looked like; DarkroomError if that is damaged."""
    table = read_table(file, "reference of a version", ["predicted", *NUMBERS], "promote")
    try:
        table[list(NUMBERS)] = table[list(NUMBERS)].astype(float)
    except (TypeError, ValueError) as error:
        raise DarkroomError(f"{file}: figures that are no numbers ({error})") from None
    return table


def describe_batch(
    classifier: Classifier, images: Sequence[Source], decisions: Decisions
) -> tuple[pd.DataFrame, int]:
    """Return a row for each readable image, as the reference has them, and how many are not.

    Args:
        classifier: the model.
        images: of the batch.
        decisions: by which it answers; they add columns `unsure` and, with a limit, `unknown`.
    """
    names = np.array(classifier.class_names, dtype=object)
    parts, bad, done = [], 0, 0
    with bar("watching", "images", len(images)) as progress:
        for answers in classifier.classify_all(images, BATCH_SIZE):
            files = images[done : done + len(answers.reasons)]
            good = np.array([not reason for reason in answers.reasons], bool)
            figures = measure_images(
                [file for file, is_good in zip(files, good, strict=True) if is_good],
                classifier.card.form,
            )
            part = pd.DataFrame(figures, columns=list(NAMES))
            probabilities = answers.probabilities[good]
            decided = decisions.decide(probabilities)
            part.insert(0, "predicted", names[decided])
            part.insert(1, "probability", probabilities[np.arange(len(decided)), decided])
            part["unsure"] = decisions.find_unsure(probabilities)
            if decisions.unknown_above is not None:
                part["unknown"] = compute_energy(answers.logits[good]) > decisions.unknown_above
            parts.append(part)
            for reason in answers.reasons:
                if reason:
                    bad += 1
                    tell(reason)
            done += len(files)
            progress.update(len(files))
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()), bad


def describe(shifts: list[Shift]) -> list[str]:
    """Return a line for each figure."""
    lines = []
    for shift in shifts:
        mark = "✗" if shift.is_drift else "✓"
        if isinstance(shift.before, dict) and isinstance(shift.now, dict):
            before, now = shift.before, shift.now
            most = max(before, key=lambda name: abs(now[name] - before[name]), default="")
            moved = f"{most} {before[most]:.1%} → {now[most]:.1%}" if most else "no images"
        else:
            moved = f"{shift.before:.3g} → {shift.now:.3g}{UNITS.get(shift.figure, '')}"
        lines.append(
            f"  {mark} {shift.figure:<12} {moved:<28} effect {shift.effect:.2f}, "
            f"p {shift.p_value:.2g} ({shift.test})"
        )
    return lines
