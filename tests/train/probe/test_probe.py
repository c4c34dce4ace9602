"""The probe against scikit-learn, and splits that lack a class or have one image of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from components.common import host
from components.common.artifacts.model import load_model, read_card
from components.train.probe.choice import FEW, PENALTIES, Known, choose_head
from components.train.probe.folds import deal
from components.train.probe.heads import LOGISTIC, MEANS, Way, fit_way
from components.train.selection.calibration import fit_temperature
from components.train.selection.scores import compute_accuracy, compute_log_loss
from components.train.spec import Augment, Finetune, Params
from tests.conftest import load_digits
from tests.train.digit_shards import write_digits
from tests.train.tiny_run import make_outputs, run_tiny


def take(classes: list[int], per_class: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features (the pixels, 0 to 1) and labels of some digits."""
    pixels, labels = load_digits()
    rows = [np.flatnonzero(labels == c)[start : start + per_class] for c in classes]
    chosen = np.concatenate(rows)
    return (pixels[chosen] / 255).reshape(-1, 64).astype(np.float32), labels[chosen]


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2], list(range(10))])
def test_probabilities_are_those_of_scikit_learn(classes: list[int]) -> None:
    features, labels = take(classes, 20)
    head = fit_way(Way(LOGISTIC), features, labels, len(classes))
    oracle = LogisticRegression(C=1.0, max_iter=1000).fit(features, labels)
    ours = softmax(head.compute_logits(features), axis=1)
    assert ours == pytest.approx(oracle.predict_proba(features), abs=1e-5)


@pytest.mark.parametrize("known", [[0, 2], [1, 2, 3]])
def test_a_class_without_images_is_never_answered(known: list[int]) -> None:
    features, labels = take(known, 15)
    logits = fit_way(Way(LOGISTIC), features, labels, 5).compute_logits(features)
    assert logits.shape == (len(labels), 5)
    assert set(logits.argmax(axis=1)) == set(known)
    absent = [c for c in range(5) if c not in known]
    assert softmax(logits, axis=1)[:, absent].max() < 1e-6


def test_standardising_is_folded_into_the_head() -> None:
    features, labels = take([0, 1, 2], 20)
    features[:, 3] = 7.0  # says nothing
    head = fit_way(Way(LOGISTIC, standardised=True, penalty=0.1), features, labels, 3)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    varied = features[:, features.std(axis=0) > 0.01 * np.median(features.std(axis=0))]
    oracle.fit(varied, labels)
    ours = softmax(head.compute_logits(features), axis=1)
    assert ours == pytest.approx(oracle.predict_proba(varied), abs=2e-2)
    assert (ours.argmax(axis=1) == oracle.predict(varied)).all()


def test_nearest_mean_is_that_of_scikit_learn() -> None:
    features, labels = take(list(range(10)), 5)
    asked, _ = take(list(range(10)), 20, 5)
    head = fit_way(Way(MEANS), features, labels, 10)
    oracle = NearestCentroid().fit(features, labels)
    assert (head.compute_logits(asked).argmax(axis=1) == oracle.predict(asked)).all()


