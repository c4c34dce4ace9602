"""Settings of the recipe, each against what it should do to weights, schedule or data."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from components.common.artifacts.model import load_model, read_card, take_part
from components.common.shards.examples import Examples, read_split
from components.train.feed.batches import create_batches, create_order
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.finetuning import preflight
from components.train.finetuning.fitting import Finetuning, Progress, to_numpy
from components.train.finetuning.optimizers import create_optimizer
from components.train.finetuning.preflight import Speed, start_phase
from components.train.networks.network import HEAD_INPUT, create_network, unfreeze
from components.train.probe.features import extract_features
from components.train.probe.heads import fit_way
from components.train.probe.probe import run_probe
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import create_forward
from components.train.runtime.passes import run_forward
from components.train.spec import Augment, Finetune
from tests.train.digit_shards import write_digits
from tests.train.tiny_run import create_tiny, make_params, register_tiny, run_tiny

SPEED = Speed(
    input=80.0, compute=80.0, train_images=80, val_images=24, shared=False, memory_mb=100.0
)


def create(size_px: int = 32, classes: int = 4) -> Any:
    from components.common.backend import keras
    from components.train.networks.backbones import find_backbone

    register_tiny()
    keras.utils.set_random_seed(0)
    body = create_tiny(False, None, (size_px, size_px, 3))
    names = [str(number) for number in range(classes)]
    return create_network(find_backbone("Tiny"), body, names, size_px=size_px, dropout=0.0)


def make_recipe(**finetune: Any) -> Recipe:
    settings = Finetune(**({"epochs": 8, "batch_size": 8, "dropout": 0.0} | finetune))
    return Recipe(settings, Augment(), flip=False, seed=0, classes=4)


@pytest.fixture(scope="module")
def examples(shards: Path) -> tuple[Examples, Examples]:
    return read_split(shards, "train"), read_split(shards, "val")


@pytest.mark.parametrize(("clip_norm", "step"), [(0.0, 5.0), (1.0, 1.0), (100.0, 5.0)])
def test_gradients_together_are_no_longer_than_clip_norm(clip_norm: float, step: float) -> None:
    from components.common.backend import keras

    settings = Finetune(optimizer="sgd", learning_rate=1.0, warmup_fraction=0, clip_norm=clip_norm)
    variables = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(1))]
    optimizer = create_optimizer(settings, 1000)
    optimizer.apply([np.array([3.0, 0.0]), np.array([4.0])], variables)  # together 5 long
    moved = np.concatenate([to_numpy(variable) for variable in variables])
    # Nesterov's first step is 1.9 times the gradient.
    assert np.linalg.norm(moved) == pytest.approx(1.9 * step, rel=1e-3)
    assert moved[0] / moved[2] == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("seconds", "epochs"),
    # An epoch takes 80 / 80 s, and judging 24 images a third of 24 / 80 s: 1.1 s. Five looks more
    # and writing the model take 10.5 s.
    [(None, 8), (14.7, 3), (30, 8), (1000, 8), (11, 0), (0.01, 0)],
)
def test_the_schedule_fits_the_budget(
    seconds: float | None,
    epochs: int,
    examples: tuple[Examples, Examples],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(preflight, "measure_speed", lambda phase: SPEED)
    phase = start_phase(create(), Material(*examples, make_recipe()), Progress(8), seconds)
    assert phase.progress.epochs == epochs
    told = capsys.readouterr().out
    assert (f"is enough for {epochs} epochs; all 8 would want" in told) == (epochs < 8)
    assert f"{epochs} epochs of about 1.1 s" in told
    if not epochs:
        return
    # The learning rate is 0 where the budget ends, not where all epochs would.
    rates = phase.optimizer._learning_rate
    assert float(rates(phase.steps * epochs)) == pytest.approx(0, abs=1e-9)
    assert float(rates(phase.steps * epochs - 2)) > 0


@pytest.mark.parametrize(
    ("took", "epoch", "said"),
    [
        (1.15, 3, ""),
        (0.85, 3, ""),
        (2.0, 3, "an epoch took 2.0 s, not 1.0 s: 6 more want 12 s"),
        (0.5, 8, "an epoch took 0.5 s, not 1.0 s: 1 more want 0.5 s"),
        (2.0, 9, ""),  # none is left
    ],
)
def test_an_estimate_that_was_wrong_is_said_anew(
    took: float, epoch: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(8, epoch=epoch, foretold=1.0)
    preflight.correct_estimate(progress, took)
    assert capsys.readouterr().out.strip() == said
    preflight.correct_estimate(progress, took)  # once is enough
    assert not capsys.readouterr().out
    preflight.correct_estimate(Progress(8, epoch=3), took)  # of a run that began with older code
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("batch_size", "fits", "parts"), [(12, 5, 4), (12, 1, 12), (7, 3, 7), (10, 4, 5)]
)
def test_short_memory_cuts_a_batch_into_equal_parts(
    batch_size: int,
    fits: int,
    parts: int,
    examples: tuple[Examples, Examples],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(phase: Finetuning) -> Speed:
        if batch_size // phase.progress.accumulate > fits:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
        return SPEED

    monkeypatch.setattr(preflight, "measure_speed", measure)
    material = Material(*examples, make_recipe(batch_size=batch_size))
    phase = start_phase(create(), material, Progress(8))
    assert phase.progress.accumulate == parts
    assert batch_size % parts == 0


def test_no_memory_for_one_image_is_refused(
    examples: tuple[Examples, Examples], monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.common.errors import DarkroomError

    def measure(phase: Finetuning) -> Speed:
        raise MemoryError("out of memory")

    monkeypatch.setattr(preflight, "measure_speed", measure)
    with pytest.raises(DarkroomError, match="too little memory for one image at a time"):
        start_phase(create(), Material(*examples, make_recipe()), Progress(8))


def test_features_come_in_smaller_batches_where_memory_is_short(
    examples: tuple[Examples, Examples],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("components.train.probe.features.PIECE_BATCHES", 20)
    pixels, sizes = examples[0].pixels, []

    def forward(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        if len(sizes) > 22 and len(batch) > 1:  # in the second piece of 20 batches
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return batch.mean(axis=(1, 2))

    checkpoint = Checkpoint(tmp_path / "model.keras", {})
    found = extract_features(forward, pixels, 3, "train", checkpoint)
    np.testing.assert_allclose(found, pixels.mean(axis=(1, 2)), rtol=1e-6)
    assert sizes == [3] * 23 + [1] * (80 - 60)  # what was done before is not done again
    assert "out of memory with 3 images at once: going on with 1" in capsys.readouterr().out


def test_views_are_learned_beside_the_images_themselves(
    examples: tuple[Examples, Examples], tmp_path: Path
) -> None:
    train, val = examples
    network = create()
    params = replace(make_params({}, {}), probe_views=3)
    checkpoint = Checkpoint(tmp_path / "model.keras", {})
    found = run_probe(network, Material(train, val, make_recipe()), params, checkpoint)
    forward = create_forward(take_part(network, HEAD_INPUT))
    features, labels = [found.features], [train.labels]
    for view in (1, 2):
        order = create_order(train.labels, make_recipe(), view)
        batches = create_batches(train, make_recipe(), view)
        changed = np.concatenate([pixels.numpy() for pixels, _ in batches])[: len(order)]
        features.append(run_forward(forward, changed, 16, "views"))
        labels.append(train.labels[order])
    way = found.head.way
    oracle = fit_way(way, np.concatenate(features), np.concatenate(labels), 4)
    expected = softmax(oracle.compute_logits(found.val_features), axis=1)
    assert found.epoch.val_loss == pytest.approx(log_loss(val.labels, expected), abs=4e-3)
    alone = fit_way(way, found.features, train.labels, 4)
    other = log_loss(val.labels, softmax(alone.compute_logits(found.val_features), axis=1))
    assert abs(other - found.epoch.val_loss) > 1e-3


@pytest.mark.parametrize(
    ("finetune", "rare"), [({"balance": "none"}, 1.0), ({"balance": "weights"}, 4.0)]
)
def test_rare_classes_pull_harder_with_weights(finetune: dict[str, Any], rare: float) -> None:
    """The head's bias moves by the mean of target minus probability, weighted or not."""
    labels = np.array([0] * 12 + [1] * 4)
    pixels = np.zeros((16, 32, 32, 3), np.uint8)
    names = [str(number) for number in range(16)]
    train = Examples(pixels, labels.astype(np.int64), names, names)
    network = create(classes=2)
    network.get_layer("logits").set_weights(
        [np.zeros_like(network.get_layer("logits").get_weights()[0]), np.zeros(2)]
    )
    unfreeze(network, 0)
    recipe = make_recipe(
        batch_size=16, optimizer="sgd", learning_rate=0.1, warmup_fraction=0, **finetune
    )
    recipe = replace(recipe, classes=2, finetune=replace(recipe.finetune, label_smoothing=0.0))
    Finetuning(network, Material(train, train, recipe), Progress(1000)).fit(range(1))
    bias = network.get_layer("logits").get_weights()[1]
    common = 0.5 if rare == 1.0 else 16 / (2 * 12) * 0.5
    own = 0.5 if rare == 1.0 else 16 / (2 * 4) * 0.5
    gradient = (12 * common - 4 * own) / 16  # of the first class, towards more
    assert bias[0] == pytest.approx(0.1 * 1.9 * gradient, abs=1e-5)
    assert bias[1] == pytest.approx(-bias[0], abs=1e-6)


