"""What `train.recipe: auto` makes of counts and of the probe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components.train.selection.rules import Plan, plan_finetuning
from components.train.spec import Finetune, Params


def plan(
    images: int = 1002,
    accuracy: float = 0.9,
    norm: bool = True,
    common: float = 0.1,
    scale: float = 1.0,
    **settings: Any,
) -> Plan:
    recipe = settings.pop("recipe", "auto")
    params = replace(Params(recipe=recipe), finetune=Finetune(**settings))
    size = min(32, images)
    return plan_finetuning(
        params,
        images=images,
        batch_size=size,
        accuracy=accuracy,
        common=common,
        has_batchnorm=norm,
        scale=scale,
    )


def count_steps(found: Plan, images: int) -> int:
    epochs = found.finetune.epochs
    assert isinstance(epochs, int)
    return epochs * found.passes * -(-images // min(32, images))


@pytest.mark.parametrize("images", [10, 50, 144, 200, 500, 1002])
def test_small_sets_get_as_many_steps_as_others(images: int) -> None:
    found = plan(images)
    assert 220 <= count_steps(found, images) <= 340
    assert found.finetune.epochs == 8  # looks at validation
    assert any("steps" in choice.reason for choice in found.choices)


def test_more_images_are_seen_less_often_but_get_more_steps() -> None:
    counts = (1002, 2000, 5000, 20_000, 100_000, 1_000_000)
    epochs = [plan(images).finetune.epochs for images in counts]
    steps = [count_steps(plan(images), images) for images in counts]
    assert epochs == sorted(epochs, key=lambda count: -int(count))
    assert (epochs[0], epochs[-1]) == (8, 2)
    assert steps == sorted(steps)


def test_a_probe_that_is_good_enough_is_the_end_of_it() -> None:
    assert plan(accuracy=0.995).finetune.epochs == 0
    assert "99.5%" in plan(accuracy=0.995).choices[0].reason
    assert plan(accuracy=0.985).finetune.epochs == 8
    assert plan(accuracy=0.995, epochs=3).finetune.epochs == 3  # whoever sets them gets them


def test_a_probe_that_knows_the_most_common_class_alone_is_not() -> None:
    common = 500 / 503
    assert plan(accuracy=common, common=common).finetune.epochs == 8  # it never names the other
    assert plan(accuracy=501 / 503, common=common).finetune.epochs == 8  # one of its three images
    assert plan(accuracy=502 / 503, common=common).finetune.epochs == 0
    assert plan(accuracy=0.9901, common=0.98).finetune.epochs == 0


def test_images_far_smaller_than_those_of_the_pretraining_are_learnt_faster() -> None:
    assert plan(scale=96 / 224).rates == (1e-3, 2.5e-4)
    assert plan(scale=160 / 224).rates == plan(scale=300 / 224).rates == (5e-4, 1.25e-4)
    assert plan(scale=0.1, norm=False).rates == plan(norm=False).rates
    assert plan(scale=0.1, lora_rank=8).rates == plan(lora_rank=8).rates
    assert plan(scale=0.1, recipe="fixed").rates == plan(recipe="fixed").rates
    assert plan(scale=0.1, learning_rate=0.002).rates == (0.002,)
    assert plan(scale=0.1, epochs=12).rates == (1e-3,)
    (said,) = (one for one in plan(scale=0.1).choices if "learning_rate" in one.setting)
    assert "10 times the side" in said.describe()


def test_what_is_set_by_hand_stays() -> None:
    found = plan(learning_rate=0.002)
    assert found.rates == (0.002,)
    assert found.may_stop
    found = plan(epochs=12)
    assert (found.finetune.epochs, found.passes) == (12, 1)
    assert not found.may_stop
    assert not found.blends
    assert found.rates == (0.0005,)
    fixed = plan(recipe="fixed", accuracy=0.999)
    assert (fixed.finetune.epochs, fixed.finetune.learning_rate) == (8, 0.0005)
    assert not fixed.may_stop
    assert not fixed.choices


def test_networks_without_batchnorm_get_lower_rates() -> None:
    assert max(plan(norm=False).rates) < min(plan().rates)


def test_low_rank_updates_get_tenfold() -> None:
    found = plan(norm=False, lora_rank=8)
    assert found.rates == pytest.approx([10 * rate for rate in plan(norm=False).rates])
    assert "low-rank" in found.choices[-1].reason
    assert plan(norm=False, lora_rank=8, learning_rate=0.002).rates == (0.002,)
    assert plan(recipe="fixed", norm=False, lora_rank=8).rates == pytest.approx((1e-3,))
