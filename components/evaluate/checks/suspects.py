"""Which labels are probably wrong: what a person should look at, the likeliest first.

Three witnesses: the probes of train, which never saw the labels that they doubt (train and val);
the model's mistakes on the test images; and copies of one picture that are filed under several
classes. What a person has decided about before is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.artifacts.manifest import DROPPED, OK
from components.common.artifacts.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

DOUBTED, MISTAKEN, TWO_LABELS, ALIKE = "doubted", "mistaken", "two labels", "alike"
# Of two copies under two classes one is wrong, and nobody knows which.
CHANCE_OF_COPY = 0.5


@dataclass(frozen=True)
class Suspect:
    """One image to look at: all files of the same bytes."""

    sha256: str
    why: str  # DOUBTED, MISTAKEN, TWO_LABELS (the same bytes), ALIKE (a changed copy)
    files: list[tuple[str, str]]  # (path, label)
    split: str  # where it is; empty: in none
    likely: str  # the class that it looks like; empty: nobody says
    own_score: float | None  # probability of its label
    likely_score: float | None  # probability of the likely class
    chance: float  # that its label is wrong, 0 to 1: what they are sorted by


@dataclass(frozen=True)
class Decision:
    """What a person decided before, as the manifest has it."""

    sha256: str
    path: str
    label: str  # under which it was filed
    action: str  # keep, change, drop
    new_label: str  # of a change, else empty


def list_decisions(manifest: pd.DataFrame) -> list[Decision]:
    """Return what corrections did, one decision for each digest and label."""
    rows = manifest[manifest["label_before"].fillna("") != ""]
    found = {}
    for path, digest, before, label, reason in rows[
        ["path", "sha256", "label_before", "label", "reason"]
    ].to_numpy(object):
        action = "drop" if str(reason).startswith(DROPPED) else "keep"
        if action == "keep" and before != label:
            action = "change"
        new = label if action == "change" else ""
        found[digest, before] = Decision(digest, path, before, action, new)
    return list(found.values())


def leave_out_decided(
    issues: Sequence[dict[str, Any]], decisions: Sequence[Decision]
) -> list[dict[str, Any]]:
    """Return the rows of label_issues.csv that a person has not decided about."""
    digests, paths = {one.sha256 for one in decisions}, {one.path for one in decisions}
    return [one for one in issues if one.get("sha256") not in digests and one["path"] not in paths]


def find_suspects(
    issues: Sequence[Mapping[str, Any]],
    predictions: Predictions,
    manifest: pd.DataFrame,
    splits: Mapping[str, str],
) -> list[Suspect]:
    """Return the images to look at, those whose labels are likeliest wrong first.

    Args:
        issues: rows of label_issues.csv.
        predictions: of the test split.
        manifest: all files.
        splits: path → split, of the images in use.
    """
    manifest = manifest[manifest["status"] == OK]
    decided = set(manifest.loc[manifest["label_before"].fillna("") != "", "sha256"])
    files: dict[str, list[tuple[str, str]]] = defaultdict(list)
    digests: dict[str, str] = {}
    for path, digest, label in manifest[["path", "sha256", "label"]].to_numpy(object):
        files[digest].append((path, label))
        digests[path] = digest
    found: dict[str, Suspect] = {}
    for one in issues:
        path, label = str(one["path"]), str(one["label"])
        digest = digests.get(path) or str(one.get("sha256", ""))
        own, likely = float(one["score"]), float(one.get("suggested_score", "nan"))
        found[digest] = Suspect(
            digest,
            DOUBTED,
            files.get(digest) or [(path, label)],
            splits.get(path, str(one["split"])),
            str(one["suggested"]),
            own,
            None if np.isnan(likely) else likely,
            1 - own,
        )
    names = predictions.class_names
    for i in np.flatnonzero(~predictions.correct):
        digest, label = predictions.sha256[i], int(predictions.labels[i])
        own = float(predictions.probabilities[i, label])
        found[digest] = Suspect(
            digest,
            MISTAKEN,
            files.get(digest) or [(predictions.paths[i], names[label])],
            "test",
            names[predictions.predicted[i]],
            own,
            float(predictions.confidence[i]),
            1 - own,
        )
    for digest, why in _find_contradictions(manifest).items():
        known = found.get(digest)
        own_chance = known.chance if known else 0.0
        found[digest] = Suspect(
            digest,
            why,
            files[digest],
            next((splits[path] for path, _ in files[digest] if path in splits), ""),
            known.likely if known else "",
            known.own_score if known else None,
            known.likely_score if known else None,
            1.0 if why == TWO_LABELS else max(CHANCE_OF_COPY, own_chance),
        )
    kept = [one for digest, one in found.items() if digest and digest not in decided]
    return sorted(kept, key=lambda one: (-one.chance, one.files[0][0]))


def find_twins(manifest: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return sha256 → (path, label) of other files that show its picture under other classes."""
    usable = manifest[manifest["status"] == OK]
    usable = usable[usable["picture"].fillna("") != ""]
    several = usable[usable.groupby("picture")["label"].transform("nunique") > 1]
    found: dict[str, list[tuple[str, str]]] = {}
    for _, rows in several.groupby("picture"):
        some = list(rows[["sha256", "path", "label"]].itertuples(index=False, name=None))
        for digest, _, label in some:
            found[digest] = [(p, name) for sha, p, name in some if sha != digest and name != label]
    return found


def _find_contradictions(usable: pd.DataFrame) -> dict[str, str]:
    """Return sha256 → TWO_LABELS or ALIKE, of images whose picture has several labels."""
    found = dict.fromkeys(find_twins(usable), ALIKE)
    several = usable.groupby("sha256")["label"].transform("nunique") > 1
    return found | dict.fromkeys(usable.loc[several, "sha256"], TWO_LABELS)
