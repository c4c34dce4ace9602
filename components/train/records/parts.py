"""The learning curve of the fine-tuned network: the same recipe, on parts of the images.

Each part is a training of its own: from the pretrained network, over a probe of the part, to what
its contest keeps. All name the validation images, which none learns. Those choose the epoch that is
kept as well, so each point is a little too good, the last like the first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.curve import FINETUNED, CurvePoint
from components.common.artifacts.model import LOGITS, take_part
from components.common.backend import keras
from components.common.shards.examples import Examples
from components.common.terminal import describe_seconds, say
from components.train.feed.material import Material
from components.train.finetuning.blend import Weights, write_weights
from components.train.finetuning.finetune import run_finetuning
from components.train.finetuning.optimizers import has_batchnorm
from components.train.finetuning.preflight import LOOKS_AFTER
from components.train.networks.backbones import compare_sides
from components.train.networks.network import set_head
from components.train.probe.curve import describe_all
from components.train.probe.folds import number_groups
from components.train.probe.part_fits import order_nested
from components.train.probe.probe import Probe, fit_part
from components.train.probe.scarce import draw_curves
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import create_forward, within_memory
from components.train.runtime.passes import run_forward
from components.train.selection.kept import Contest
from components.train.selection.rules import Plan, plan_finetuning
from components.train.spec import Params

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the training images; the whole is there
LEAST = 2  # parts: with the whole three points, the fewest that bend
START_SECONDS = 10.0  # of a training, before its first epoch: a graph is compiled, a speed measured
PART = "curve"  # of a checkpoint


@dataclass(frozen=True)
class Trained:
    """A training that is over."""

    network: keras.Model  # as it was kept
    material: Material  # with the recipe that it had
    probe: Probe
    contest: Contest
    start: Weights  # of the network, before its fine-tuning


class _View:
    """Some rows of what is indexed as an array, none of them copied."""

    def __init__(self, pixels: Any, rows: np.ndarray) -> None:
        self.pixels, self.rows = pixels, rows
        self.shape = (len(rows), *pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: Any) -> np.ndarray:
        return np.asarray(self.pixels[self.rows[places]])


def create_curve(
    trained: Trained, params: Params, tests: int, checkpoint: Checkpoint
) -> tuple[list[CurvePoint], str]:
    """Return the points of the fine-tuned network for learning_curve.csv, or why there are none.

    Args:
        trained: the training on all images; its network is left with weights of a part.
        params: of the room.
        tests: images of the test that is to show a gain.
        checkpoint: of the run; what an earlier run that was killed has trained is taken over.
    """
    train, val = trained.material.train, trained.material.val
    if trained.contest.kept is trained.contest.probe:
        return [], "the probe was kept, and has its own"
    if trained.material.recipe.processes > 1:
        return [], "several machines train none"
    answers = find_wrong(trained.network, val, trained.contest)
    random = np.random.default_rng((params.seed, 0))
    parts = choose_parts(train.labels, number_groups(train.units), random)
    wrong, reason = _train_parts(trained, params, parts, checkpoint)
    if reason:
        return [], reason
    wrong.append(answers)
    sizes = np.array([*(len(rows) for rows in parts[: len(wrong) - 1]), len(train.labels)])
    curves = draw_curves(sizes, np.stack(wrong), number_groups(val.units), params.seed)
    counts = len(train.labels) + len(val.labels), len(train.labels)
    classes = trained.material.recipe.classes
    return list(describe_all(curves, counts, classes, tests, FINETUNED)), ""


def choose_parts(
    labels: np.ndarray, groups: np.ndarray, random: np.random.Generator
) -> list[np.ndarray]:
    """Return the rows of each part, the smallest first: each is in the next, and groups are whole.

    Args:
        labels: (images,).
        groups: (images,) numbers.
        random: of the choice.
    """
    order = order_nested(labels, groups, random)
    ends = np.append(np.flatnonzero(np.diff(groups[order])) + 1, len(order))  # of groups
    cuts = [int(ends[np.abs(ends - share * len(order)).argmin()]) for share in SHARES]
    return [np.sort(order[:cut]) for cut in sorted({*cuts} - {len(order)})]


def find_wrong(network: keras.Model, val: Examples, contest: Contest) -> np.ndarray:
    """Return which validation images what was kept names wrongly, 0 or 1, (images,)."""
    logits = compute_val_logits(network, val, contest)
    return np.asarray(logits.argmax(axis=1) != val.labels, float)


def compute_val_logits(network: keras.Model, val: Examples, contest: Contest) -> np.ndarray:
    """Return what the kept network says of the validation images, (images, classes)."""
    if contest.kept.logits is not None:
        return contest.kept.logits
    forward = create_forward(take_part(network, LOGITS))
    return within_memory(64, lambda size: run_forward(forward, val.pixels, size, "val"))


def _train_parts(
    trained: Trained, params: Params, parts: Sequence[np.ndarray], checkpoint: Checkpoint
) -> tuple[list[np.ndarray], str]:
    """Return what each part's network names wrongly; with too few parts, why.

    As many as the minutes hold, the small ones first, so that the time of the next is known.
    """
    if len(parts) < LEAST:
        return [], "the images are of too few groups"
    wrong, seconds = _load(checkpoint)
    guesses = [estimate_seconds(trained, params, len(rows)) for rows in parts]

    def expect(first: int, last: int) -> float:
        """Return the seconds that some parts will take, by those that are done."""
        pace = max([1.0, *(took / guess for took, guess in zip(seconds, guesses, strict=False))])
        return pace * sum(guesses[first:last])

    while len(wrong) < len(parts):
        done, rows = len(wrong), parts[len(wrong)]
        left = params.curve_minutes * 60 - sum(seconds)
        if expect(done, max(done + 1, LEAST)) > left:
            break
        about = describe_seconds(expect(done, done + 1))
        say(f"learning curve of the fine-tuned network: {len(rows):,} images, about {about}")
        start = time.perf_counter()
        found = _train_part(trained, params, rows, start + left)
        seconds.append(time.perf_counter() - start)
        if found is None:
            break
        wrong.append(found)
        _save(checkpoint, wrong, seconds)
    if len(wrong) >= LEAST:
        return wrong, ""
    minutes = math.ceil((sum(seconds) + expect(len(wrong), len(parts))) / 60)
    return [], (
        f"the time for it trains {len(wrong)} of at least {LEAST} parts; train.curve_minutes: "
        f"{minutes} would train all {len(parts)}"
    )


def estimate_seconds(trained: Trained, params: Params, images: int) -> float:
    """Return how long a training on so many images will take, by how long the whole took."""
    whole, recipe = trained.material, trained.material.recipe
    epochs = [one.epoch for one in trained.contest.epochs if one.epoch.images_per_second]
    trains = [whole.images / (one.images_per_second or 1.0) for one in epochs]
    looks = max(0.0, sum(one.seconds for one in epochs) - sum(trains)) / len(epochs)
    plan = _plan(trained, params, images, accuracy=0.0)
    count = int(plan.finetune.epochs)
    shown = images * plan.passes / (len(whole.train.labels) * recipe.passes)
    return START_SECONDS + count * shown * sum(trains) / len(epochs) + (count + LOOKS_AFTER) * looks


def _plan(trained: Trained, params: Params, images: int, accuracy: float) -> Plan:
    """Return how the fine-tuning of a part goes: as that of the whole would with so few images.

    Where a budget cut the whole's epochs, those of the part are as many times fewer.
    """
    recipe = trained.material.recipe
    plan = plan_finetuning(
        params,
        images=images,
        batch_size=recipe.batch_size(images),
        accuracy=accuracy,
        common=trained.material.common,  # a part is mixed as all are
        has_batchnorm=has_batchnorm(trained.network),
        scale=compare_sides(params.backbone, params.weights, trained.material.size_px),
    )
    epochs, wanted = int(plan.finetune.epochs), int(recipe.finetune.epochs)
    if params.budget_minutes and epochs:
        rows = trained.contest.epochs[trained.contest.failed :]
        done = sum(one.epoch.images_per_second is not None for one in rows)
        epochs = max(1, round(epochs * min(1.0, done / wanted)))
    return replace(plan, finetune=replace(plan.finetune, epochs=epochs))


def _train_part(
    trained: Trained, params: Params, rows: np.ndarray, deadline: float
) -> np.ndarray | None:
    """Return which validation images the network of a part names wrongly; None: time is up.

    A part whose last epochs were cut would be another recipe's, so it is none.
    """
    network, whole = trained.network, trained.material
    material = replace(whole, train=_take(whole.train, rows))
    keras.utils.set_random_seed(params.seed)
    write_weights(network, trained.start)
    probe = fit_part(trained.probe, material, rows, params.seed)
    set_head(network, probe.head.weights, probe.head.bias)
    plan = _plan(trained, params, len(rows), probe.accuracy)
    recipe = replace(whole.recipe, finetune=plan.finetune, passes=plan.passes)
    contest, wanted = Contest(probe.judged), int(plan.finetune.epochs)
    if wanted:
        for epoch in run_finetuning(
            network,
            replace(material, recipe=recipe),
            contest=contest,
            checkpoint=Checkpoint(Path(PART), {}, writes=False),
            plan=plan,
        ):
            is_last = len(contest.epochs) - contest.failed >= wanted
            if not is_last and time.perf_counter() + epoch.seconds > deadline:
                return None
    return find_wrong(network, whole.val, contest)


def _take(train: Examples, rows: np.ndarray) -> Examples:
    """Return some of the images."""
    paths, digests, groups = (
        [of[row] for row in rows] if of else [] for of in (train.paths, train.sha256, train.groups)
    )
    return Examples(_View(train.pixels, rows), train.labels[rows], paths, digests, groups)


def _load(checkpoint: Checkpoint) -> tuple[list[np.ndarray], list[float]]:
    """Return what was found with the parts that are done, and the seconds of each."""
    found = checkpoint.load(PART)
    if not found:
        return [], []
    meta, arrays = found
    return [arrays[f"w{part}"] for part in range(len(meta["seconds"]))], meta["seconds"]


def _save(checkpoint: Checkpoint, wrong: Sequence[np.ndarray], seconds: Sequence[float]) -> None:
    arrays = {f"w{part}": one for part, one in enumerate(wrong)}
    checkpoint.save(PART, {"seconds": list(seconds)}, arrays)
