"""Evaluate: model + test split → predictions, metrics with intervals, plots, a report."""

from __future__ import annotations

from components.common.dataset import read_dataset
from components.common.errors import DarkroomError
from components.common.files import read_json, write_json, write_text, writing_folder
from components.common.model import read_card
from components.common.reports import write_predictions
from components.common.terminal import Stopwatch, say
from components.common.tracking import continue_run
from components.evaluate import records
from components.evaluate.calibration import compute_bins
from components.evaluate.history import read_history
from components.evaluate.metrics import compute_class_scores, create_metrics, find_confusions
from components.evaluate.pictures import encode_pictures, find_worst_mistakes
from components.evaluate.plots import write_plots
from components.evaluate.predictions import SPLIT, check_fit, predict_split, read_pixels_of
from components.evaluate.report import Content, render_report
from components.evaluate.spec import Inputs, Outputs, Params
from components.evaluate.words import find_doubts


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Judge the model on the test split; metrics.json comes last and marks the others ready."""
    card, dataset = read_card(inputs.model), read_dataset(inputs.shards)
    check_fit(inputs.model, card, inputs.shards, dataset)
    history, validation = read_history(inputs.history), read_json(inputs.validation)
    if not isinstance(validation, dict) or "status" not in validation:
        raise DarkroomError(f"{inputs.validation}: holds no verdict; run validate again")

    with continue_run(params.mlflow, inputs.run) as mlflow:
        watch = Stopwatch()
        predictions = predict_split(inputs.model, card, inputs.shards, dataset, params.batch_size)
        speed = len(predictions) / watch.seconds
        say(
            f"{len(predictions):,} test images of {len(dataset.class_names)} classes in {watch}, "
            f"{speed:,.0f} images/s"
        )
        digest = dataset.splits[SPLIT].digest
        metrics = create_metrics(predictions, digest, params.confidence, params.resamples)
        doubts = find_doubts(card, dataset)
        pairs = find_confusions(predictions, 1)
        for finding in [*records.describe(metrics, pairs, params.confidence), *doubts]:
            say(finding)

        watch = Stopwatch()
        mistakes = find_worst_mistakes(predictions, params.mistakes_shown)
        pixels = read_pixels_of(inputs.shards, [mistake.path for mistake in mistakes])
        page = render_report(
            Content(
                metrics=metrics,
                predictions=predictions,
                history=history,
                validation=validation,
                dataset=dataset,
                card=card,
                mistakes=mistakes,
                pictures=encode_pictures(pixels),
                doubts=doubts,
                level=params.confidence,
                run_id=mlflow.active_run().info.run_id,
                experiment=params.mlflow.experiment,
            )
        )
        write_predictions(outputs.predictions, predictions)
        with writing_folder(outputs.plots) as folder:
            classes = compute_class_scores(predictions, params.confidence)
            bins = compute_bins(predictions.confidence, predictions.correct)
            write_plots(folder, predictions, classes, bins)
        write_text(outputs.report, page)
        write_json(outputs.metrics, metrics)
        records.track(mlflow, inputs, outputs, params, metrics)
    say(f"the report: {outputs.report} ({watch})")
