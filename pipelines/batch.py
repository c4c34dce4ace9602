"""The action `predict`: answers to very many images, here, on a cluster, or again and again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.common.errors import DarkroomError
from components.common.images.stores.listing import MODULES
from components.common.settings.addresses import refuse_secrets
from components.common.settings.flags import read_path, read_word
from pipelines.settings import BATCH, Settings


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add what the action takes beside the flags of every action that sends something."""
    parser.add_argument(
        "--source",
        required=True,
        type=read_word,
        help="the images: a folder, @FILE with a path in each line, s3://…, gs://… or hf://…; for "
        "a cluster files lie on the shared volume",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=read_word,
        metavar="FOLDER",
        help="for answers and summary; for a cluster on the shared volume",
    )
    parser.add_argument(
        "--model", default="", help="default: the champion of mlflow.registered_model"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--local", action="store_true", help="run it on this machine, in processes")
    how.add_argument("--compile", type=read_path, metavar="FILE", help="write the pipeline as YAML")
    how.add_argument(
        "--cron",
        type=read_word,
        help="start it again and again: seconds minutes hours day month weekday, '0 0 3 * * *'; "
        "`schedule --disable --name NAME` stops it",
    )
    parser.add_argument(
        "--root",
        type=read_path,
        default=Path("pipeline-runs"),
        help="with --local, folder for what the tasks hand each other; default: %(default)s",
    )


def predict(settings: Settings, options: argparse.Namespace, connect: Callable[..., Any]) -> None:
    """Do what the flags say.

    Args:
        settings: as read.
        options: the flags.
        connect: returns the connection to a cluster that they name.

    Raises:
        DarkroomError: if a path is named that the pods of a cluster do not see.
    """
    refuse_secrets(options.source, "--source")
    champion = f"models:/{settings.parameters['mlflow']['registered_model']}@champion"
    given = {"source": options.source, "output": options.output, "model": options.model or champion}
    parameters = {**given, "predict": settings.predict}
    batch = replace(settings, pipeline=BATCH, parameters=parameters)
    if options.compile:
        from pipelines.compiler import write_pipeline

        write_pipeline(batch, options.compile)
        return
    if options.local:
        from pipelines import local

        local.run_in_processes(batch, options.root)
        return
    check_places(batch)
    from pipelines import cluster

    if options.cron:
        cluster.check_cron(options.cron)
    connection = connect(settings, options)
    sending = {"allow_mutable_tag": options.allow_mutable_tag, "checked": options.checked}
    if options.cron:
        name = options.name or BATCH
        cluster.schedule(connection, batch, name=name, cron=options.cron, enabled=True, **sending)
        return
    run = cluster.submit(connection, batch, options.name, **sending)
    print(run.address, flush=True)
    if options.wait:
        cluster.wait(connection, run, options.timeout, settings.kubeflow)


def check_places(settings: Settings) -> None:
    """Refuse, before anything is sent, a path that not every pod sees.

    Raises:
        DarkroomError: with what to do.
    """
    volume = settings.kubeflow.volume
    for name in ("source", "output"):
        place = settings.parameters[name]
        if name == "source" and urlsplit(place).scheme.lower() in MODULES:
            continue
        path = Path(place.removeprefix("@") if name == "source" else place)
        if not volume.claim or not path.is_relative_to(volume.mount) or ".." in path.parts:
            where = f"below {volume.mount}" if volume.claim else "on a volume: set its claim"
            more = ", or an address such as s3://bucket/folder" if name == "source" else ""
            raise DarkroomError(
                f"--{name} {place}: the pods of a cluster share only the volume of "
                f"kubeflow.volume: give a path {where}{more}; --local runs it on this machine"
            )