def find_by_brute_force(judge: Callable[[Way], tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the lowest log loss, each at its own temperature, of all heads there are."""
    ways = [Way(LOGISTIC, on, penalty) for on, all_ in PENALTIES.items() for penalty in all_]
    ways += [Way(MEANS), Way(MEANS, standardised=True)]
    losses = []
    for way in ways:
        logits, own = judge(way)
        scaled = softmax(logits / fit_temperature(logits, own), axis=1)
        losses.append(log_loss(own, scaled, labels=range(10)))
    return min(losses)


def test_the_head_is_the_best_on_validation() -> None:
    (features, labels), (val, own) = take(list(range(10)), 8), take(list(range(10)), 20, 8)
    head, crossed = choose_head(Known(features, labels, val, own, 10, np.arange(280)), 0)
    assert crossed is None
    found = log_loss(own, softmax(head.compute_logits(val), axis=1), labels=range(10))
    best = find_by_brute_force(
        lambda way: (fit_way(way, features, labels, 10).compute_logits(val), own)
    )
    assert found == pytest.approx(best, rel=0.02)


def test_few_validation_images_do_not_choose_alone() -> None:
    """Of 10 validation images chance would choose; cross-validation over all 60 does not."""
    (features, labels), (val, own) = take(list(range(10)), 5), take(list(range(10)), 1, 5)
    groups = np.arange(60)
    head, crossed = choose_head(Known(features, labels, val, own, 10, groups), 0)
    both, known = np.concatenate([features, val]), np.concatenate([labels, own])

    def judge(way: Way) -> tuple[np.ndarray, np.ndarray]:
        folds = list(deal(known, groups, 5, 0))
        logits = [fit_way(way, both[f], known[f], 10).compute_logits(both[j]) for f, j in folds]
        return np.concatenate(logits), np.concatenate([known[j] for _, j in folds])

    logits, judged = judge(head.way)
    assert crossed == accuracy_score(judged, logits.argmax(axis=1))
    loss = log_loss(judged, softmax(logits, axis=1), labels=range(10))
    assert loss == pytest.approx(find_by_brute_force(judge), rel=0.02)
    assert len(groups) < FEW


@pytest.mark.parametrize("cores", [1, 2])
def test_small_fits_have_one_thread(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More would wait for each other, a hundred times as long where another program runs."""
    seen = []
    fit = LogisticRegression.fit

    def watch(self: Any, *arguments: Any) -> Any:
        blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        seen.append({pool["num_threads"] for pool in blas})
        return fit(self, *arguments)

    monkeypatch.setattr(LogisticRegression, "fit", watch)
    monkeypatch.setattr(host, "count_cores", lambda: cores)
    features, labels = take([0, 1], 20)
    fit_way(Way(LOGISTIC), features, labels, 2)
    monkeypatch.setattr(host, "THREAD_OPERATIONS", 100)  # as if the work were large
    fit_way(Way(LOGISTIC), features, labels, 2)
    assert seen == [{1}, {cores}]


def test_a_fit_that_is_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.common.shards.examples import read_split
    from components.train.feed.material import Material
    from components.train.feed.recipe import Recipe
    from components.train.networks.backbones import find_backbone
    from components.train.networks.network import create_network
    from components.train.probe import probe
    from components.train.runtime.checkpoint import Checkpoint
    from tests.train.tiny_run import create_tiny, register_tiny

    write_digits(tmp_path / "shards", {"train": (9, 9), "val": (4, 4), "test": (2, 2)})
    splits = (read_split(tmp_path / "shards", name) for name in ("train", "val"))
    material = Material(*splits, Recipe(Finetune(), Augment(), flip=False, seed=0, classes=2))
    register_tiny()
    body = create_tiny(False, None, (32, 32, 3))
    network = create_network(find_backbone("Tiny"), body, ["0", "1"], size_px=32, dropout=0.0)
    checkpoint = Checkpoint(tmp_path / "model.keras", {})
    first = probe.run_probe(network, material, Params(), checkpoint)

    def refuse(*_: object) -> None:
        raise AssertionError("it was fitted again")

    monkeypatch.setattr(probe, "choose_head", refuse)
    again = probe.run_probe(network, material, Params(), checkpoint)
    assert np.array_equal(again.head.weights, first.head.weights)
    assert np.array_equal(again.head.bias, first.head.bias)
    assert (again.head.way, again.accuracy) == (first.head.way, first.accuracy)


def test_loss_and_accuracy_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(50, 4)), random.integers(0, 4, 50)
    oracle = log_loss(labels, softmax(logits, axis=1), labels=range(4))
    assert compute_log_loss(logits, labels) == pytest.approx(oracle)
    assert compute_accuracy(logits, labels) == accuracy_score(labels, logits.argmax(axis=1))


@pytest.mark.parametrize(
    "counts",
    [
        {"train": (6, 6), "val": (3, 3)},  # two classes
        {"train": (6, 6, 1), "val": (3, 3, 0)},  # one image of a class, and none to judge by
        {"train": (6, 6, 6), "val": (3, 0, 3)},  # a class that validation lacks
    ],
    ids=["two-classes", "one-image", "class-not-in-val"],
)
def test_small_data_sets_train(
    counts: dict[str, tuple[int, ...]], mlflow_store: Path, tmp_path: Path
) -> None:
    tested = {"test": (3,) * len(counts["train"])}
    dataset = write_digits(tmp_path / "shards", counts | tested)
    outputs = make_outputs(tmp_path)
    settings = {"epochs": 1, "batch_size": 4, "unfreeze": 0}
    run_tiny(tmp_path / "shards", tmp_path, finetune=settings)
    assert read_card(outputs.model).class_names == dataset.class_names
    answers = load_model(outputs.model).predict(np.zeros((1, 32, 32, 3)), verbose=0)
    assert answers.shape == (1, len(dataset.class_names))
    assert answers.sum() == pytest.approx(1.0)
    with outputs.history.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["phase"] for row in rows] == ["probe", "fine-tune"]
    assert all(np.isfinite(float(row["val_loss"])) for row in rows)
    with (outputs.findings / "label_issues.csv").open() as stream:
        alone = [n for n, c in zip(dataset.class_names, counts["train"], strict=True) if c == 1]
        assert not [row for row in csv.DictReader(stream) if row["label"] in alone]
