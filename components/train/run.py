"""Train: shards → features once → probe → fine-tuning → calibrated model, history, MLflow run."""

from __future__ import annotations

from components.common.artifacts.dataset import read_dataset
from components.common.artifacts.history import Epoch, write_history
from components.common.artifacts.label_issues import write_label_issues
from components.common.artifacts.model import LOGITS, save_model, take_part
from components.common.artifacts.predictions import write_predictions
from components.common.backend import keras, tf
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import start_recorded_run
from components.train.augmentation.mirror import choose_flip
from components.train.feed.material import Material
from components.train.feed.memory import read_train_and_val
from components.train.feed.pictures import write_augmented
from components.train.feed.recipe import Recipe
from components.train.finetuning.finetune import run_finetuning
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import create_network, to_float32, unfreeze
from components.train.probe.label_issues import find_label_issues
from components.train.probe.probe import answer_test, run_probe
from components.train.records import records
from components.train.records.trial import Trial
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.devices import create_forward, set_precision, within_memory
from components.train.runtime.machines import Machines, agree, join_machines, only_first_writes
from components.train.runtime.passes import run_forward
from components.train.selection.calibration import fit_calibration
from components.train.selection.kept import find_kept
from components.train.spec import Inputs, Outputs, Params


def run(
    inputs: Inputs,
    outputs: Outputs,
    params: Params,
    trial: Trial | None = None,
) -> None:
    """Train a classifier on the shards and keep one of its epochs.

    Args:
        inputs: see the spec.
        outputs: see the spec.
        params: see the spec.
        trial: of a search, which wants the epochs and no outputs.
    """
    machines = join_machines(params.seed)
    with only_first_writes(machines, outputs) as own:
        checkpoint = Checkpoint(
            outputs.model,
            records.identify(params, read_dataset(inputs.shards), machines),
            writes=machines.is_first,
        )
        _train(inputs, own, params, machines, checkpoint, trial)
        checkpoint.remove()


def _train(  # noqa: PLR0917 - run, inside its surroundings
    inputs: Inputs,
    outputs: Outputs,
    params: Params,
    machines: Machines,
    checkpoint: Checkpoint,
    trial: Trial | None,
) -> None:
    watch = Stopwatch()
    backbone = find_backbone(params.backbone)
    dataset = read_dataset(inputs.shards)
    keras.utils.set_random_seed(params.seed)
    # The same seed gives the same model, to the digit.
    tf.config.experimental.enable_op_determinism()
    say(set_precision(params.precision))
    size, names = dataset.form.size_px, dataset.class_names
    body = create_body(backbone, params.weights, size)
    network = create_network(backbone, body, names, size_px=size, dropout=params.finetune.dropout)
    train, val = read_train_and_val(inputs.shards, dataset)
    say(records.describe_start(backbone, params.weights, dataset))
    recipe = Recipe(
        params.finetune,
        params.augment,
        bool(agree(choose_flip(params.augment.flip, train, val))),
        params.seed,
        len(names),
        machines.process,
        machines.processes,
        machines.devices,
    )

    with start_recorded_run(
        params.mlflow, outputs.run, checkpoint.run_id, silent=not machines.is_first
    ) as mlflow:
        checkpoint.keep_run(mlflow.active_run().info.run_id)
        records.track_start(mlflow, params, dataset)
        features = trial.find_features(params, dataset, machines) if trial else checkpoint
        material = Material(train, val, recipe)
        probe = run_probe(network, material, params, features)
        epochs: list[Epoch] = []
        records.track_epoch(mlflow, epochs, probe.epoch)
        if trial:
            trial.tell(probe.epoch, mlflow)
        else:
            issues = find_label_issues(train, val, probe, names, params.seed)
            write_label_issues(outputs.label_issues, issues)
            records.track_label_issues(mlflow, issues, outputs)
            write_augmented(outputs.augmented, material)
            baseline = answer_test(network, inputs.shards, dataset, params.probe_batch_size)
            write_predictions(outputs.probe, baseline)

        if params.finetune.epochs:
            trainable = unfreeze(network, params.finetune.unfreeze)
            say(f"fine-tuning {trainable / 1e6:.1f} M parameters")
            for epoch in run_finetuning(
                network,
                material,
                first=probe.epoch,
                checkpoint=checkpoint,
                budget_minutes=params.budget_minutes,
            ):
                records.track_epoch(mlflow, epochs, epoch)
                if trial:
                    trial.tell(epoch, mlflow)
        if trial:
            return

        forward = create_forward(take_part(network, LOGITS))
        logits = within_memory(64, lambda n: run_forward(forward, val.pixels, n, "val"))
        calibration = fit_calibration(params.calibration, logits, val.labels)
        kept = find_kept(epochs, len(val.labels))
        card = records.create_card(params, dataset, kept, calibration)
        save_model(outputs.model, to_float32(network, backbone, names, calibration), card)
        write_history(outputs.history, epochs, kept)
        records.track_end(mlflow, kept, card, outputs)
    say(
        f"kept {kept.phase} epoch {kept.epoch}: validation accuracy {kept.val_accuracy:.1%} "
        f"({watch})"
    )
