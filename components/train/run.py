"""Train: shards → features once → probe → fine-tuning → calibrated model, history, MLflow run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from components.common.artifacts.dataset import Dataset, read_dataset
from components.common.artifacts.history import Epoch
from components.common.backend import keras, tf
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import start_recorded_run
from components.train.augmentation.mirror import choose_flip
from components.train.feed.material import Material
from components.train.feed.memory import read_train_and_val
from components.train.feed.recipe import Recipe
from components.train.finetuning.finetune import run_finetuning
from components.train.networks.backbones import NO_WEIGHTS, create_body, find_backbone
from components.train.networks.network import create_network, unfreeze
from components.train.probe.probe import run_probe
from components.train.records import records
from components.train.records.delivery import Delivery
from components.train.records.trial import Trial
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import set_precision
from components.train.runtime.machines import Machines, agree, join_machines, only_first_writes
from components.train.spec import Inputs, Outputs, Params


def run(inputs: Inputs, outputs: Outputs, params: Params, trial: Trial | None = None) -> None:
    """Train a classifier on the shards and keep one of its epochs.

    Args:
        inputs: see the spec.
        outputs: see the spec.
        params: see the spec.
        trial: of a search, which wants the epochs and no outputs.
    """
    machines = join_machines(params.seed)
    with only_first_writes(machines, outputs) as own:
        dataset = read_dataset(inputs.shards)
        identity = records.identify(params, dataset, machines)
        checkpoint = Checkpoint(outputs.model, identity, writes=machines.is_first)
        purpose = trial or Delivery(inputs.shards, own, params, dataset)
        watch = Stopwatch()
        network, material = _prepare(inputs.shards, dataset, params, machines)

        silent = not machines.is_first
        with start_recorded_run(params.mlflow, own.run, checkpoint.run_id, silent) as mlflow:
            checkpoint.keep_run(mlflow.active_run().info.run_id)
            records.track_start(mlflow, params, dataset)
            about = records.identify_features(params, dataset, machines)
            features = purpose.find_features(checkpoint, about)
            probe = run_probe(network, material, params, features)
            epochs: list[Epoch] = []
            records.track_epoch(mlflow, epochs, probe.epoch)
            purpose.tell(probe.epoch, mlflow)
            purpose.leave_findings(network, material, probe, mlflow)
            for epoch in _finetune(network, material, params, probe.epoch, checkpoint):
                records.track_epoch(mlflow, epochs, epoch)
                purpose.tell(epoch, mlflow)
            kept = purpose.finish(network, material, epochs, mlflow)
        if kept is not None:
            say(
                f"kept {kept.phase} epoch {kept.epoch}: validation accuracy "
                f"{kept.val_accuracy:.1%} ({watch})"
            )
        checkpoint.remove()


def _prepare(
    shards: Path, dataset: Dataset, params: Params, machines: Machines
) -> tuple[keras.Model, Material]:
    """Return the network with its backbone's weights, and what it will be trained with."""
    backbone = find_backbone(params.backbone)
    size, names = dataset.form.size_px, dataset.class_names
    keras.utils.set_random_seed(params.seed)
    # The same seed gives the same model, to the digit.
    tf.config.experimental.enable_op_determinism()
    say(set_precision(params.precision))
    body = create_body(backbone, params.weights, size)
    network = create_network(
        backbone,
        body,
        names,
        size_px=size,
        dropout=params.finetune.dropout,
        scratch=params.weights == NO_WEIGHTS,
    )
    train, val = read_train_and_val(shards, dataset)
    say(records.describe_start(backbone, params.weights, dataset))
    recipe = Recipe(
        params.finetune,
        params.augment,
        flip=bool(agree(choose_flip(params.augment.flip, train, val))),
        seed=params.seed,
        classes=len(names),
        process=machines.process,
        processes=machines.processes,
        devices=machines.devices,
    )
    return network, Material(train, val, recipe)


def _finetune(
    network: keras.Model, material: Material, params: Params, first: Epoch, checkpoint: Checkpoint
) -> Iterator[Epoch]:
    """Unfreeze the network and yield the epochs of the second phase, if there is one."""
    if not params.finetune.epochs:
        return
    trainable = unfreeze(network, params.finetune.unfreeze, params.weights == NO_WEIGHTS)
    say(f"fine-tuning {trainable / 1e6:.1f} M parameters")
    yield from run_finetuning(
        network,
        material,
        first=first,
        checkpoint=checkpoint,
        budget_minutes=params.budget_minutes,
    )
