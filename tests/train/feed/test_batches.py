"""What fine-tuning is fed: every image once an epoch, balance, and equal shares of machines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from components.common.shards.examples import Examples
from components.train.feed.batches import (
    Feed,
    compute_class_weights,
    create_batches,
    create_order,
)
from components.train.feed.recipe import Recipe
from components.train.spec import Augment, Finetune

STILL: dict[str, Any] = dict.fromkeys(
    ("rotation_degrees", "shear_degrees", "zoom", "shift", "crop", "colour", "erase"), 0
)
LABELS = np.array([0] * 12 + [1] * 4 + [2] * 3)  # and none of a fourth class


def make_recipe(augment: dict[str, Any] | None = None, **finetune: Any) -> Recipe:
    settings = Finetune(**({"batch_size": 8} | finetune))
    return Recipe(settings, Augment(**(augment or STILL)), flip=False, seed=0, classes=4)


def make_examples(labels: np.ndarray = LABELS, size: int = 16) -> Examples:
    """Return images that each have a value of their own, 1, 2, …"""
    count = len(labels)
    values = np.arange(1, count + 1, dtype=np.uint8)
    pixels = np.broadcast_to(values[:, None, None, None], (count, size, size, 3)).copy()
    names = [str(value) for value in values]
    return Examples(pixels, labels.astype(np.int64), names, names)


def read(examples: Examples, recipe: Recipe, epoch: int = 1, steps: Any = None) -> list[Any]:
    batches = create_batches(examples, recipe, epoch, steps)
    return [tuple(part.numpy() for part in batch) for batch in batches]


def test_every_image_once_an_epoch_in_another_order() -> None:
    examples, recipe = make_examples(), make_recipe()
    orders = []
    for epoch in (1, 2):
        batches = read(examples, recipe, epoch)
        assert [len(pixels) for pixels, _ in batches] == [8, 8, 8]
        values = np.concatenate([pixels[:, 0, 0, 0] for pixels, _ in batches]).astype(int)
        targets = np.concatenate([targets for _, targets in batches])
        assert sorted(values[:19]) == list(range(1, 20))
        assert (values[19:] == values[:5]).all()  # the last batch is filled up from the first
        np.testing.assert_array_equal(targets.argmax(axis=1), LABELS[values - 1])
        orders.append(tuple(values))
    assert orders[0] != orders[1]


def test_a_part_of_an_epoch_is_what_the_whole_has_there() -> None:
    recipe = make_recipe({"mixup": 0.4, "colour": 0.3, "erase": 0.5, "policy": "randaugment"})
    whole = read(make_examples(), recipe)
    (last,) = read(make_examples(), recipe, steps=range(2, 3))
    for one, other in zip(whole[2], last, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_batch_alone_is_that_of_the_pipeline() -> None:
    recipe = make_recipe({"mixup": 0.4, "colour": 0.3, "erase": 0.5, "policy": "randaugment"})
    feed = Feed(make_examples(), recipe)
    for epoch, step in ((1, 0), (3, 2), (2, 1)):
        alone = feed.make_batch(epoch, step)
        for one, other in zip(alone, read(make_examples(), recipe, epoch, [step])[0], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "mixing", [{"mixup": 0.4, "cutmix": 1.0}, pytest.param({}, marks=pytest.mark.slow)], ids=str
)
def test_machines_make_equal_shares_of_the_same_batch(mixing: dict[str, float]) -> None:
    changes: dict[str, Any] = {"colour": 0.3, "erase": 0.5, "policy": "trivialaugment", **mixing}
    recipe = make_recipe(changes, balance="weights")
    whole = read(make_examples(), recipe)
    shares = [
        read(make_examples(), replace(recipe, process=process, processes=2)) for process in (0, 1)
    ]
    for batch, first, second in zip(whole, *shares, strict=True):
        for one, a, b in zip(batch, first, second, strict=True):
            assert len(a) == len(b) == 4
            np.testing.assert_allclose(np.concatenate([a, b]), one, atol=1e-3)


@pytest.mark.parametrize(
    ("images", "devices", "size"), [(19, 1, 8), (19, 4, 8), (19, 3, 6), (5, 2, 4), (1, 2, 2)]
)
def test_a_batch_is_as_large_as_the_devices_can_share(images: int, devices: int, size: int) -> None:
    recipe = replace(make_recipe(), devices=devices)
    assert recipe.batch_size(images) == size
    assert recipe.count_steps(images) == -(-images // size)


def test_class_weights_are_those_of_scikit_learn() -> None:
    found = compute_class_weights(LABELS, 4)
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert found[:3] == pytest.approx(oracle)
    assert found[3] == 0  # a class without images
    batches = read(make_examples(), make_recipe(balance="weights"))
    for _, targets, weights in batches:
        assert weights == pytest.approx(found[targets.argmax(axis=1)])


def test_balanced_sampling_shows_each_class_as_often() -> None:
    recipe = make_recipe(balance="sampling")
    orders = np.concatenate([create_order(LABELS, recipe, epoch) for epoch in range(60)])
    counts = np.bincount(LABELS[orders], minlength=4)
    assert counts[:3] / counts.sum() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert counts[3] == 0
    once = create_order(LABELS, recipe, 1)
    assert len(once) == len(LABELS)
    assert set(once[LABELS[once] == 2]) == {16, 17, 18}  # the rare ones come all, again and again
    seen = np.unique(orders)
    assert len(seen) == len(LABELS)  # over epochs the common ones come as well


def test_a_mixed_image_weighs_as_its_labels_do() -> None:
    """Weighted losses of both labels by their shares: not the weight of one of the two."""
    recipe = make_recipe(STILL | {"mixup": 1.0}, balance="weights", batch_size=19)
    plain = replace(recipe, finetune=replace(recipe.finetune, balance="none"))
    ((pixels, targets, weights),) = read(make_examples(), recipe)
    ((same, shares),) = read(make_examples(), plain)
    np.testing.assert_array_equal(pixels, same)
    own = compute_class_weights(LABELS, 4)
    assert (shares > 0).sum(axis=1).max() == 2  # some are mixed of two classes
    losses = -np.log(np.array([[0.5, 0.2, 0.2, 0.1]]))
    expected = (shares * own * losses).sum(axis=1)
    np.testing.assert_allclose(weights * (targets * losses).sum(axis=1), expected, rtol=1e-5)
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, rtol=1e-5)


def test_a_few_images_come_several_times_an_epoch() -> None:
    recipe = replace(make_recipe(), passes=3)
    values = np.concatenate([pixels[:, 0, 0, 0] for pixels, _ in read(make_examples(), recipe)])
    assert len(values) == 64  # 57, and the last batch is filled up
    for first in (0, 19, 38):
        assert sorted(values[first : first + 19].astype(int)) == list(range(1, 20))
    assert list(values[:19]) != list(values[19:38])
