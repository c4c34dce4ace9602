"""What a training run leaves for people and for MLflow: settings, data set, epochs, card."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.findings import FindingFiles
from components.common.artifacts.history import Epoch
from components.common.artifacts.model import Calibration, ModelCard
from components.common.settings.params import list_settings
from components.common.terminal import describe_seconds, say
from components.common.tracking.runs import log_params
from components.train.networks.catalogue import Backbone
from components.train.networks.weights.start import describe_since, digest_weights
from components.train.probe.label_issues import Issues
from components.train.runtime.machines import Machines
from components.train.selection.rules import Choice
from components.train.spec import Outputs, Params

VERSIONS = ("keras", "tensorflow", "numpy", "pillow", "scikit-learn")


def describe_start(backbone: Backbone, weights: str, dataset: Dataset) -> str:
    """Return what is about to be trained on what, in a sentence."""
    counts = ", ".join(f"{split.examples} {name}" for name, split in dataset.splits.items())
    return (
        f"{backbone.name} ({backbone.parameters / 1e6:.1f} M parameters, weights: {weights}) on "
        f"{counts} images of {dataset.form.size_px} px in {len(dataset.class_names)} classes"
        f"{describe_since(weights, dataset.class_names)}"
    )


def track_start(mlflow: Any, params: Params, dataset: Dataset) -> None:
    """Log the settings of this room and of the data, and the digests of the data."""
    log_params(mlflow, settings_of(params) | dataset.params)
    mlflow.set_tags(
        {
            f"darkroom.{name}_digest": value
            for name, value in (digests_of(dataset) | digest_weights(params)).items()
        }
    )


def track_epoch(mlflow: Any, epochs: list[Epoch], epoch: Epoch) -> None:
    """Add an epoch to the history, show it, and log it to MLflow."""
    epochs.append(epoch)
    mlflow.log_metrics(epoch.as_metrics(), step=epoch.epoch)
    what = "probe" if epoch.phase == "probe" else f"epoch {epoch.epoch}"
    say(
        f"{what:<9} train loss {epoch.train_loss:.3f} · validation loss {epoch.val_loss:.3f}, "
        f"accuracy {epoch.val_accuracy:.1%} · {describe_seconds(epoch.seconds)}"
    )


def track_choices(mlflow: Any, choices: Sequence[Choice]) -> None:
    """Set what was chosen, and why, as tags: MLflow has the settings as they were given."""
    mlflow.set_tags({f"darkroom.chosen.{one.setting}": one.describe() for one in choices})


def track_label_issues(mlflow: Any, found: Issues, outputs: Outputs) -> None:
    """Log how many labels are probably wrong, unless the probe knows too little, and the list."""
    mlflow.log_metric("label_agreement", found.agreement)
    if not found.is_held_back:
        mlflow.log_metric("label_issues", len(found.issues))
    mlflow.log_artifact(str(FindingFiles(outputs.findings).label_issues), "train")


def track_curve(mlflow: Any, outputs: Outputs) -> None:
    """Log the learning curve that the fine-tuned network is part of."""
    mlflow.log_artifact(str(FindingFiles(outputs.findings).curve), "train")


def track_end(mlflow: Any, best: Epoch, card: ModelCard, outputs: Outputs) -> None:
    """Log which epoch was kept, the history and the model file."""
    mlflow.log_metrics({"best_epoch": best.epoch, "best_val_accuracy": best.val_accuracy})
    mlflow.log_metrics({"best_val_loss": best.val_loss, "temperature": card.temperature})
    mlflow.set_tag("darkroom.kept_phase", best.phase)
    mlflow.log_artifact(str(outputs.history), "train")


def create_card(
    params: Params, backbone: Backbone, dataset: Dataset, best: Epoch, calibration: Calibration
) -> ModelCard:
    """Return what the model file says of itself."""
    return ModelCard(
        class_names=dataset.class_names,
        form=dataset.form,
        backbone=params.backbone,
        weights=params.weights,
        temperature=calibration.temperature,
        phase=best.phase,
        digests=digests_of(dataset) | digest_weights(params),
        params=settings_of(params) | dataset.params,
        versions={name: version(name) for name in (*VERSIONS, *backbone.needs)},
        scales=calibration.scales,
        offsets=calibration.offsets,
    )


def identify(params: Params, dataset: Dataset, machines: Machines) -> dict[str, Any]:
    """Return all that decides the result: what a checkpoint belongs to."""
    shards = {
        name: [shard.sha256 for shard in split.shards] for name, split in dataset.splits.items()
    }
    versions = {name: version(name) for name in VERSIONS}
    hardware = {"processes": machines.processes, "devices": machines.devices}
    weights = digest_weights(params)
    return settings_of(params) | digests_of(dataset) | weights | versions | hardware | shards


def identify_features(params: Params, dataset: Dataset, machines: Machines) -> dict[str, Any]:
    """Return all that decides the features of the frozen network."""
    found, own = identify(params, dataset, machines), ["backbone", "weights", "precision"]
    own += ["probe_batch_size", "probe_views"]
    wanted = {f"train.{name}" for name in own}
    if params.probe_views > 1:  # further views are random, batch by batch, and changed as set
        views = ("train.seed", "train.augment.", "train.finetune.batch_size")
        wanted |= {key for key in found if key.startswith(views)}
    return {key: value for key, value in found.items() if key in wanted or key[:6] != "train."}


def digests_of(dataset: Dataset) -> dict[str, str]:
    """Return the digests of manifest and splits, and of the images of each split."""
    own = {"manifest": dataset.manifest_sha256, "splits": dataset.splits_sha256}
    return own | {name: split.digest for name, split in dataset.splits.items()}


def settings_of(params: Params) -> dict[str, Any]:
    """Return the settings of this room with dotted keys, without those of MLflow."""
    return list_settings("train", params)
