"""Changes that turn one class into another, on classes that differ by just that."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.history import Epoch
from components.common.shards.examples import Examples
from components.train.augmentation.extremes import COLOUR, MIRROR, TURN
from components.train.augmentation.pairs import find_swaps
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.probe.harm import SETTINGS, drop_harmful
from components.train.probe.heads import LOGISTIC, Way, fit_way
from components.train.probe.probe import Probe
from components.train.spec import Augment, Finetune

SIDE, OTHERS, EACH = 32, 10, 16
NAMES = [str(number) for number in range(OTHERS + 2)]
random = np.random.default_rng(0)
GREY = np.full((SIDE, SIDE), 128.0)


def draw_bar(degrees: float) -> np.ndarray:
    bar = GREY.copy()
    bar[SIDE // 2 - 3 : SIDE // 2 + 3] = 250
    return np.array(Image.fromarray(bar.astype(np.uint8)).rotate(degrees, 2, fillcolor=128), float)


ARROW = np.tri(SIDE) * 200 + 20
PAIRS = {
    MIRROR: (ARROW, ARROW[:, ::-1]),
    TURN: (draw_bar(6), draw_bar(-6)),
    COLOUR: (np.full((SIDE, SIDE), 100.0), np.full((SIDE, SIDE), 130.0)),
    "": (ARROW + ARROW[:, ::-1], np.where(ARROW + ARROW[:, ::-1] > 300, 40.0, 200.0)),
}


def look(pixels: np.ndarray) -> np.ndarray:
    """Stand in for a frozen network: means of 8×8 blocks, which see all of it."""
    blocks = np.asarray(pixels, np.float32).mean(axis=3).reshape(-1, 8, 4, 8, 4)
    return blocks.mean(axis=(2, 4)).reshape(-1, 64) / 64


def make_examples(pair: tuple[np.ndarray, np.ndarray]) -> tuple[Examples, Examples]:
    shapes = random.integers(0, 2, (OTHERS, 4, 2)).repeat(8, 1).repeat(8, 2) * 220.0 + 20
    others = np.concatenate([shapes, shapes[:, :, ::-1]], axis=2)  # each its own mirror image
    kinds = np.stack([*pair, *others])
    labels = random.permutation(np.repeat(np.arange(OTHERS + 2), EACH))
    noisy = np.clip(kinds[labels] + random.normal(0, 12, (len(labels), SIDE, SIDE)), 0, 255)
    pixels = np.repeat(noisy.astype(np.uint8)[..., None], 3, axis=3)
    names = [str(number) for number in range(len(labels))]
    train, val = (
        Examples(pixels[part], labels[part], names[part], names[part])
        for part in (slice(0, 150), slice(150, None))
    )
    return train, val


@pytest.mark.parametrize("what", PAIRS)
def test_what_turns_one_class_of_twelve_into_another_is_left_out(what: str) -> None:
    train, val = make_examples(PAIRS[what])
    recipe = Recipe(Finetune(), Augment(), flip=True, seed=0, classes=OTHERS + 2)
    features, val_features = look(train.pixels), look(val.pixels)
    head = fit_way(Way(LOGISTIC, penalty=10.0), features, train.labels, OTHERS + 2)
    row = Epoch("probe", 0, None, 0.0, 1.0, 0.0, 1.0, 1.0)
    probe = Probe(row, head, features, val_features, np.zeros(len(val.labels)), 1.0)
    found, choices = drop_harmful(look, Material(train, val, recipe), probe, NAMES, 64)
    # Bars that lean to either side are each other's mirror image as well.
    lost = {MIRROR: [MIRROR], TURN: [MIRROR, TURN], COLOUR: [COLOUR], "": []}[what]
    assert [choice.setting for choice in choices] == [SETTINGS[one] for one in lost]
    assert found.flip == (MIRROR not in lost)
    assert (found.augment.rotation_degrees == 0) == (what == TURN)
    assert (found.augment.colour == 0) == (what == COLOUR)
    assert found.augment.zoom == Augment().zoom
    by_hand = Recipe(Finetune(), Augment(flip="always"), flip=True, seed=0, classes=OTHERS + 2)
    if what == MIRROR:  # whoever sets it gets it
        assert drop_harmful(look, Material(train, val, by_hand), probe, NAMES, 64)[0].flip


@pytest.mark.parametrize(
    ("go_over", "come_back", "is_swap"),
    [(12, 0, True), (4, 0, False), (12, 9, False), (3, 0, False), (20, 2, True)],
)
def test_a_pair_must_lose_a_quarter_and_beyond_chance(
    go_over: int, come_back: int, is_swap: bool
) -> None:
    labels = np.repeat([0, 1, 2], 40)
    plain, changed = labels.copy(), labels.copy()
    changed[:go_over] = 1
    plain[go_over : go_over + come_back] = 1
    swaps = find_swaps(labels, plain, changed, 3)
    assert [(swap.label, swap.other) for swap in swaps] == [(0, 1)] * is_swap
    if is_swap:
        assert swaps[0].taken == (go_over - come_back) / 40
