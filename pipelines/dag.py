"""The pipeline: how the tasks hang together.

fetch → validate → plan → write shards, one pod a partition → collect → train → evaluate → who is
champion? → promote; and whatever happens, the end is recorded.
"""

# No `from __future__ import annotations`: KFP reads the annotations as objects.

import inspect
from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.common.settings.addresses import is_address
from components.common.settings.kubeflow import TASKS, Kubeflow
from pipelines import tasks
from pipelines.resources import create_component, create_job, equip
from pipelines.steps.runs import THIS_MODEL

NAME = "darkroom"


def create_pipeline(settings: Kubeflow, sections: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the pipeline, its parameters preset with the sections of params.yaml.

    Args:
        settings: section `kubeflow`.
        sections: `fetch`, and each section of params.yaml that a room reads, as plain values.
    """
    partitions = settings.partitions
    volume = settings.volume.mount if settings.volume.claim else ""
    on_nodes = settings.distributed.nodes > 1
    names = (*TASKS, "train_on_nodes")
    made = {name: create_component(getattr(tasks, name), settings) for name in names}

    def start(name: str, cached: bool = True, **arguments: Any) -> Any:
        return equip(made[name](**arguments), name, settings, cached)

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
        ending = start("record_end", cached=False, mlflow=mlflow)
        with dsl.ExitHandler(ending, name="whatever happens"):
            brought = start(
                "fetch", is_pinned(sections), fetch=fetch, ingest=ingest, volume=volume
            ).outputs
            checked = start(
                "validate", images=brought["images"], validate=validate, data=data
            ).outputs
            planned = start(
                "plan_shards",
                manifest=checked["manifest"],
                preprocess=preprocess,
                data=data,
                partitions=partitions,
            ).outputs
            common = {
                "manifest": checked["manifest"],
                "splits": planned["splits"],
                "preprocess": preprocess,
                "data": data,
                "volume": volume,
            }
            with dsl.ParallelFor(planned["Output"], name="partitions") as part:
                written = start(
                    "write_shards",
                    images=brought["images"],
                    part=part,
                    **common,
                ).outputs
            shards = start(
                "collect_shards", partitions=dsl.Collected(written["part_shards"]), **common
            ).outputs["shards"]
            more: dict[str, Any] = {"job": create_job(settings)} if on_nodes else {"volume": volume}
            trained = start(
                "train_on_nodes" if on_nodes else "train",
                shards=shards,
                train=train,
                mlflow=mlflow,
                **more,
            ).outputs
            about = {
                "model": trained["model"],
                "validation": checked["validation"],
                "run": trained["run"],
                "mlflow": mlflow,
            }
            evaluation = start(
                "evaluate",
                shards=shards,
                manifest=checked["manifest"],
                splits=planned["splits"],
                history=trained["history"],
                findings=trained["findings"],
                evaluate=evaluate,
                **about,
            )
            judged = evaluation.outputs
            found = start(
                "look_up_champion", cached=False, model_digest=trained["Output"], mlflow=mlflow
            ).after(evaluation)  # not before: another run may promote while this one evaluates
            with dsl.If(found.output != THIS_MODEL, name="another model"):
                start(
                    "promote",
                    cached=False,
                    images=brought["images"],
                    predictions=judged["predictions"],
                    metrics=judged["metrics"],
                    promote=promote,
                    data=data,
                    champion=found.output,
                    **about,
                )

    parameters = inspect.signature(darkroom).parameters
    darkroom.__defaults__ = tuple(dict(sections[name]) for name in parameters)
    about_it = "Images in; a validated, judged, registered model out."
    return dsl.pipeline(name=NAME, description=about_it)(darkroom)


def is_pinned(sections: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the images are the same whenever they are fetched, so that a cache may answer."""
    fetch, ingest = sections["fetch"], sections["ingest"]
    if not fetch["source"]:
        # Bundled, or an archive with its sha256; a folder of a store may hold others tomorrow.
        return bool(ingest["sha256"]) or not is_address(str(ingest["source"]))
    revision = str(fetch["revision"])
    return len(revision) == 40 and all(one in "0123456789abcdef" for one in revision)
