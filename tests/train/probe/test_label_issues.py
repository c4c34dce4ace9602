"""Likely label errors: digits whose labels were changed on purpose must come out first."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from components.common.artifacts.history import Epoch
from components.common.artifacts.label_issues import LabelIssue, write_label_issues
from components.common.shards.examples import Examples
from components.train.probe.folds import deal
from components.train.probe.heads import LOGISTIC, Head, Way
from components.train.probe.label_issues import (
    compute_out_of_fold,
    describe_label_issues,
    find_label_issues,
)
from components.train.probe.probe import Probe
from tests.conftest import load_digits

EPOCH = Epoch("probe", 0, None, 0.0, 1.0, 0.0, 1.0, 1.0)
NAMES = [f"digit-{digit}" for digit in range(10)]


def make_split(rows: np.ndarray, labels: np.ndarray) -> tuple[Examples, np.ndarray]:
    """Return digits as examples and their pixels, 0 to 1, as features."""
    pixels, _ = load_digits()
    grey = pixels[rows]
    examples = Examples(
        np.repeat(grey[..., None], 3, axis=3),
        labels,
        [f"{row:04d}.png" for row in rows],
        [f"{row:064x}" for row in rows],
    )
    return examples, (grey / 255).reshape(len(rows), 64).astype(np.float32)


def make_probe(features: np.ndarray, val_features: np.ndarray, penalty: float = 1.0) -> Probe:
    way = Way(LOGISTIC, penalty=penalty)
    head = Head(np.zeros((64, 10), np.float32), np.zeros(10, np.float32), way)
    return Probe(EPOCH, head, features, val_features, np.zeros(len(val_features)), 1.0)


@pytest.fixture(scope="module")
def flipped() -> tuple[list[LabelIssue], dict[str, int], int]:
    """Return the issues of 900 digits with 5 % wrong labels, the true labels, their count."""
    _, truth = load_digits()
    random = np.random.default_rng(0)
    rows = random.permutation(len(truth))[:900]
    labels = truth[rows].copy()
    wrong = random.choice(900, 45, replace=False)
    labels[wrong] = (labels[wrong] + random.integers(1, 10, 45)) % 10
    train, features = make_split(rows[:700], labels[:700])
    val, val_features = make_split(rows[700:], labels[700:])
    issues = find_label_issues(train, val, make_probe(features, val_features), NAMES, seed=0).issues
    changed = {f"{rows[i]:04d}.png": int(truth[rows[i]]) for i in wrong}
    return issues, changed, len(rows)


def test_changed_labels_are_found(flipped: tuple[list[LabelIssue], dict[str, int], int]) -> None:
    issues, changed, _ = flipped
    hits = [issue for issue in issues if issue.path in changed]
    # Chance would hit 5 % of what it names.
    assert len(hits) / len(issues) >= 0.9  # precision
    assert len(hits) / len(changed) >= 0.7  # recall
    right = [issue for issue in hits if issue.suggested == NAMES[changed[issue.path]]]
    assert len(right) / len(hits) >= 0.9
    assert all(issue.label != issue.suggested for issue in issues)
    assert {issue.split for issue in hits} == {"train", "val"}


def test_the_most_suspicious_come_first(
    flipped: tuple[list[LabelIssue], dict[str, int], int],
) -> None:
    issues, changed, _ = flipped
    assert [issue.score for issue in issues] == sorted(issue.score for issue in issues)
    assert all(issue.score < issue.suggested_score for issue in issues)
    assert all(issue.path in changed for issue in issues[:10])


def test_out_of_fold_probabilities_rank_as_leave_one_out_does() -> None:
    _, truth = load_digits()
    rows = np.flatnonzero(truth < 4)[:160]
    random = np.random.default_rng(1)
    labels, wrong = truth[rows].copy(), np.zeros(160, bool)
    wrong[random.choice(160, 10, replace=False)] = True
    labels[wrong] = (labels[wrong] + 1) % 4
    _, features = make_split(rows, labels)
    own, judged = compute_out_of_fold(features, labels, 4, Way(LOGISTIC), seed=0)
    oracle = cross_val_predict(
        LogisticRegression(C=1.0, max_iter=1000),
        features,
        labels,
        cv=LeaveOneOut(),
        method="predict_proba",
    )
    assert judged.tolist() == list(range(160))
    assert own.sum(axis=1) == pytest.approx(np.ones(160))
    ranks = [
        average_precision_score(wrong, 1 - found[np.arange(160), labels]) for found in (own, oracle)
    ]
    assert ranks[0] == pytest.approx(ranks[1], abs=0.03)
    assert np.abs(own - oracle).mean() < 0.03


def test_an_unspoilt_set_has_next_to_none() -> None:
    _, truth = load_digits()
    rows = np.arange(400)
    train, features = make_split(rows[:300], truth[:300])
    val, val_features = make_split(rows[300:], truth[300:400])
    issues = find_label_issues(train, val, make_probe(features, val_features), NAMES, seed=0).issues
    assert len(issues) <= 4  # 1 %: these digits are hard to read, not wrong


@pytest.mark.parametrize("counts", [(30, 30, 1), (30, 3, 2), (4, 3, 1), (30, 30, 0)])
def test_classes_with_fewer_images_than_folds(
    counts: tuple[int, ...], recwarn: pytest.WarningsRecorder
) -> None:
    _, truth = load_digits()
    rows = np.concatenate([np.flatnonzero(truth == c)[:n] for c, n in enumerate(counts)])
    _, features = make_split(rows, truth[rows])
    own, judged = compute_out_of_fold(features, truth[rows], 3, Way(LOGISTIC), seed=0)
    # A class of one image is not judged; all others are, by a probe that knows their class.
    alone = {label for label, count in enumerate(counts) if count == 1}
    assert {int(truth[rows[i]]) for i in range(len(rows)) if i not in judged} == alone
    assert own[judged].sum(axis=1) == pytest.approx(np.ones(len(judged)))
    assert (own[judged, truth[rows][judged]] > 1e-3).all()
    split, features = make_split(rows, truth[rows])
    none, no_features = make_split(rows[:0], truth[rows[:0]])
    issues = find_label_issues(
        split, none, make_probe(features, no_features), NAMES[:3], seed=0
    ).issues
    assert all(NAMES.index(issue.label) not in alone for issue in issues)
    assert not [w for w in recwarn if "populated" in str(w.message)]


def test_two_classes_of_which_one_has_one_image() -> None:
    _, truth = load_digits()
    rows = np.concatenate([np.flatnonzero(truth == 0)[:9], np.flatnonzero(truth == 1)[:1]])
    train, features = make_split(rows, truth[rows])
    val, no_features = make_split(rows[:0], truth[rows[:0]])
    assert (
        find_label_issues(train, val, make_probe(features, no_features), NAMES[:2], 0).issues == []
    )


def test_the_table(tmp_path: Path) -> None:
    issue = LabelIssue('a, "b"/ü.png', "val", "cat", "dog", 0.01234, 0.9, "s" * 64)
    write_label_issues(tmp_path / "label_issues.csv", [issue])
    with (tmp_path / "label_issues.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {
            "path": 'a, "b"/ü.png', "split": "val", "label": "cat", "suggested": "dog",
            "score": "0.0123", "suggested_score": "0.9000", "sha256": "s" * 64,
        }
    ]  # fmt: skip
    write_label_issues(tmp_path / "label_issues.csv", [])
    assert (tmp_path / "label_issues.csv").read_text().count("\n") == 1


def test_copies_of_wrongly_filed_images_are_found() -> None:
    """Each wrong image has two copies in its group: a fold that knew one would excuse them."""
    _, truth = load_digits()
    random = np.random.default_rng(2)
    rows = random.permutation(len(truth))[:500]
    wrong = rows[:20]
    labels = truth[rows].copy()
    labels[:20] = (labels[:20] + random.integers(1, 10, 20)) % 10
    kept = np.concatenate([rows, wrong, wrong])
    everything = np.concatenate([labels, labels[:20], labels[:20]])
    train, features = make_split(kept, everything)
    paths = [f"{number:04d}.png" for number in range(len(kept))]
    groups = [f"group {row}" for row in kept]
    val, no_features = make_split(rows[:0], truth[rows[:0]])
    probe = make_probe(features, no_features, 10.0)
    planted = {path for path, row in zip(paths, kept, strict=True) if row in set(wrong)}
    found = {}
    for known in (groups, []):
        split = replace(train, paths=paths, groups=known, sha256=paths)
        issues = find_label_issues(split, val, probe, NAMES, seed=0).issues
        found[bool(known)] = len(planted & {issue.path for issue in issues}) / 60
    assert found[True] >= 0.8
    assert found[False] < 0.5


def test_a_probe_that_knows_too_little_names_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    _, truth = load_digits()
    train, _ = make_split(np.arange(900), truth[:900])
    val, _ = make_split(np.arange(900, 1000), truth[900:1000])
    noise = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    found = find_label_issues(train, val, make_probe(noise[:900], noise[900:]), NAMES, seed=0)
    assert found.is_held_back
    assert found.issues == []
    assert found.agreement < 0.1
    assert "no list of label errors" in describe_label_issues(found)


@pytest.mark.parametrize("count", [20, 60, 300])
def test_folds_part_no_group_and_leave_no_class_unknown(count: int) -> None:
    random = np.random.default_rng(count)
    labels = np.sort(random.integers(0, 3, count))
    labels[-1] = 3  # alone in its class
    groups = random.integers(0, count // 2, count)
    seen = np.zeros(count, int)
    for fitted, judged in deal(labels, groups, 5, seed=0):
        assert not set(groups[fitted]) & set(groups[judged])
        assert set(labels[judged]) <= set(labels[fitted])
        seen[judged] += 1
    assert seen.max() == 1
    assert seen[-1] == 0
    assert (seen == 0).sum() <= 1 + count // 10
