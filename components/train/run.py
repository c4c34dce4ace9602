"""Train: shards → features once → probe → fine-tuning → calibrated model, history, MLflow run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from components.common.artifacts.dataset import Dataset, read_dataset
from components.common.artifacts.history import Epoch
from components.common.artifacts.model import take_part
from components.common.backend import keras, tf
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import start_recorded_run
from components.train.augmentation.mirror import choose_flip
from components.train.feed.material import Material
from components.train.feed.memory import read_train_and_val
from components.train.feed.recipe import Recipe
from components.train.finetuning.blend import Weights, read_weights
from components.train.finetuning.finetune import run_finetuning
from components.train.finetuning.optimizers import has_batchnorm
from components.train.finetuning.preflight import foresee_memory
from components.train.finetuning.remat import check_remat
from components.train.networks.backbones import (
    NO_WEIGHTS,
    compare_sides,
    create_body,
    find_backbone,
)
from components.train.networks.lora import check_lora
from components.train.networks.network import HEAD_INPUT, create_network, find_bodies, unfreeze
from components.train.networks.weights.start import find_weights, settle_start
from components.train.probe.harm import drop_harmful
from components.train.probe.probe import Probe, run_probe
from components.train.records import records
from components.train.records.delivery import Delivery
from components.train.records.parts import Trained
from components.train.records.trial import Trial
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import create_forward, set_precision
from components.train.runtime.machines import Machines, agree, join_machines, only_first_writes
from components.train.selection.kept import Contest
from components.train.selection.rules import Choice, Plan, plan_finetuning
from components.train.spec import AUTO, Inputs, Outputs, Params


def run(inputs: Inputs, outputs: Outputs, params: Params, trial: Trial | None = None) -> None:
    """Train a classifier on the shards and keep one of its epochs.

    Args:
        inputs: see the spec.
        outputs: see the spec.
        params: see the spec.
        trial: of a search, which wants the epochs and no outputs.
    """
    watch = Stopwatch()
    params = settle_start(params)
    minutes = params.budget_minutes
    deadline = time.perf_counter() + minutes * 60 if minutes else None
    machines = join_machines(params.seed)
    with only_first_writes(machines, outputs) as own:
        dataset = read_dataset(inputs.shards)
        identity = records.identify(params, dataset, machines)
        checkpoint = Checkpoint(outputs.model, identity, writes=machines.is_first)
        purpose = trial or Delivery(inputs.shards, own, params, dataset)
        network, material = _prepare(inputs.shards, dataset, params, machines)

        silent = not machines.is_first
        with start_recorded_run(
            params.mlflow, own.run, checkpoint.run_id, silent, checkpoint.abandoned
        ) as mlflow:
            checkpoint.keep_run(mlflow.active_run().info.run_id)
            records.track_start(mlflow, params, dataset)
            about = records.identify_features(params, dataset, machines)
            features = purpose.find_features(checkpoint, about)
            probe = run_probe(network, material, params, features)
            epochs: list[Epoch] = []
            records.track_epoch(mlflow, epochs, probe.epoch)
            purpose.tell(probe.judged, mlflow)
            plan, material = _plan(network, material, params, probe, dataset.class_names)
            records.track_choices(mlflow, plan.choices)
            purpose.leave_findings(network, material, probe, plan, mlflow)
            contest, start = Contest(probe.judged), Weights()
            if plan.finetune.epochs:
                scratch = params.weights == NO_WEIGHTS
                layers, rank = params.finetune.unfreeze, params.finetune.lora_rank
                trainable = unfreeze(network, layers, scratch, rank)
                say(f"fine-tuning {trainable / 1e6:.1f} M parameters")
                start = read_weights(network) if params.curve_minutes else start
                for epoch in run_finetuning(
                    network,
                    material,
                    contest=contest,
                    checkpoint=checkpoint,
                    plan=plan,
                    deadline=deadline,
                ):
                    records.track_epoch(mlflow, epochs, epoch)
                    purpose.tell(contest.epochs[-1], mlflow)
            kept = purpose.finish(network, material, contest, mlflow)
            if kept is not None:
                say(
                    f"kept {kept.phase} epoch {kept.epoch}: validation accuracy "
                    f"{kept.val_accuracy:.1%} ({watch})"
                )
            trained = Trained(network, material, probe, contest, start)
            purpose.leave_curve(trained, checkpoint, mlflow)
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
    body = create_body(backbone, find_weights(params.weights), size)
    network = create_network(
        backbone,
        body,
        names,
        size_px=size,
        dropout=params.finetune.dropout,
        scratch=params.weights == NO_WEIGHTS,
    )
    check_lora(find_bodies(network), params.finetune.lora_rank)
    check_remat(network, params.finetune.remat)
    if params.finetune.epochs:
        is_sure = params.recipe != AUTO or params.finetune.epochs != AUTO
        foresee_memory(network, params.finetune, is_sure=is_sure)
    train, val = read_train_and_val(shards, dataset)
    say(records.describe_start(backbone, params.weights, dataset))
    recipe = Recipe(
        params.finetune,
        params.augment,
        flip=bool(agree(choose_flip(params.augment.flip, train, val, names))),
        seed=params.seed,
        classes=len(names),
        process=machines.process,
        processes=machines.processes,
        devices=machines.devices,
    )
    return network, Material(train, val, recipe)


def _plan(
    network: keras.Model, material: Material, params: Params, probe: Probe, names: list[str]
) -> tuple[Plan, Material]:
    """Return how fine-tuning goes, and what with, now that the probe is known."""
    plan = plan_finetuning(
        params,
        images=len(material.train.labels),
        batch_size=material.batch_size,
        accuracy=probe.accuracy,
        common=material.common,
        has_batchnorm=has_batchnorm(network),
        scale=compare_sides(params.backbone, params.weights, material.size_px),
    )
    recipe, dropped = material.recipe, tuple[Choice, ...]()
    if params.recipe == AUTO and plan.finetune.epochs:
        forward = create_forward(take_part(network, HEAD_INPUT))
        size = params.probe_batch_size
        recipe, dropped = drop_harmful(forward, material, probe, names, size)
    plan = replace(plan, choices=(*plan.choices, *dropped))
    for choice in plan.choices:
        say(choice.describe())
    recipe = replace(recipe, finetune=plan.finetune, passes=plan.passes)
    return plan, replace(material, recipe=recipe)
