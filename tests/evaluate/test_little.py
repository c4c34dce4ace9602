"""Little to measure: one image, a class without images; and answers that are no numbers."""

from __future__ import annotations

import html
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.common.artifacts.dataset import read_dataset, write_dataset
from components.common.artifacts.model import LOGITS, load_model, read_card, save_model
from components.common.artifacts.predictions import read_predictions
from components.common.errors import DarkroomError
from components.common.images.pixels import ImageForm
from components.common.statistics.shares import Sampling
from components.evaluate.checks.slices import judge_slices
from components.evaluate.metrics.metrics import create_metrics
from components.evaluate.run import run
from components.evaluate.spec import Params
from tests.evaluate.conftest import Room, predictions_of, write_shards, write_tables


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


def test_a_model_of_another_form_or_of_other_outputs_is_refused(room: Room) -> None:
    from components.common.backend import keras

    network, card = load_model(room.inputs.model), read_card(room.inputs.model)
    save_model(room.inputs.model, network, replace(card, form=ImageForm(16, "crop", "#ffffff")))
    with pytest.raises(DarkroomError, match=r"crop to 16 px .* holds crop to 8 px"):
        run(room.inputs, room.outputs, Params(resamples=100))
    flow = keras.layers.Flatten()(network.input)
    logits = keras.layers.Dense(3, name=LOGITS)(flow)
    save_model(room.inputs.model, keras.Model(network.input, logits), card)
    with pytest.raises(DarkroomError, match="gives 3 logits for 4 classes"):
        run(room.inputs, room.outputs, Params(resamples=100))


def test_the_stage_takes_a_single_test_image(room: Room) -> None:
    """Four classes, three of them without a test image, and one image in all."""
    shutil.rmtree(room.inputs.shards)
    write_shards(room.inputs.shards, {"1": 0, "3": 0, "8": 1, "9": 0})
    write_tables(room.folder)
    run(room.inputs, room.outputs, Params(resamples=100, latency_runs=1))
    text = room.outputs.metrics.read_text()
    found = json.loads(text)
    assert "NaN" not in text
    assert found["images"] == 1
    assert found["intervals"]["accuracy"][1] - found["intervals"]["accuracy"][0] > 0.7
    assert "No test image of 1, 3, 9" in found["notes"][0]
    assert found["notes"][0] in html.unescape(room.outputs.report.read_text())
    assert not any(one["is_judged"] for one in found["slices"])
    assert len(pd.read_parquet(room.outputs.predictions)) == 1


def test_a_class_that_training_never_saw_is_said_to_be_so(room: Room) -> None:
    dataset = read_dataset(room.inputs.shards)
    train = dataset.splits["train"]
    counts = train.examples_per_class | {"9": 0}
    splits = dataset.splits | {"train": replace(train, examples_per_class=counts)}
    write_dataset(room.inputs.shards, replace(dataset, splits=splits))
    costs = {"1": {"*": 30.0}}
    settings = Params(
        resamples=100, latency_runs=1, robustness_images=0, costs=costs, review_cost=2.0
    )
    run(room.inputs, room.outputs, settings)
    found = json.loads(room.outputs.metrics.read_text())
    notes = found["notes"]
    assert any("No training image of 9: the model cannot have learnt it" in one for one in notes)
    card, page = room.outputs.model_card.read_text(), room.outputs.report.read_text()
    assert "No training image of 9" in card
    # With costs, what is answered is what costs least, in all files.
    answers = read_predictions(room.outputs.predictions)
    table = np.array(found["decisions"]["costs"])
    assert (answers.predicted == (answers.probabilities @ table).argmin(axis=1)).all()
    assert (answers.predicted != answers.probabilities.argmax(axis=1)).any()
    assert found["accuracy"] == pytest.approx(answers.correct.mean())
    paid = table[answers.labels, answers.predicted].mean()
    assert found["costs"]["expected"] == pytest.approx(paid)
    assert f"An answer costs {paid:.4g} on the average" in card
    assert f"An answer costs {paid:.4g} on the average" in page
    assert set(answers.groups) == set(pd.read_parquet(room.inputs.splits)["group_id"])


def test_costs_of_a_class_that_there_is_not_stop_the_stage_before_any_work(room: Room) -> None:
    with pytest.raises(DarkroomError, match=r"evaluate.costs: no class 'shoe'; legal are 1, 3, 8"):
        run(room.inputs, room.outputs, Params(costs={"shoe": {"*": 2.0}}))
    assert not room.outputs.predictions.exists()
