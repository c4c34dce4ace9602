"""The tasks: typed signatures for KFP, bodies that run in the project's image.

KFP copies the source of each function into the pipeline, so a body imports what it uses. Artifacts
are named as the fields of the room's spec are, dictionaries as the sections of params.yaml.
"""
# A task returns one value at most: KFP's local runner resolves no other in loops and conditions.
# No `from __future__ import annotations`: KFP reads the annotations as objects.

from typing import List  # noqa: UP035 - KFP understands this List alone

from kfp.dsl import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
    PipelineTaskFinalStatus,
)


def fetch(fetch: dict, ingest: dict, volume: str, images: Output[Dataset]):
    """Bring the images: as ingest does, a revision of a DVC project, or from an object store."""
    from pipelines.steps.fetch import fetch as bring

    bring(locals(), volume)


def validate(
    images: Input[Dataset],
    validate: dict,
    data: dict,
    manifest: Output[Dataset],
    validation: Output[Artifact],
    quarantine: Output[Artifact],
    data_docs: Output[Artifact],
    data_page: Output[HTML],
):
    """Check every image: manifest, quarantine and a verdict on the data."""
    from pipelines.steps.rooms import run_room
    from pipelines.steps.views import show_data_docs

    run_room("validate", locals())
    show_data_docs(data_docs, data_page)


def plan_shards(
    manifest: Input[Dataset],
    preprocess: dict,
    data: dict,
    partitions: int,
    splits: Output[Dataset],
) -> List[str]:  # noqa: UP006
    """Decide who is in which split; return the partitions of the shards: 0/2, 1/2."""
    from pipelines.steps.shards import plan

    return plan(locals(), partitions)


def write_shards(
    images: Input[Dataset],
    manifest: Input[Dataset],
    splits: Input[Dataset],
    preprocess: dict,
    data: dict,
    part: str,
    volume: str,
    part_shards: Output[Dataset],
):
    """Bring the images of one partition to size and write its shards."""
    from pipelines.steps.shards import write

    write(locals(), part, volume)


def collect_shards(
    manifest: Input[Dataset],
    splits: Input[Dataset],
    partitions: Input[List[Dataset]],  # noqa: UP006
    preprocess: dict,
    data: dict,
    volume: str,
    shards: Output[Dataset],
):
    """Bring the shards of all partitions together."""
    from pipelines.steps.shards import collect

    collect(locals(), partitions, volume)


def train(
    shards: Input[Dataset],
    train: dict,
    mlflow: dict,
    volume: str,
    model: Output[Model],
    history: Output[Artifact],
    findings: Output[Artifact],
    run: Output[Artifact],
) -> str:
    """Fine-tune the network; return the digest of the model file."""
    from pipelines.steps.rooms import run_room
    from pipelines.steps.runs import show_model

    run_room("train", locals(), volume)
    return show_model(model, run)


def train_on_nodes(
    shards: Input[Dataset],
    train: dict,
    mlflow: dict,
    job: dict,
    model: Output[Model],
    history: Output[Artifact],
    findings: Output[Artifact],
    run: Output[Artifact],
) -> str:
    """Fine-tune the network on several machines, by a TrainJob; return the model's digest."""
    from pipelines.steps.runs import show_model
    from pipelines.steps.trainjob import train_on_nodes as launch

    launch(locals(), job)
    return show_model(model, run)


def evaluate(
    model: Input[Model],
    shards: Input[Dataset],
    manifest: Input[Dataset],
    splits: Input[Dataset],
    history: Input[Artifact],
    findings: Input[Artifact],
    validation: Input[Artifact],
    run: Input[Artifact],
    evaluate: dict,
    mlflow: dict,
    predictions: Output[Dataset],
    metrics: Output[Metrics],
    latency: Output[Artifact],
    plots: Output[Artifact],
    report: Output[HTML],
    model_card: Output[Markdown],
    classification: Output[ClassificationMetrics],
):
    """Judge the model on the test split."""
    from pipelines.steps.rooms import run_room
    from pipelines.steps.views import show_metrics

    run_room("evaluate", locals())
    show_metrics(metrics, predictions, classification)


def look_up_champion(model_digest: str, mlflow: dict) -> str:
    """Ask the registry who is champion now: `version 3`, `none`, or `this model` itself."""
    from pipelines.steps.runs import look_up_champion as ask

    return ask(locals(), model_digest)


def promote(
    images: Input[Dataset],
    model: Input[Model],
    predictions: Input[Dataset],
    metrics: Input[Metrics],
    validation: Input[Artifact],
    run: Input[Artifact],
    promote: dict,
    data: dict,
    mlflow: dict,
    champion: str,
    verdict: Output[Artifact],
    verdict_page: Output[Markdown],
):
    """Register the model and let the rules decide whether it becomes champion."""
    from pipelines.steps.rooms import run_room
    from pipelines.steps.views import show_verdict

    print(f"champion at the look-up: {champion}")
    run_room("promote", locals())
    show_verdict(verdict, verdict_page)


def record_end(mlflow: dict, status: PipelineTaskFinalStatus, ending: Output[Markdown]):
    """Record how the run ended, whether it succeeded or not."""
    from pipelines.steps.runs import record_end as record

    record(locals(), status.state, status.error_message, ending)
