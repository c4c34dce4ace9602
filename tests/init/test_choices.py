"""Which settings and rules fit how many images; the figures are checked by the rooms' own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.cli import create_schema
from components.common.errors import DarkroomError
from components.common.settings.params import flatten, read_params, read_yaml
from components.common.statistics.shares import compute_share_interval
from components.evaluate.metrics.calibration import compute_ece
from components.init.choices import choose_settings, make_name
from components.init.machine import Machine
from components.init.rules import GOOD, choose_rules, count_test, estimate_ece
from components.init.sight import Sight
from components.promote.spec import Rule
from components.train.networks.catalogue import CATALOGUE, SHIPPED

PARAMS = Path(__file__).parents[2] / "params.yaml"
PRESENT = flatten(read_yaml(PARAMS))
RULES = read_params(PARAMS, create_schema())["promote"].rules
LAPTOP = Machine(cores=2, gpu="", minutes=None)


def make_sight(**classes: int | dict[str, int]) -> Sight:
    counts = {n: {"": c} if isinstance(c, int) else c for n, c in classes.items()}
    return Sight("My photos", "data/photos", {}, counts)


def choose(sight: Sight, machine: Machine = LAPTOP, name: str = "", **own: Any) -> dict[str, Any]:
    present = PRESENT | {key.replace("__", "."): value for key, value in own.items()}
    found = choose_settings(sight, present, machine, name)
    return {choice.key: choice.value for choice in found if choice.has_changed}


def test_many_images_need_no_more_than_source_and_name() -> None:
    assert choose(make_sight(cat=400, dog=300)) == {
        "data.source": "data/photos",
        "mlflow.experiment": "my-photos",
        "mlflow.registered_model": "my-photos",
    }
    assert choose_rules(RULES, make_sight(cat=400, dog=300), 0.15) == []


def test_names_that_somebody_gave_stay() -> None:
    sight = make_sight(cat=400, dog=300)
    assert "mlflow.registered_model" not in choose(sight, mlflow__registered_model="mine")
    assert choose(sight, name="pets")["mlflow.registered_model"] == "pets"
    assert make_name("Fotos (alt).tar.gz") == "fotos-alt"
    assert make_name("…") == "darkroom"


def test_small_classes_are_left_out_and_one_class_is_refused() -> None:
    found = choose(make_sight(common=200, rare=60, tiny=3))
    assert found["validate.classes.min_images"] == 5
    assert "validate.classes.min_images" not in choose(
        make_sight(common=200, rare=60, tiny=3), validate__classes__min_images=10
    )
    with pytest.raises(DarkroomError, match="there are cat 9, dog 4; add photos"):
        choose(make_sight(cat=9, dog=4))
    with pytest.raises(DarkroomError, match="there is all 90"):
        choose(make_sight(all=90))


def test_few_images_are_shared_out_otherwise_but_given_splits_and_own_shares_stay() -> None:
    assert choose(make_sight(a=6, b=6))["preprocess.test_fraction"] == 0.3
    assert choose(make_sight(a=60, b=60))["preprocess.test_fraction"] == 0.25
    assert "preprocess.test_fraction" not in choose(
        make_sight(a=6, b=6), preprocess__test_fraction=0.2
    )
    given = make_sight(a={"train": 20, "test": 8}, b={"train": 20, "test": 8})
    assert "preprocess.test_fraction" not in choose(given)
    assert choose(given)["preprocess.val_fraction"] == 0.2


def test_minutes_become_a_budget_and_a_network_that_is_installed() -> None:
    sight = make_sight(cat=600, dog=600)
    short = choose(sight, Machine(2, "", 5))
    assert 1 <= short["train.budget_minutes"] < 5
    assert "train.backbone" not in short  # the fastest is the default
    assert choose(sight, Machine(2, "", 60))["train.backbone"] in SHIPPED
    assert choose(sight, Machine(2, "H200", 5))["train.backbone"] in SHIPPED
    assert CATALOGUE[choose(sight, Machine(2, "", 60))["train.backbone"]].top1 == max(
        CATALOGUE[name].top1 for name in SHIPPED
    )
    assert "train.backbone" not in choose(sight, Machine(2, "", 60), train__backbone="ResNet50")
    assert choose(sight, Machine(2, "", 0.1))["train.budget_minutes"] > 0


@pytest.mark.parametrize("test", [4, 7, 12, 18, 25, 30, 40])
def test_a_good_model_meets_the_rules_on_few_test_images(test: int) -> None:
    sight = make_sight(
        a={"train": 50, "test": test // 2}, b={"train": 50, "test": test - test // 2}
    )
    limits = {choice.key: choice.value for choice in choose_rules(RULES, sight, 0.15)}
    low = limits.get("promote.rules.1.at_least", RULES[1].at_least)
    for hits in range(test + 1):
        end = compute_share_interval(np.arange(test) < hits, np.arange(test), 0.95)[0]
        if hits >= GOOD * test:
            assert end >= low, f"{hits} of {test}"
    assert low <= RULES[1].at_least
    # A calibrated model, right in nine of ten: luck alone seldom passes the limit.
    ceiling = limits.get("promote.rules.5.at_most", RULES[5].at_most)
    dice = np.random.default_rng(0)
    eces = []
    for _ in range(300):
        sure = np.clip(dice.beta(9, 1, test), 0.5, 1)
        eces.append(compute_ece(sure, dice.random(test) < sure))
    assert np.mean(np.array(eces) <= ceiling) > 0.8
    assert estimate_ece(test) == pytest.approx(np.mean(eces), rel=0.5)


def test_rules_that_judge_no_class_learn_to() -> None:
    sight = make_sight(a={"train": 50, "test": 9}, b={"train": 50, "test": 5})
    own = [
        Rule("recall", at_least=0.5, each="classes", min_images=20),
        Rule("f1", at_least=0.5, each="classes", min_images=20),
        Rule("recall", at_least=0.5, each="classes", min_images=9),
        Rule("accuracy", at_least=0.5, each="slices", min_images=30),
    ]
    found = {choice.key: choice.value for choice in choose_rules(own, sight, 0.15)}
    assert found == {"promote.rules.0.small": "test", "promote.rules.1.min_images": 9}


def test_groups_count_as_one_image_each() -> None:
    sight = make_sight(a=300, b=300)
    assert count_test(sight, 0.15) == (90, 45)
    grouped = Sight("x", "x", {}, sight.classes, groups=40)
    assert count_test(grouped, 0.15) == (6, 45)