@pytest.mark.slow
def test_a_thousand_classes_of_one_image_each(tmp_path: Path, mlflow_store: Path) -> None:
    few = (1,) * 50
    counts = {"train": (1,) * 1000, "val": few + (0,) * 950, "test": (0,) * 50 + few + (0,) * 900}
    write_digits(tmp_path / "shards", counts)
    settings = {"epochs": 1, "batch_size": 256, "unfreeze": 0}
    run_tiny(tmp_path / "shards", tmp_path / "out", finetune=settings)
    model = tmp_path / "out/model.keras"
    assert len(read_card(model).class_names) == 1000
    answers = load_model(model).predict(np.zeros((2, 32, 32, 3)), verbose=0)
    assert answers.shape == (2, 1000)
    assert answers.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    with (tmp_path / "out/training/label_issues.csv").open() as stream:
        doubted = {row["label"] for row in csv.DictReader(stream)}
    # No other image tells what a class of one should look like; of fifty, val has a second.
    assert doubted <= {f"digit-{number}" for number in range(50)}


@pytest.mark.parametrize("size_px", [32, 45, 96])
def test_images_of_any_size_train(size_px: int, tmp_path: Path) -> None:
    dataset = write_digits(tmp_path / "shards", {"train": (8, 8), "val": (4, 4)}, size_px)
    train, val = (read_split(tmp_path / "shards", split) for split in ("train", "val"))
    assert train.pixels.shape[1:] == (size_px, size_px, 3)
    network = create(size_px, classes=2)
    recipe = replace(make_recipe(), classes=len(dataset.class_names))
    phase = Finetuning(network, Material(train, val, recipe), Progress(1))
    loss, _ = phase.fit(range(2))
    assert np.isfinite(loss)
    assert phase.judge().shape == (8, 2)
