"""The pipeline: how the tasks hang together.

fetch → validate → preprocess (plan → write shards, one pod a partition → collect) → train →
evaluate → promote. Where images are many, validate is a group as well (plan → check, one pod a
partition → judge); where a source may hold others tomorrow, fetch is one too (find images → fetch).
KFP's page draws tasks and what they hand on, so each room is one node there, or a group: one node
more below the others, and the page would no longer be one screen. There is
no exit task: KFP gives one only to a group, and a group of all tasks would be all that the first
graph shows; `steps.runs.recording_end` says what does its work.
"""

# No `from __future__ import annotations`: KFP reads the annotations as objects.

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input

from components.common.artifacts.sample import count_wanted
from components.common.settings.kubeflow import BATCH_TASKS, TASKS, Kubeflow
from pipelines import tasks
from pipelines.resources import create_component, create_config, create_job, equip
from pipelines.settings import BATCH, DARKROOM
from pipelines.steps.fetch import is_pinned


class Shards(NamedTuple):
    """What the group `preprocess` hands on."""

    shards: Dataset


class Brought(NamedTuple):
    """What the group `fetch` hands on."""

    images: Dataset


class Checked(NamedTuple):
    """What the group `validate` hands on."""

    manifest: Dataset


def create_pipeline(settings: Kubeflow, sections: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the pipeline, its parameters preset with the sections of params.yaml.

    Args:
        settings: section `kubeflow`.
        sections: `fetch`, and each section of params.yaml that a room reads, as plain values.
    """
    on_volume = bool(settings.volume.claim)
    volume = settings.volume.mount if on_volume else ""
    on_nodes = settings.distributed.nodes > 1
    samples = count_wanted(int(sections["promote"]["served_images"]))
    start = Starter(settings, (*TASKS, "train_on_nodes"))
    preprocessing = create_preprocess(start, settings)
    # A source is asked each time what it holds; what was made of the same images is in the cache.
    pinned = is_pinned(sections["fetch"], sections["ingest"])
    is_found = bool(sections["fetch"]["source"]) and not on_volume
    # On a volume fetch looks each time whether what it promises is there: never from the cache.
    bringing = partial(start, "fetch", pinned and not on_volume, volume=volume, found="")
    if is_found:
        bringing = create_fetch(start, pinned)
    is_many = on_volume or (is_found and sections["fetch"].get("images") != "copies")
    checking = create_validate(start, settings) if is_many else partial(start, "validate")

    def darkroom(
        fetch: dict,
        ingest: dict,
        validate: dict,
        preprocess: dict,
        train: dict,
        evaluate: dict,
        promote: dict,
        data: dict,
        mlflow: dict,
    ):
        own = {"fetch": fetch, "ingest": ingest, "mlflow": mlflow}
        brought = bringing(**own).set_display_name("fetch").outputs
        # There images go by a parameter: an artifact that is made anew would never hit the cache.
        place = brought["Output"] if on_volume else ""
        images: dict[str, Any] = {} if on_volume else {"images": brought["images"]}
        checked = checking(validate=validate, data=data, place=place, **images)
        manifest = checked.set_display_name("validate").outputs["manifest"]
        shards = (
            preprocessing(
                manifest=manifest, preprocess=preprocess, data=data, place=place, **images
            )
            .set_display_name("preprocess")
            .outputs["shards"]
        )
        more: dict[str, Any] = {"job": create_job(settings)} if on_nodes else {"volume": volume}
        name = "train_on_nodes" if on_nodes else "train"
        trained = start(name, shards=shards, train=train, mlflow=mlflow, **more).outputs
        evaluation = start(
            "evaluate",
            model=trained["model"],
            shards=shards,
            manifest=manifest,
            evaluate=evaluate,
            mlflow=mlflow,
            place=place,
            samples=samples,
            **images,
        ).outputs["evaluation"]
        start(
            "promote",
            cached=False,
            model=trained["model"],
            evaluation=evaluation,
            promote=promote,
            data=data,
            mlflow=mlflow,
            model_digest=trained["Output"],
        )

    parameters = inspect.signature(darkroom).parameters
    darkroom.__defaults__ = tuple(dict(sections[name]) for name in parameters)
    about_it = "Images in; a validated, judged, registered model out."
    config = create_config(settings)
    return dsl.pipeline(name=DARKROOM, description=about_it, pipeline_config=config)(darkroom)


class Starter:
    """Makes tasks of the pipeline, each with what section `kubeflow` says of it."""

    def __init__(self, settings: Kubeflow, names: Sequence[str]) -> None:
        """Make the components, which several pipelines may share."""
        self._settings = settings
        self._made = {name: create_component(getattr(tasks, name), settings) for name in names}

    def __call__(self, name: str, cached: bool = True, **arguments: Any) -> Any:
        """Return a task by the name of its function; `cached` is false if it looks at the world."""
        return equip(self._made[name](**arguments), name, self._settings, cached)


def create_fetch(start: Starter, pinned: bool) -> Any:
    """Return the group `fetch`: ask the source what it holds, bring that.

    Args:
        start: makes the tasks.
        pinned: the source holds the same for ever.
    """

    def bring(fetch: dict, ingest: dict, mlflow: dict) -> Brought:
        found = start("find_images", pinned, fetch=fetch, mlflow=mlflow).output
        own: dict[str, Any] = {"fetch": fetch, "ingest": ingest, "mlflow": mlflow}
        return Brought(start("fetch", volume="", found=found, **own).outputs["images"])

    # Not called `fetch` as the task in it is: who follows a run knows tasks by their names.
    return dsl.pipeline(name="bring")(bring)


def create_validate(start: Starter, settings: Kubeflow) -> Any:
    """Return the group `validate`: list the files, look at them in several pods, judge."""

    def build(validate: Any, data: Any, place: Any, **images: Any) -> Any:
        common = {"validate": validate, "data": data, "place": place, **images}
        planned = start("plan_checks", partitions=settings.partitions, **common).outputs
        with dsl.ParallelFor(planned["Output"], name="check images") as part:
            checked = start("check_images", files=planned["files"], part=part, **common)
        found = dsl.Collected(checked.outputs["checked"])
        own = {"files": planned["files"], "partitions": found}
        return start("judge_images", **own, **common).outputs["manifest"]

    # A group has no optional artifact: with a volume it takes none.
    def with_images(validate: dict, data: dict, place: str, images: Input[Dataset]) -> Checked:
        return Checked(build(validate, data, place, images=images))

    def on_volume(validate: dict, data: dict, place: str) -> Checked:
        return Checked(build(validate, data, place))

    return dsl.pipeline(name="validate")(on_volume if settings.volume.claim else with_images)


def create_preprocess(start: Starter, settings: Kubeflow) -> Any:
    """Return the group `preprocess`: plan, write the shards in several pods, collect them."""
    partitions = settings.partitions
    volume = settings.volume.mount if settings.volume.claim else ""

    def build(manifest: Any, preprocess: Any, data: Any, place: Any, **images: Any) -> Any:
        sections = {"preprocess": preprocess, "data": data}
        wanted = {"manifest": manifest, "partitions": partitions, "place": place}
        planned = start("plan_shards", **wanted, **sections).outputs
        where = {"place": place, "volume": volume}
        with dsl.ParallelFor(planned["Output"], name="write shards") as part:
            one = {"planned": planned["planned"], "part": part, **where}
            written = start("write_shards", **one, **images).outputs["written"]
        whole = {"manifest": manifest, "splits": planned["splits"], **sections, **where}
        collected = start("collect_shards", partitions=dsl.Collected(written), **whole)
        return collected.outputs["shards"]

    # A group has no optional artifact: with a volume it takes none.
    def with_images(
        manifest: Input[Dataset], preprocess: dict, data: dict, place: str, images: Input[Dataset]
    ) -> Shards:
        return Shards(build(manifest, preprocess, data, place, images=images))

    def on_volume(manifest: Input[Dataset], preprocess: dict, data: dict, place: str) -> Shards:
        return Shards(build(manifest, preprocess, data, place))

    return dsl.pipeline(name="preprocess")(on_volume if volume else with_images)


def create_batch(settings: Kubeflow, given: Mapping[str, Any]) -> Any:
    """Return the pipeline that answers very many images, its parameters preset.

    plan → write answers, each pod its partitions → sum up → watch. None of it is ever taken from
    the cache: all look at the outside world, and what is answered already is seen in the output.

    Args:
        settings: section `kubeflow`.
        given: `source`, `output` and `model`, and section `predict` of params.yaml.
    """
    start = Starter(settings, BATCH_TASKS)
    workers = settings.partitions

    def answer(source: str, output: str, model: str, predict: dict):
        where = {"source": source, "output": output}
        planned = start(
            "plan_answers", False, model=model, predict=predict, workers=workers, **where
        ).outputs
        listing = planned["listing"]
        with dsl.ParallelFor(planned["Output"], name="write answers") as part:
            written = start("write_answers", False, listing=listing, part=part, **where).output
        summed = start(
            "sum_up_answers", False, listing=listing, output=output, written=dsl.Collected(written)
        )
        # Last, so that a run that a drift lets fail has all its answers.
        start("watch_answers", False, listing=listing, predict=predict, **where).after(summed)

    parameters = inspect.signature(answer).parameters
    answer.__defaults__ = tuple(given[name] for name in parameters)
    about_it = "Images and a registered model in; an answer for each image out."
    config = create_config(settings)
    return dsl.pipeline(name=BATCH, description=about_it, pipeline_config=config)(answer)
