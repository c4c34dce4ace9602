"""The pipeline: how the tasks hang together.

fetch → validate → preprocess (plan → write shards, one pod a partition → collect) → train →
evaluate → promote. KFP's page draws tasks and what they hand on, so each room is one node there,
and preprocess a group. There is no exit task: KFP gives one only to a group, and a group of all
tasks would be all that the first graph shows; `steps.runs.recording_end` says what does its work.
"""

# No `from __future__ import annotations`: KFP reads the annotations as objects.

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input

from components.common.settings.kubeflow import BATCH_TASKS, TASKS, Kubeflow
from pipelines import tasks
from pipelines.resources import create_component, create_config, create_job, equip
from pipelines.settings import BATCH, DARKROOM
from pipelines.steps.fetch import is_pinned


class Shards(NamedTuple):
    """What the group `preprocess` hands on."""

    shards: Dataset


def create_pipeline(settings: Kubeflow, sections: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the pipeline, its parameters preset with the sections of params.yaml.

    Args:
        settings: section `kubeflow`.
        sections: `fetch`, and each section of params.yaml that a room reads, as plain values.
    """
    on_volume = bool(settings.volume.claim)
    volume = settings.volume.mount if on_volume else ""
    on_nodes = settings.distributed.nodes > 1
    start = Starter(settings, (*TASKS, "train_on_nodes"))
    preprocessing = create_preprocess(start, settings)

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
        # On a volume fetch looks each time whether what it promises is there: never from the cache.
        cached = is_pinned(sections["fetch"], sections["ingest"]) and not on_volume
        own = {"fetch": fetch, "ingest": ingest, "mlflow": mlflow}
        brought = start("fetch", cached, volume=volume, **own).outputs
        # There images go by a parameter: an artifact that is made anew would never hit the cache.
        place = brought["Output"] if on_volume else ""
        images: dict[str, Any] = {} if on_volume else {"images": brought["images"]}
        checked = start("validate", validate=validate, data=data, place=place, **images).outputs
        manifest = checked["manifest"]
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
            place=place,
            **images,
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


def create_preprocess(start: Starter, settings: Kubeflow) -> Any:
    """Return the group `preprocess`: plan, write the shards in several pods, collect them."""
    partitions = settings.partitions
    volume = settings.volume.mount if settings.volume.claim else ""

    def build(manifest: Any, preprocess: Any, data: Any, place: Any, **images: Any) -> Any:
        sections = {"preprocess": preprocess, "data": data}
        planned = start("plan_shards", manifest=manifest, partitions=partitions, **sections).outputs
        common = {"manifest": manifest, "splits": planned["splits"], **sections}
        common |= {"place": place, "volume": volume}
        with dsl.ParallelFor(planned["Output"], name="write shards") as part:
            written = start("write_shards", part=part, **common, **images).outputs["written"]
        return start("collect_shards", partitions=dsl.Collected(written), **common).outputs[
            "shards"
        ]

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
