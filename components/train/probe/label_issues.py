"""Images that are probably labelled wrongly, found by probes that never saw the label they judge.

The images of train and val are dealt into folds; a linear probe fitted on the other folds names
the classes of each (out-of-fold predictions, on features that are extracted anyway). Confident
learning (Northcutt et al. 2021, cleanlab) then counts how many labels are wrong. The test split
stays unseen: evaluate shows its confident mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.common.artifacts.label_issues import LabelIssue
from components.common.artifacts.model import compute_probabilities
from components.common.shards.examples import Examples
from components.train.probe.folds import deal, number_groups
from components.train.probe.heads import Way, fit_way
from components.train.probe.probe import Probe

FOLDS = 5  # each probe then sees 80 % of the images
# Of 900 digits with 5 % of the labels changed, seen in fewer dimensions, 15 % of the images that
# were named were wrong at a kappa of 0.52, 35 % at 0.67, 52 % at 0.78 and 95 % at 0.89; with 20 %
# changed, 70 % at 0.55.
LEAST_AGREEMENT = 0.6


@dataclass(frozen=True)
class Issues:
    """What was found, and how far it can be trusted."""

    issues: list[LabelIssue]  # most suspicious first
    agreement: float  # of labels and out-of-fold answers, see compute_agreement

    @property
    def is_held_back(self) -> bool:
        """Whether the probes know too little for a list."""
        return self.agreement < LEAST_AGREEMENT


def find_label_issues(
    train: Examples, val: Examples, probe: Probe, class_names: Sequence[str], seed: int
) -> Issues:
    """Return the images whose labels are probably wrong, most suspicious first.

    At most as many images as confident learning counts wrong labels, each looking like another
    class than its own.

    Args:
        train: the training split.
        val: the validation split.
        probe: features of both, and the head that suits them.
        class_names: position = label.
        seed: of the deal into folds.
    """
    features = np.concatenate([probe.features, probe.val_features])
    labels = np.concatenate([train.labels, val.labels])
    groups = number_groups([*train.units, *val.units])
    probabilities, judged = compute_out_of_fold(
        features, labels, len(class_names), probe.head.way, seed=seed, groups=groups
    )
    agreement = compute_agreement(labels[judged], probabilities[judged])
    if agreement < LEAST_AGREEMENT:
        return Issues([], agreement)
    rows = judged[find_wrong(labels[judged], probabilities[judged])]
    suggested = probabilities.argmax(axis=1)
    paths, sha256 = [*train.paths, *val.paths], [*train.sha256, *val.sha256]
    issues = [
        LabelIssue(
            path=paths[row],
            split="train" if row < len(train.labels) else "val",
            label=class_names[labels[row]],
            suggested=class_names[suggested[row]],
            score=float(probabilities[row, labels[row]]),
            suggested_score=float(probabilities[row, suggested[row]]),
            sha256=sha256[row],
        )
        for row in rows
        if suggested[row] != labels[row]
    ]
    return Issues(sorted(issues, key=lambda issue: (issue.score, issue.path)), agreement)


def compute_out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    way: Way,
    *,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's probabilities by a probe that was fitted without it and its group.

    Args:
        features: (images, channels).
        labels: (images,), 0 to classes - 1.
        classes: number of classes.
        way: in which probes are fitted.
        seed: of the deal into folds.
        groups: (images,) numbers, equal ones for copies and images of one group; None: all differ.

    Returns:
        float64 (images, classes), and which of its rows are filled, int (judged,). An image alone
        in its class, or with its group, is never judged: no other probe could know its class.
    """
    probabilities = np.zeros((len(labels), classes))
    own = np.arange(len(labels)) if groups is None else groups
    judged: list[np.ndarray] = []
    for fitted, rows in deal(labels, own, FOLDS, seed):
        head = fit_way(way, features[fitted], labels[fitted], classes)
        probabilities[rows] = compute_probabilities(head.compute_logits(features[rows]), 1.0)
        judged.append(rows)
    return probabilities, np.sort(np.concatenate(judged)) if judged else np.zeros(0, int)


def compute_agreement(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return Cohen's kappa of labels and most probable classes: 0 is chance, 1 all alike."""
    from sklearn.metrics import cohen_kappa_score

    found = probabilities.argmax(axis=1)
    if (found == labels).all():
        return 1.0
    return float(cohen_kappa_score(labels, found))


def find_wrong(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return which rows are probably labelled wrongly, by confident learning.

    Of the ways that cleanlab has to choose as many images as it counts wrong labels, the lowest
    probability of the own label had the best precision, 0.95 to 1 at a recall of 0.72 to 0.88, on
    the pixels of the 1,797 digits with 5 % of the labels changed.

    Args:
        labels: (images,).
        probabilities: out-of-fold, (images, classes).
    """
    from cleanlab.filter import find_label_issues as find

    if len(labels) == 0:
        return np.zeros(0, int)
    known = np.unique(labels)  # cleanlab wants classes without gaps
    among = probabilities[:, known] / probabilities[:, known].sum(axis=1, keepdims=True)
    positions = np.searchsorted(known, labels)
    return np.flatnonzero(find(positions, among, filter_by="low_self_confidence", n_jobs=1))


def describe_label_issues(found: Issues) -> str:
    """Return what was found, in a sentence."""
    if found.is_held_back:
        return (
            "no list of label errors: probes that had not seen the labels agree with them by kappa "
            f"{found.agreement:.2f}, and below {LEAST_AGREEMENT:g} most of what they doubt is "
            "right; another backbone, larger images or more of them may tell"
        )
    if not found.issues:
        return "no likely label errors in train and val"
    first = found.issues[0]
    return (
        f"{len(found.issues)} likely label errors in train and val (probes that had not seen the "
        f"labels agree with them by kappa {found.agreement:.2f}); first {first.path}, filed as "
        f"{first.label}, looks like {first.suggested}"
    )
