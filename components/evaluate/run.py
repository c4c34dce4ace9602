"""Evaluate: model + test split → predictions, metrics with intervals, plots, a report, a card."""

from __future__ import annotations

from dataclasses import asdict, replace

from components.common.artifacts.curve import read_curve
from components.common.artifacts.dataset import read_dataset
from components.common.artifacts.findings import NO_CURVE, FindingFiles, read_held_back
from components.common.artifacts.history import read_history
from components.common.artifacts.label_issues import read_label_issues
from components.common.artifacts.manifest import read_manifest
from components.common.artifacts.metrics import write_metrics
from components.common.artifacts.model import LOGITS, read_card, take_part
from components.common.artifacts.predictions import write_predictions
from components.common.artifacts.validation import read_validation
from components.common.files.writing import write_json, write_text, writing_folder
from components.common.images.uris import encode_file
from components.common.serving.decisions import Decisions
from components.common.statistics.bootstrap import number_groups
from components.common.statistics.shares import Sampling
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import continue_recorded_run
from components.evaluate import records
from components.evaluate.checks.against import compare_with_rivals
from components.evaluate.checks.footprint import count_cost, measure_latency
from components.evaluate.checks.mended import describe_mending
from components.evaluate.checks.robustness import choose_sample, measure_robustness
from components.evaluate.checks.slices import create_slices, judge_slices
from components.evaluate.checks.suspects import (
    find_suspects,
    leave_out_decided,
    list_decisions,
)
from components.evaluate.decisions.costs import create_costs
from components.evaluate.evaluation import Findings, create_evaluation
from components.evaluate.origin import (
    read_earlier,
    read_groups,
    read_places,
    read_probe,
    read_rows,
)
from components.evaluate.predictions import (
    check_fit,
    load_network,
    predict_split,
)
from components.evaluate.report.card import render_card
from components.evaluate.report.gallery import choose_images, create_gallery
from components.evaluate.report.next_steps import describe_steps, list_steps
from components.evaluate.report.pictures import read_suspects_pictures
from components.evaluate.report.plots import write_plots
from components.evaluate.report.report import SUSPECTS_PICTURED, Content, render_report
from components.evaluate.report.review import create_review, render_review
from components.evaluate.report.words import find_doubts
from components.evaluate.spec import Inputs, Outputs, Params


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Judge the model on the test split; metrics.json comes last and marks the others ready."""
    card, dataset = read_card(inputs.model), read_dataset(inputs.shards)
    check_fit(inputs.model, card, inputs.shards, dataset)
    history, validation = read_history(inputs.history), read_validation(inputs.validation)
    files = FindingFiles(inputs.findings)
    level, batch_size = params.confidence, params.batch_size
    decisions = Decisions(costs=create_costs(params.costs, dataset.class_names))

    with continue_recorded_run(params.mlflow, inputs.run) as mlflow:
        whole = load_network(inputs.model, dataset)
        network = take_part(whole, LOGITS)
        watch = Stopwatch()
        predictions = predict_split(network, card, inputs.shards, dataset, batch_size)
        say(records.describe_speed(predictions, watch.seconds))
        rows = read_rows(inputs.manifest, predictions)
        manifest, splits = read_manifest(inputs.manifest), read_places(inputs.splits)
        reviewed = list_decisions(manifest)
        predictions = replace(predictions, groups=read_groups(inputs.splits, predictions))
        groups = number_groups(predictions.groups)
        sampling = Sampling(groups, params.confidence, params.resamples)
        probe = read_probe(files.probe, predictions)
        predictions, probe = (
            replace(one, decided=decisions.decide(one.probabilities))
            for one in (predictions, probe)
        )

        watch = Stopwatch()
        sample = choose_sample(len(predictions), params.robustness_images)
        spoilt = [predictions.paths[i] for i in sample]
        choice = choose_images(predictions, params.mistakes_shown)
        gallery, sanity, pixels = create_gallery(
            predictions, choice, network, inputs.shards, spoilt
        )
        judged = create_slices(rows), predictions.correct, sampling, params.min_slice_images
        images = [pixels[path] for path in spoilt]
        findings = Findings(
            slices=judge_slices(*judged),
            rivals=compare_with_rivals(predictions, probe, dataset, sampling),
            robustness=measure_robustness(
                lambda batch: card.calibration.apply(network.predict_on_batch(batch)),
                images,
                predictions.labels[sample],
                level,
                batch_size,
            ),
            sanity=sanity,
            cost=count_cost(whole, inputs.model),
            mended=describe_mending(
                reviewed, manifest, splits, predictions, read_earlier(outputs.metrics)
            ),
        )
        latency = asdict(measure_latency(whole, batch_size, params.latency_runs))
        metrics = create_evaluation(predictions, sampling, dataset, findings, params)
        doubts = find_doubts(card, dataset)
        for finding in [*records.describe(metrics, latency, predictions, level), *doubts]:
            say(finding)
        suspects = leave_out_decided(read_label_issues(files.label_issues), reviewed)
        labels_page = render_review(
            create_review(
                inputs.shards,
                find_suspects(suspects, predictions, manifest, splits),
                manifest,
                dataset.class_names,
                params.mlflow.experiment,
            )
        )
        curve = read_curve(files.curve)
        metrics["next_steps"] = describe_steps(list_steps(curve, metrics, outputs.labels.name))
        content = Content(
            metrics=metrics,
            predictions=predictions,
            history=history,
            validation=validation,
            dataset=dataset,
            card=card,
            gallery=gallery,
            suspects=suspects,
            held_back=read_held_back(files),
            curve=curve,
            no_curve=read_held_back(files, NO_CURVE) or "train was of an earlier version",
            suspects_pictures=read_suspects_pictures(inputs.shards, suspects[:SUSPECTS_PICTURED]),
            augmented=encode_file(files.augmented, "train"),
            latency=latency,
            doubts=doubts,
            level=level,
            run_id=mlflow.active_run().info.run_id,
            experiment=params.mlflow.experiment,
        )
        page = render_report(content)
        write_predictions(outputs.predictions, predictions)
        with writing_folder(outputs.plots, "evaluate") as folder:
            write_plots(folder, predictions, metrics)
        write_text(outputs.report, page)
        write_text(outputs.labels, labels_page)
        write_text(outputs.model_card, render_card(content))
        write_json(outputs.latency, latency)
        write_metrics(outputs.metrics, metrics)
        costs = {"cost": metrics["cost"] | latency}
        records.track(mlflow, inputs, outputs, params, metrics | costs)
    say(f"the report: {outputs.report} ({watch})")
