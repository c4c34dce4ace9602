"""A training run as it is without a search: it leaves findings, a calibrated model, its history."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.curve import FINETUNED, CurvePoint, read_curve, write_curve
from components.common.artifacts.dataset import Dataset
from components.common.artifacts.findings import HELD_BACK, NO_CURVE, FindingFiles
from components.common.artifacts.history import PROBE, Epoch, write_history
from components.common.artifacts.label_issues import write_label_issues
from components.common.artifacts.model import save_model
from components.common.artifacts.predictions import write_predictions
from components.common.backend import keras
from components.common.files.ownership import find_listed
from components.common.files.writing import write_json, writing_folder
from components.common.terminal import say
from components.train.feed.material import Material
from components.train.feed.pictures import write_augmented
from components.train.networks.backbones import find_backbone
from components.train.networks.network import to_float32
from components.train.probe.curve import create_curve, describe_curve
from components.train.probe.folds import number_groups
from components.train.probe.label_issues import (
    Issues,
    describe_label_issues,
    find_label_issues,
)
from components.train.probe.part_fits import Pool
from components.train.probe.probe import Probe, answer_test
from components.train.records import records
from components.train.records.parts import Trained, compute_val_logits
from components.train.records.parts import create_curve as create_tuned_curve
from components.train.runtime.checkpoint import Checkpoint
from components.train.selection.calibration import fit_calibration
from components.train.selection.kept import Contest, Judged
from components.train.selection.rules import Choice, Plan
from components.train.spec import Outputs, Params


@dataclass(frozen=True)
class Delivery:
    """What the room wants of a run; a search wants less, see :class:`Trial`."""

    shards: Path
    outputs: Outputs
    params: Params
    dataset: Dataset
    told: list[Epoch] = field(default_factory=list)  # so far

    def find_features(self, own: Checkpoint, identity: Mapping[str, Any]) -> Checkpoint:
        """Return what holds the features of the frozen network: the run's own checkpoint."""
        return own

    def tell(self, epoch: Judged, mlflow: Any) -> None:
        """Let history.csv grow: `dvc plots` and editors draw it while the network trains.

        The probe waits for the first epoch after it, since there may be none.
        """
        self.told.append(epoch.epoch)
        if epoch.epoch.phase != PROBE:
            write_history(self.outputs.history, self.told)

    def leave_findings(
        self, network: keras.Model, material: Material, probe: Probe, plan: Plan, mlflow: Any
    ) -> None:
        """Write what the first phase knows of the images, and what the second will see."""
        params, dataset = self.params, self.dataset
        train, val, names = material.train, material.val, dataset.class_names
        issues = find_label_issues(train, val, probe, names, params.seed)
        say(describe_label_issues(issues))
        doubted = {issue.path for issue in issues.issues}
        points, reason = create_curve(
            Pool(
                np.concatenate([probe.features, probe.val_features]),
                np.concatenate([train.labels, val.labels]),
                number_groups([*train.units, *val.units]),
                names,
            ),
            probe.head.way,
            np.flatnonzero([path in doubted for path in (*train.paths, *val.paths)]),
            dataset.splits["test"].examples_per_class,
            params.seed,
        )
        say(describe_curve(points, reason))
        choices = _list_choices(plan, issues, reason)
        with writing_folder(self.outputs.findings, "train") as folder:
            files = FindingFiles(folder)
            write_label_issues(files.label_issues, issues.issues)
            write_curve(files.curve, points)
            write_augmented(files.augmented, material)
            baseline = answer_test(network, self.shards, dataset, params.probe_batch_size)
            write_predictions(files.probe, baseline)
            write_json(files.choices, [asdict(choice) for choice in choices])
        records.track_label_issues(mlflow, issues, self.outputs)

    def finish(
        self, network: keras.Model, material: Material, contest: Contest, mlflow: Any
    ) -> Epoch:
        """Write model and history; return the epoch whose weights were kept."""
        recipe, val = material.recipe, material.val
        params = replace(self.params, finetune=recipe.finetune, augment=recipe.augment)
        logits = compute_val_logits(network, val, contest)
        calibration = fit_calibration(params.calibration, logits, val.labels)
        kept = contest.kept.epoch
        epochs = [contest.probe.epoch, *(one.epoch for one in contest.epochs)]
        backbone, names = find_backbone(params.backbone), self.dataset.class_names
        card = records.create_card(params, backbone, self.dataset, kept, calibration)
        save_model(self.outputs.model, to_float32(network, backbone, names, calibration), card)
        write_history(self.outputs.history, epochs, kept)
        records.track_end(mlflow, kept, card, self.outputs)
        return kept

    def leave_curve(self, trained: Trained, checkpoint: Checkpoint, mlflow: Any) -> None:
        """Add the fine-tuned network to the learning curve, where there is one and time for it."""
        files, dataset, params = FindingFiles(self.outputs.findings), self.dataset, self.params
        if not params.curve_minutes:
            return
        probe = read_curve(files.curve)
        tests = sum(dataset.splits["test"].examples_per_class.values())
        points, reason = list[CurvePoint](), "as the probe has none"
        if probe:
            points, reason = create_tuned_curve(trained, params, tests, checkpoint)
        say(describe_curve(points, reason, FINETUNED))
        if not points:
            return
        with writing_folder(files.folder, "train") as folder:  # a whole one: it carries a list
            for name in find_listed(files.folder):
                shutil.copyfile(files.folder / name, folder / name)
            write_curve(FindingFiles(folder).curve, [*probe, *points])
        records.track_curve(mlflow, self.outputs)


def _list_choices(plan: Plan, issues: Issues, no_curve: str) -> list[Choice]:
    """Return what was chosen, for the report."""
    found = list(plan.choices)
    if issues.is_held_back:
        found.append(Choice(HELD_BACK, "held back", describe_label_issues(issues)))
    if no_curve:
        found.append(Choice(NO_CURVE, "none", no_curve))
    return found
