"""What the curve of the fine-tuned network says of a half, and what the other half then brings."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.recipe import train_room
from benchmarks.recipe_sets import Kind, Picture, choose_size, read_pictures, write_splits
from components.common.artifacts.curve import EVERYTHING, FINETUNED, FORECAST, CurvePoint

Outcome = tuple[float, float, float, float]  # said, low, high, seen
SHARED = "by share"  # the probe's gain × the model's share of the probe's mistakes
VAL = 5  # of so many images one is for validation
MINUTES = 1000  # as many as it wants


def try_half_tuned(
    name: str, archive: Path, seed: int, log: Path | None
) -> list[tuple[str, Outcome]]:
    """Return what was said of a half and what the other half brought; nothing if its probe is kept.

    Args:
        name: of the set: digits, clothing or signs.
        archive: that its images come from; digits come from scikit-learn.
        seed: of halves and trainings.
        log: file that gets what the trainings print.
    """
    pictures, names = read_pictures(Kind(name), archive)
    size_px = choose_size(pictures)
    test, half, rest = deal(pictures, seed)
    settings = {"train.seed": seed}
    with tempfile.TemporaryDirectory() as work:
        both = {split: half[split] + rest[split] for split in half}
        for folder, splits in (("half", half), ("both", both)):
            write_splits(Path(work) / folder, splits | {"test": test}, names, size_px)
        with tempfile.TemporaryDirectory() as here:
            curve = {"train.curve_minutes": MINUTES}
            train_room(Path(work) / "half", settings | curve, Path(here), log)
            now, probe = judge(Path(here), Path(work) / "half")
            points = read_points(Path(here), sum(map(len, half.values())))
        with tempfile.TemporaryDirectory() as here:
            train_room(Path(work) / "both", settings, Path(here), log)
            then, _ = judge(Path(here), Path(work) / "both")
    if FINETUNED not in points:
        return []
    seen, share = then - now, min(1.0, (1 - now) / max(1 - probe, 1e-9))
    return [
        (what, (share * one.gain, share * one.gain_low, share * one.gain_high, seen))
        for what, one, share in (
            (FINETUNED, points[FINETUNED], 1.0),
            (SHARED, points[EVERYTHING], share),
        )
    ]


def deal(
    pictures: Sequence[Picture], seed: int
) -> tuple[list[Picture], dict[str, list[Picture]], dict[str, list[Picture]]]:
    """Return a third for the test, and train and val of both halves of the rest, by whole files."""
    files = [hashlib.sha256(one.data).hexdigest() for one in pictures]
    groups = np.unique(files, return_inverse=True)[1]
    numbers = np.random.default_rng(seed).permutation(groups.max() + 1)[groups]
    thirds = [np.flatnonzero(numbers % 3 == third) for third in range(3)]
    found = []
    for rows in thirds[1:]:
        own = numbers[rows] // 3 % VAL == 0
        found.append(
            {
                "train": [pictures[row] for row in rows[~own]],
                "val": [pictures[row] for row in rows[own]],
            }
        )
    return [pictures[row] for row in thirds[0]], found[0], found[1]


def judge(here: Path, shards: Path) -> tuple[float, float]:
    """Return the accuracy of the model of a run, and of its probe, on the test split."""
    from components.common.artifacts.model import load_model
    from components.common.artifacts.predictions import read_predictions
    from components.common.shards.examples import read_split

    test = read_split(shards, "test")
    answers = load_model(here / "model.keras").predict(test.pixels, 64, verbose=0)
    probe = read_predictions(here / "training" / "probe.parquet")
    return (
        float((answers.argmax(axis=1) == test.labels).mean()),
        float((probe.logits.argmax(axis=1) == probe.labels).mean()),
    )


def read_points(here: Path, images: int) -> dict[str, CurvePoint]:
    """Return what twice the images would bring, by the probe and by the fine-tuned network."""
    from components.common.artifacts.curve import read_curve

    points = read_curve(here / "training" / "learning_curve.csv")
    return {one.of: one for one in points if one.kind == FORECAST and one.more == images}
