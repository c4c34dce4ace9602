"""Train: shards → features once → probe → fine-tuning → calibrated model, history, MLflow run."""

from __future__ import annotations

from collections.abc import Callable

from components.common.backend import keras, tf
from components.common.dataset import read_dataset
from components.common.examples import read_split
from components.common.model import LOGITS, save_model
from components.common.terminal import Stopwatch, say
from components.common.tracking import start_run
from components.train import records
from components.train.backbones import create_body, find_backbone
from components.train.calibration import fit_temperature
from components.train.finetune import Recipe, run_finetuning
from components.train.history import Epoch, find_best, write_history
from components.train.label_issues import find_label_issues, write_label_issues
from components.train.network import create_network, take_part, unfreeze, with_temperature
from components.train.probe import run_probe
from components.train.spec import Inputs, Outputs, Params


def run(
    inputs: Inputs,
    outputs: Outputs,
    params: Params,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> None:
    """Train a classifier on the shards and keep the best of its epochs.

    Args:
        inputs: see the spec.
        outputs: see the spec.
        params: see the spec.
        on_epoch: is told each epoch of both phases while the MLflow run is active; what it raises
            ends the run. The search watches its trials by it.
    """
    watch = Stopwatch()
    backbone = find_backbone(params.backbone)
    dataset = read_dataset(inputs.shards)
    keras.utils.set_random_seed(params.seed)
    # The same seed gives the same model, to the digit.
    tf.config.experimental.enable_op_determinism()
    size = dataset.form.size_px
    body = create_body(backbone, params.weights, size)
    network = create_network(backbone, body, dataset.class_names, size, params.finetune.dropout)
    train, val = read_split(inputs.shards, "train"), read_split(inputs.shards, "val")
    say(records.describe_start(backbone, params.weights, dataset))

    with start_run(params.mlflow, outputs.run) as mlflow:
        records.track_start(mlflow, params, dataset)
        probe = run_probe(network, train, val, params)
        epochs: list[Epoch] = []
        tell = on_epoch or (lambda epoch: None)
        records.track_epoch(mlflow, epochs, probe.epoch)
        tell(probe.epoch)
        issues = find_label_issues(train, val, probe, dataset.class_names, params.seed)
        write_label_issues(outputs.label_issues, issues)
        records.track_label_issues(mlflow, issues, outputs)

        if params.finetune.epochs:
            trainable = unfreeze(network, params.finetune.unfreeze)
            say(
                f"fine-tuning {trainable / 1e6:.1f} M parameters for "
                f"{params.finetune.epochs} epochs"
            )
            recipe = Recipe(params.finetune, params.augment, probe.flip, params.seed)
            for epoch in run_finetuning(network, train, val, recipe, probe.epoch):
                records.track_epoch(mlflow, epochs, epoch)
                tell(epoch)

        logits = take_part(network, LOGITS).predict(val.pixels, batch_size=64, verbose=0)
        temperature = fit_temperature(logits, val.labels)
        best = find_best(epochs)
        card = records.create_card(params, dataset, best, temperature)
        save_model(outputs.model, with_temperature(network, temperature), card)
        write_history(outputs.history, epochs)
        records.track_end(mlflow, best, temperature, outputs)
    say(
        f"kept {best.phase} epoch {best.epoch}: validation accuracy {best.val_accuracy:.1%} "
        f"({watch})"
    )
