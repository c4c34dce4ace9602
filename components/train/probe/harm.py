"""Which changes of training images would turn one class into another, by the frozen network.

A head that tells a left turn from a right turn calls a mirrored left turn a right turn. So some
images of each class are changed, and heads that learnt from none of their group name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from components.train.augmentation.extremes import COLOUR, MIRROR, TURN, change_most
from components.train.augmentation.pairs import Swap, find_swaps
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.probe.folds import deal, number_groups
from components.train.probe.heads import fit_way
from components.train.probe.probe import Probe
from components.train.runtime.machines import agree
from components.train.runtime.passes import Forward, run_forward
from components.train.selection.rules import Choice

A_CLASS, IN_ALL = 16, 480  # images that are changed: a few seconds of the network
SETTINGS = {
    MIRROR: "train.augment.flip",
    TURN: "train.augment.rotation_degrees",
    COLOUR: "train.augment.colour",
}
FOLDS = 3  # enough to name images by what others look like


def drop_harmful(
    forward: Forward, material: Material, probe: Probe, names: Sequence[str], batch_size: int
) -> tuple[Recipe, tuple[Choice, ...]]:
    """Return the recipe without those changes that turn one class into another, and which.

    Args:
        forward: pixels → features of the frozen network.
        material: the splits, and the recipe, of which mirroring, turning and colours are tried.
        probe: features and the head that suits them.
        names: of the classes.
        batch_size: images in one forward pass.
    """
    recipe = material.recipe
    augment = recipe.augment
    gentler = {
        MIRROR: replace(recipe, flip=False),
        TURN: replace(recipe, augment=replace(augment, rotation_degrees=0.0, shear_degrees=0.0)),
        COLOUR: replace(recipe, augment=replace(augment, colour=0.0)),
    }
    used = {
        MIRROR: recipe.flip and augment.flip == "auto",
        TURN: augment.rotation_degrees > 0,
        COLOUR: augment.colour > 0,
    }
    wanted = [what for what in gentler if used[what]]
    found = find_harm(forward, material, probe, wanted, batch_size)
    choices = tuple(
        Choice(
            SETTINGS[what],
            "never" if what == MIRROR else 0,
            f"{what} would make {names[swap.other]} of {swap.taken:.0%} of {names[swap.label]}",
        )
        for what, swap in found.items()
    )
    flip = recipe.flip and MIRROR not in found
    kept = gentler[TURN].augment if TURN in found else augment
    kept = replace(kept, colour=0.0) if COLOUR in found else kept
    return replace(recipe, flip=flip, augment=kept), choices


def find_harm(
    forward: Forward, material: Material, probe: Probe, changes: Sequence[str], batch_size: int
) -> dict[str, Swap]:
    """Return those changes that turn a class into another, each with its worst pair."""
    train, val, recipe = material.train, material.val, material.recipe
    labels = np.concatenate([train.labels, val.labels])
    features = np.concatenate([probe.features, probe.val_features])
    groups = number_groups([*train.units, *val.units])
    rows = _choose(labels, recipe.classes, recipe.seed)
    first = len(train.labels)
    pixels = np.concatenate(
        [train.pixels[rows[rows < first]], val.pixels[rows[rows >= first] - first]]
    )
    answers = {
        what: run_forward(forward, change_most(pixels, what, recipe.augment), batch_size, what)
        for what in changes
    }
    plain = np.full(len(rows), -1)
    changed = {what: plain.copy() for what in changes}
    for fitted, judged in deal(labels, groups, FOLDS, recipe.seed):
        own = np.isin(rows, judged)
        if not own.any():
            continue
        head = fit_way(probe.head.way, features[fitted], labels[fitted], recipe.classes)
        plain[own] = head.compute_logits(features[rows[own]]).argmax(axis=1)
        for what in changes:
            changed[what][own] = head.compute_logits(answers[what][own]).argmax(axis=1)
    known = plain >= 0
    swaps = {
        what: find_swaps(labels[rows][known], plain[known], given[known], recipe.classes)
        for what, given in changed.items()
    }
    harmful = agree(np.array([bool(swaps[what]) for what in changes], bool))
    return {what: swaps[what][0] for what, bad in zip(changes, harmful, strict=True) if bad}


def _choose(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Return positions of some images of each class, ascending."""
    each = max(1, min(A_CLASS, IN_ALL // classes))
    mixed = np.random.default_rng(seed).permutation(len(labels))
    order = mixed[np.argsort(labels[mixed], kind="stable")]
    starts = np.searchsorted(labels[order], labels[order])
    return np.sort(order[np.arange(len(order)) - starts < each])
