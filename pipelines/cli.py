"""The command line: compile, run, submit, predict, retry, schedule, upload, clean."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from components.common.files.temporary import keeping_in_one_folder
from components.common.settings.flags import count, number, read_path, read_word
from components.common.terminal import Stopwatch, exit_on_error, say
from components.common.tracking.signals import raising_on_sigterm
from pipelines import batch
from pipelines.settings import Settings, read_settings


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the arguments say; exit with 1 on an error that the user can mend."""
    options = create_parser().parse_args(argv)
    with exit_on_error(), keeping_in_one_folder(), raising_on_sigterm():
        # Everything is checked first: a wrong key is refused before anything is sent or started.
        settings = read_settings(options.params, options.changes)
        options.action(settings, options)


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m pipelines`."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines",
        description="The rooms as a Kubeflow pipeline.",
        epilog="What a cluster is asked for stands in section `kubeflow` of params.yaml.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_compile(actions)
    _add_run(actions)
    for add in (_add_submit, _add_predict, _add_retry, _add_schedule, _add_upload, _add_clean):
        add(actions)
    return parser


def _add(actions: argparse._SubParsersAction, name: str, meaning: str) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    parser: argparse.ArgumentParser = actions.add_parser(name, help=meaning, description=meaning)
    parser.add_argument(
        "--params",
        default="params.yaml",
        type=read_path,
        metavar="FILE",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a key of the params file anew: train.finetune.epochs=4; may be given again",
    )
    return parser


def _add_compile(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _add(actions, "compile", "write the pipeline as YAML, the same bytes every time")
    parser.add_argument(
        "--output", type=read_path, default=Path("pipeline.yaml"), help="default: %(default)s"
    )
    parser.set_defaults(action=_compile)


def _add_run(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _add(actions, "run", "run the whole pipeline on this machine, without a cluster")
    parser.add_argument("--docker", action="store_true", help="each task in a container")
    parser.add_argument("--cache", action="store_true", help="take results of equal earlier tasks")
    parser.add_argument(
        "--root",
        type=read_path,
        default=Path("pipeline-runs"),
        help="folder for what the tasks write; default: %(default)s",
    )
    parser.set_defaults(action=_run)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="", help="address of KFP; default: kubeflow.host, KFP_HOST"
    )
    parser.add_argument("--namespace", default="", help="default: kubeflow.namespace")
    parser.add_argument("--experiment", default="", help="default: kubeflow.experiment")
    parser.add_argument(
        "--token",
        default="",
        help="bearer token; better in the environment, KFP_TOKEN. In a cluster neither is needed",
    )


def _add_sending(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-mutable-tag",
        action="store_true",
        help="take an image without digest: a cache may then answer with results of other code, "
        "and nobody can tell later what ran",
    )
    parser.add_argument(
        "--no-checks",
        dest="checked",
        action="store_false",
        help="do not ask Kubernetes for the secrets, claim and account that params.yaml names",
    )


def _add_submit(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _add(actions, "submit", "start the pipeline on a cluster, and print the run's address")
    _add_server(parser)
    _add_sending(parser)
    parser.add_argument("--name", default="", help="of the run; default: darkroom and the time")
    _add_wait(parser)
    parser.set_defaults(action=_submit)


def _add_predict(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    meaning = "answer very many images with a registered model: submit, schedule or run that"
    parser = _add(actions, "predict", meaning)
    batch.add_flags(parser)
    _add_server(parser)
    _add_sending(parser)
    parser.add_argument("--name", default="", help="of the run or the schedule")
    _add_wait(parser)
    parser.set_defaults(action=lambda settings, given: batch.predict(settings, given, _connect))


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="show progress; fail if the run fails")
    parser.add_argument(
        "--timeout",
        type=number(0, 1e9, above=True),
        default=86400,
        metavar="SECONDS",
        help="of --wait; %(default)s",
    )


def _add_retry(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _add(actions, "retry", "go on with a run that failed or was terminated")
    _add_server(parser)
    parser.add_argument("run", type=_read_run, metavar="RUN", help="its id, or its page's address")
    _add_wait(parser)
    parser.set_defaults(action=_retry)


def _read_run(text: str) -> str:
    found = text.rpartition("#")[2].partition("?")[0].strip().rstrip("/").rpartition("/")[2]
    if not re.fullmatch(r"[\w-]+", found, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r}: give the run's id, the end of its address")
    return found


def _add_schedule(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _add(actions, "schedule", "start the pipeline again and again, by a cron expression")
    _add_server(parser)
    _add_sending(parser)
    parser.add_argument(
        "--name", default="darkroom", type=read_word, help="of the schedule; default: %(default)s"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--cron", type=read_word, help="seconds minutes hours day month weekday: '0 0 3 * * *'"
    )
    what.add_argument("--enable", action="store_true", help="let a schedule of that name go on")
    what.add_argument("--disable", action="store_true", help="stop a schedule of that name")
    parser.add_argument("--disabled", action="store_true", help="make it, but do not start it yet")
    parser.set_defaults(action=_schedule)


def _add_upload(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = _add(actions, "upload", "upload the pipeline, or a new version of it")
    _add_server(parser)
    _add_sending(parser)
    parser.add_argument(
        "--name", default="darkroom", type=read_word, help="of the pipeline; default: %(default)s"
    )
    parser.add_argument(
        "--version", required=True, type=read_word, help="of the pipeline, such as the git commit"
    )
    parser.set_defaults(action=_upload)


def _add_clean(actions: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    meaning = "list what no run in KFP needs on the shared volume, and runs left open in MLflow"
    parser = _add(actions, "clean", meaning)
    _add_server(parser)
    parser.add_argument(
        "--volume", type=read_path, help="where it is mounted; default: kubeflow.volume.mount"
    )
    parser.add_argument(
        "--keep",
        type=count(0),
        default=2,
        help="folders of each kind that stay for the cache, the newest; %(default)s",
    )
    parser.add_argument("--remove", action="store_true", help="remove and close what is listed")
    parser.set_defaults(action=_clean)


def _compile(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines.compiler import write_pipeline

    watch = Stopwatch()
    write_pipeline(settings, options.output)
    say(f"{options.output} ({watch})")


def _run(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines import local

    run = local.run_in_docker if options.docker else local.run_in_processes
    run(settings, options.root, options.cache)


def _submit(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines import cluster

    connection = _connect(settings, options)
    run = cluster.submit(
        connection, settings, options.name, options.allow_mutable_tag, options.checked
    )
    print(run.address, flush=True)
    if options.wait:
        cluster.wait(connection, run, options.timeout, settings.kubeflow)


def _retry(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines import cluster

    connection = _connect(settings, options)
    run = cluster.retry(connection, options.run)
    print(run.address, flush=True)
    if options.wait:
        cluster.wait(connection, run, options.timeout, settings.kubeflow, retried=True)


def _schedule(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines import cluster

    if options.cron:
        cluster.check_cron(options.cron)
    connection = _connect(settings, options)
    if options.cron:
        cluster.schedule(
            connection,
            settings,
            name=options.name,
            cron=options.cron,
            enabled=not options.disabled,
            allow_mutable_tag=options.allow_mutable_tag,
            checked=options.checked,
        )
    else:
        cluster.switch_schedule(connection, options.name, options.enable)


def _upload(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines import cluster

    connection = _connect(settings, options)
    address = cluster.upload(
        connection,
        settings,
        options.name,
        options.version,
        allow_mutable_tag=options.allow_mutable_tag,
        checked=options.checked,
    )
    print(address, flush=True)


def _clean(settings: Settings, options: argparse.Namespace) -> None:
    from pipelines.cluster import cleaning

    mount = options.volume or Path(settings.kubeflow.volume.mount)
    experiment = settings.parameters["mlflow"]["experiment"]
    connection = _connect(settings, options)
    cleaning.clean(connection, mount, experiment, options.keep, options.remove)


def _connect(settings: Settings, options: argparse.Namespace):  # type: ignore[no-untyped-def]
    from pipelines import cluster

    return cluster.connect(
        host=options.host or settings.kubeflow.host or os.environ.get("KFP_HOST", ""),
        namespace=options.namespace or settings.kubeflow.namespace,
        experiment=options.experiment or settings.kubeflow.experiment,
        token=options.token or os.environ.get("KFP_TOKEN", ""),
    )
