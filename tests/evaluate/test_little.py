"""Little to measure: one image, a class without images; and answers that are no numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from components.common.errors import DarkroomError
from components.common.model import load_model, read_card, save_model
from components.evaluate.metrics import create_metrics
from components.evaluate.run import run
from components.evaluate.shares import Sampling
from components.evaluate.slices import judge_slices
from components.evaluate.spec import Params
from tests.evaluate.conftest import Room, predictions_of


def test_one_image_and_classes_without_any() -> None:
    found = predictions_of(np.array([1]), np.array([[0.0, 2.0, 1.0]]))
    sampling = Sampling(np.zeros(1, np.int64), 0.95, 100)
    metrics = create_metrics(found, "d", sampling, 2)
    json.dumps(metrics, allow_nan=False)
    assert metrics["accuracy"] == 1
    assert metrics["intervals"]["accuracy"][0] < 0.3  # one image proves next to nothing
    assert metrics["classes"][0]["recall"] is None
    assert "No test image of class 0, class 2" in metrics["notes"][0]
    assert "roc_auc" not in metrics  # there is no rest to hold the class against
    slices = judge_slices({"camera": [("phone", "")]}, np.array([True]), sampling, 30)
    assert [one.is_judged for one in slices] == [False]


def test_answers_that_are_no_numbers_are_refused(room: Room) -> None:
    network, card = load_model(room.inputs.model), read_card(room.inputs.model)
    network.set_weights([np.full_like(one, np.nan) for one in network.get_weights()])
    save_model(room.inputs.model, network, card)
    with pytest.raises(DarkroomError, match=r"are not numbers .* training diverged"):
        run(room.inputs, room.outputs, Params(resamples=100))
    assert not room.outputs.metrics.exists()


def test_a_model_of_other_classes_is_refused(room: Room) -> None:
    network, card = load_model(room.inputs.model), read_card(room.inputs.model)
    save_model(room.inputs.model, network, replace(card, class_names=["1", "3", "8", "shirt"]))
    with pytest.raises(DarkroomError, match="only the model has shirt; only the data has 9"):
        run(room.inputs, room.outputs, Params(resamples=100))
