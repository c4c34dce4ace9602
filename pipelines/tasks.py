"""The tasks: typed signatures for KFP, bodies that run in the project's image.

KFP copies the source of each function into the pipeline, so a body imports what it uses. What a
room hands on is one folder (`pipelines.steps.bundles` says what is in it), so that KFP's page shows
the rooms and not their files; pages and figures for that page are artifacts of their own.
Dictionaries are named as the sections of params.yaml.
"""
# A task returns one value at most: KFP's local runner resolves no other in loops and conditions.
# No `from __future__ import annotations`: KFP reads the annotations as objects.

from typing import List, Optional  # noqa: UP035 - KFP understands this List alone

from kfp.dsl import HTML, ClassificationMetrics, Dataset, Input, Metrics, Model, Output


def find_images(fetch: dict, mlflow: dict) -> str:
    """Look what a source holds now; return what changes with its images, and with nothing else."""
    from pipelines.steps.fetch import find

    return find(locals())


def fetch(
    fetch: dict, ingest: dict, mlflow: dict, volume: str, found: str, images: Output[Dataset]
) -> str:
    """Bring the images, or a listing of them: as ingest does, of a DVC project, from a store."""
    from pipelines.steps.fetch import fetch as bring

    return bring(locals(), volume)


def validate(
    validate: dict,
    data: dict,
    place: str,
    manifest: Output[Dataset],
    data_docs: Output[HTML],
    images: Optional[Input[Dataset]] = None,  # noqa: UP045 - KFP understands this form alone
):
    """Check every image: manifest, quarantine and a verdict on the data."""
    from pipelines.steps.rooms import run_room
    from pipelines.steps.views import show_data_docs

    run_room("validate", locals())
    show_data_docs(manifest, data_docs)


def plan_checks(
    validate: dict,
    data: dict,
    partitions: int,
    place: str,
    files: Output[Dataset],
    images: Optional[Input[Dataset]] = None,  # noqa: UP045
) -> List[str]:  # noqa: UP006
    """List the files that are to be looked at; return their partitions: 0/2, 1/2."""
    from pipelines.steps.checks import plan

    return plan(locals(), partitions)


def check_images(
    files: Input[Dataset],
    validate: dict,
    data: dict,
    part: str,
    place: str,
    checked: Output[Dataset],
    images: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """Look at the images of one partition."""
    from pipelines.steps.checks import check

    check(locals(), part)


def judge_images(
    files: Input[Dataset],
    partitions: Input[List[Dataset]],  # noqa: UP006
    validate: dict,
    data: dict,
    place: str,
    manifest: Output[Dataset],
    data_docs: Output[HTML],
    images: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """Judge what was found in all partitions: manifest, quarantine and a verdict on the data."""
    from pipelines.steps.checks import judge
    from pipelines.steps.views import show_data_docs

    judge(locals(), partitions)
    show_data_docs(manifest, data_docs)


def plan_shards(
    manifest: Input[Dataset],
    preprocess: dict,
    data: dict,
    partitions: int,
    place: str,
    splits: Output[Dataset],
    planned: Output[Dataset],
) -> List[str]:  # noqa: UP006
    """Decide who is in which split; return the partitions of the shards: 0/2, 1/2."""
    from pipelines.steps.shards import plan

    return plan(locals(), partitions)


def write_shards(
    planned: Input[Dataset],
    part: str,
    place: str,
    volume: str,
    written: Output[Dataset],
    images: Optional[Input[Dataset]] = None,  # noqa: UP045
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
    place: str,
    volume: str,
    shards: Output[Dataset],
):
    """Bring the shards of all partitions together, and the splits with them."""
    from pipelines.steps.shards import collect

    collect(locals(), partitions, volume)


def train(
    shards: Input[Dataset],
    train: dict,
    mlflow: dict,
    volume: str,
    model: Output[Model],
) -> str:
    """Fine-tune the network; return the digest of the model file."""
    from pipelines.steps.rooms import run_room
    from pipelines.steps.runs import recording_end, show_model

    given = locals()
    with recording_end(given):
        run_room("train", given, volume)
    return show_model(model)


def train_on_nodes(
    shards: Input[Dataset],
    train: dict,
    mlflow: dict,
    job: dict,
    model: Output[Model],
) -> str:
    """Fine-tune the network on several machines, by a TrainJob; return the model's digest."""
    from pipelines.steps.runs import recording_end, show_model
    from pipelines.steps.trainjob import train_on_nodes as launch

    given = locals()
    with recording_end(given):
        launch(given, job)
    return show_model(model)


def evaluate(
    model: Input[Model],
    shards: Input[Dataset],
    manifest: Input[Dataset],
    evaluate: dict,
    mlflow: dict,
    place: str,
    samples: int,
    evaluation: Output[Metrics],
    report: Output[HTML],
    confusion: Output[ClassificationMetrics],
    images: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """Judge the model on the test split; the images that promote will look at go along."""
    from pipelines.steps.bundles import carry_along
    from pipelines.steps.promotion import carry_images
    from pipelines.steps.rooms import run_room
    from pipelines.steps.runs import recording_end
    from pipelines.steps.views import show_metrics

    given = locals()
    with recording_end(given):
        run_room("evaluate", given)
        carry_along(given, "validation", "evaluation")
        carry_images(given, samples)
    show_metrics(evaluation, confusion)


def promote(
    model: Input[Model],
    evaluation: Input[Metrics],
    promote: dict,
    data: dict,
    mlflow: dict,
    model_digest: str,
) -> str:
    """Register the model and let the rules decide; return the verdict in words, rule by rule.

    The registry is asked first: a model that is champion already is not promoted again.
    """
    from pipelines.steps.promotion import promote as decide

    return decide(locals(), model_digest)


def plan_answers(
    source: str,
    output: str,
    model: str,
    predict: dict,
    workers: int,
    listing: Output[Dataset],
) -> List[str]:  # noqa: UP006
    """List the images of a batch; return who answers what: 0/2, 1/2."""
    from pipelines.steps.batch import plan

    return plan(locals(), workers)


def write_answers(listing: Input[Dataset], source: str, output: str, part: str) -> str:
    """Answer the partitions of one worker, those that are not answered yet."""
    from pipelines.steps.batch import write

    return write(locals(), part)


def sum_up_answers(
    listing: Input[Dataset],
    output: str,
    written: List[str],  # noqa: UP006 - what was done is in the output; this says when it is
    summary: Output[Metrics],
):
    """Count the answers of all partitions."""
    from pipelines.steps.batch import sum_up

    sum_up(locals())


def watch_answers(listing: Input[Dataset], source: str, output: str, predict: dict) -> str:
    """Compare the images with the data that the version was measured on; return what was found."""
    from pipelines.steps.batch import watch

    return watch(locals())
