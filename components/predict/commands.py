"""What a person types: `python -m components.predict [serve|page|watch] --model models:/…`."""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import fields
from pathlib import Path

from components.common.cli import (
    ROOM_ITSELF,
    Command,
    check_writable,
    create_schema,
    read_room_params,
)
from components.common.errors import DarkroomError
from components.common.settings.flags import count, read_path, read_word
from components.predict import spec

PARAMS = Path("params.yaml")
CHAMPION = "the champion of mlflow.registered_model in params.yaml"


def _add_predict(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the room itself; no other room's are typed by a person."""
    told = {
        f.name: f.metadata["help"] for kind in (spec.Inputs, spec.Outputs) for f in fields(kind)
    }
    parser.epilog = (
        "The answers have the columns path, label, probability, unsure and reason, and unknown\n"
        "where the version has a limit for it; an image that cannot be read has no label but a\n"
        "reason."
    )
    parser.add_argument("images", nargs="+", type=read_word, metavar="PATH", help=told["images"])
    parser.add_argument("--model", required=True, help=told["model"])
    parser.add_argument(
        "--output", default="-", type=read_word, metavar="FILE", help=told["output"]
    )
    parser.add_argument("--probabilities", action="store_true", help=told["probabilities"])
    parser.add_argument("--sets", action="store_true", help=told["sets"])
    parser.add_argument("--unsure-below", type=_share, metavar="P", help=told["unsure_below"])


def _share(text: str) -> float:
    """Return a number from 0 to 1 as it was typed."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no probability: legal are 0 to 1")
    return value


def _predict(flags: argparse.Namespace) -> None:
    from components.predict.listing import read_words
    from components.predict.run import run

    try:
        if flags.output != "-":
            check_writable("--output", Path(flags.output))
        outputs = spec.Outputs(
            flags.output, flags.probabilities, sets=flags.sets, unsure_below=flags.unsure_below
        )
        run(spec.Inputs(flags.model, read_words(flags.images)), outputs, spec.Params())
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="*", type=read_word, metavar="PATH", help="as predict takes them"
    )
    parser.add_argument("--model", required=True, help="such as models:/darkroom@champion")
    parser.add_argument(
        "--log",
        type=read_path,
        action="append",
        default=[],
        metavar="FILE",
        help="what `serve --log FILE` wrote: the answers of this version in it; may be repeated",
    )
    parser.add_argument("--output", type=read_path, metavar="FILE", help="JSON file for the result")
    parser.add_argument("--fail", action="store_true", help="exit with 1 where the batch drifted")
    parser.add_argument(
        "--min-effect",
        type=_share,
        metavar="E",
        help="smaller shifts are no drift; default: 0.1, a small effect (Cohen 1988)",
    )


def _watch(flags: argparse.Namespace) -> None:
    """Tell whether a batch looks like the data that the model was measured on."""
    from components.predict.drift import MIN_EFFECT
    from components.predict.listing import read_words
    from components.predict.watch import watch

    if not flags.images and not flags.log:
        raise DarkroomError("nothing to watch: name images or folders of them, or --log FILE")
    if flags.output:
        check_writable("--output", flags.output)
    min_effect = MIN_EFFECT if flags.min_effect is None else flags.min_effect
    images = read_words(flags.images)
    if watch(flags.model, images, flags.output, flags.log, min_effect) and flags.fail:
        sys.exit(1)


def _add_suggest(parser: argparse.ArgumentParser) -> None:
    told = {f.name: f.metadata["help"] for f in fields(spec.Suggest)}
    default = {f.name: f.default for f in fields(spec.Suggest)}
    parser.epilog = (
        "The list has the columns rank, path, label and second (the likeliest classes), their\n"
        "probabilities, unknown, and worth, 0 to 1: how much a label would tell."
    )
    parser.add_argument("images", nargs="+", type=read_word, metavar="FOLDER", help=told["images"])
    parser.add_argument("--model", default="", help=f"{told['model']}; default: {CHAMPION}")
    parser.add_argument(
        "--count",
        type=count(1, 100_000),
        default=default["count"],
        metavar="N",
        help=told["count"],
    )
    parser.add_argument("--of", metavar="CLASS", help=told["of"])
    for name, file in (("output", "suggestions.csv"), ("page", "suggestions.html")):
        parser.add_argument(
            f"--{name}", type=read_path, default=Path(file), metavar="FILE", help=told[name]
        )
    for name in ("known", "metrics"):
        parser.add_argument(f"--{name}", type=read_path, metavar="FILE", help=told[name])
    parser.add_argument(
        "--near-duplicate-bits",
        type=count(0, 15),
        default=default["near_duplicate_bits"],
        metavar="N",
        help=told["near_duplicate_bits"],
    )


def _suggest(flags: argparse.Namespace) -> None:
    """Choose which photos to label first."""
    from components.predict.listing import read_words
    from components.predict.suggest.suggestions import suggest

    if flags.output.resolve() == flags.page.resolve():
        raise DarkroomError(f"--page {flags.page}: that is --output; give another name")
    for name in ("output", "page"):
        check_writable(f"--{name}", getattr(flags, name))
    model = flags.model or _name_champion()
    suggest(spec.Suggest(**vars(flags) | {"images": read_words(flags.images), "model": model}))


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "OUTPUT gets answers/part-000000.parquet and so on, read as one table, with the columns\n"
        "path, sha256, label, probability, unsure, unknown, reason and model_version; also\n"
        "listing.parquet and summary.json. A partition that this version has answered, for the\n"
        "same images, is not answered again: what was stopped goes on."
    )
    parser.add_argument(
        "source",
        type=read_word,
        metavar="SOURCE",
        help="a folder; @FILE, a list with a path in each line; or s3://…, gs://… or hf://…",
    )
    parser.add_argument("--model", default="", help=f"default: {CHAMPION}")
    parser.add_argument(
        "--output", type=read_path, required=True, metavar="FOLDER", help="for answers"
    )
    parser.add_argument(
        "--partition-images",
        type=count(1, 1_000_000),
        metavar="N",
        help="images of a partition; default: predict.batch.partition_images of params.yaml",
    )
    parser.add_argument(
        "--partition",
        type=count(0),
        metavar="K",
        help="this one alone, from 0; the same call without it sums up when all are answered",
    )
    _add_params(parser)


def _batch(flags: argparse.Namespace) -> None:
    """Answer for very many images, by partitions."""
    from components.predict.batch.batch import run_batch

    check_writable("--output", flags.output / "any")
    images = flags.partition_images or _read_settings(flags.params).batch.partition_images
    model = flags.model or _name_champion(flags.params)
    run_batch(flags.source, model, flags.output, images, flags.partition)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_server(parser, port=8080)
    parser.add_argument("--name", default="", help="by which clients call the model in addresses")
    parser.add_argument(
        "--log", type=read_path, metavar="FILE", help="keep digests and answers there, for watch"
    )


def _add_page(parser: argparse.ArgumentParser) -> None:
    _add_server(parser, port=8501)


def _add_server(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument("--model", required=True, help="such as models:/darkroom@champion")
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 lets other machines ask; default: %(default)s"
    )
    parser.add_argument(
        "--port", type=count(0, 65_535), default=port, help="default: %(default)s; 0: any"
    )
    _add_params(parser)


def _add_params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--params",
        type=read_path,
        metavar="FILE",
        help="settings, in its section predict; default: params.yaml, where there is one",
    )


def _serve(flags: argparse.Namespace) -> None:
    from components.predict.serve.serving import serve

    settings = _read_settings(flags.params).serve
    place = {"host": flags.host, "port": flags.port}
    serve(flags.model, settings, **place, name=flags.name, log=flags.log)


def _show_page(flags: argparse.Namespace) -> None:
    from components.predict.serve.serving import serve

    settings = _read_settings(flags.params).serve
    serve(flags.model, settings, host=flags.host, port=flags.port, page=True)


def _name_champion(params: Path | None = None) -> str:
    """Return the champion of the model that params.yaml names; without one, of the default's."""
    from components.common.settings.params import read_params
    from components.common.settings.spec import Mlflow

    names = Mlflow()
    if params is not None or PARAMS.exists():
        names = read_params(params or PARAMS, create_schema())["mlflow"]
    return f"models:/{names.registered_model}@champion"


def _read_settings(params: Path | None) -> spec.Params:
    file = params or PARAMS
    if params is None and not file.exists():
        return spec.Params()
    settings: spec.Params = read_room_params(file, "predict")
    return settings


COMMANDS = {
    ROOM_ITSELF: Command(spec.__doc__ or "", _add_predict, _predict),
    "watch": Command(
        "Compare images with the data that a registered model was measured on.",
        _add_watch,
        _watch,
    ),
    "batch": Command(
        "Answer for very many images by partitions: Parquet files and a summary; it can go on.",
        _add_batch,
        _batch,
    ),
    "suggest": Command(
        "Choose which of many unlabelled photos to label first: a list, and a page of pictures.",
        _add_suggest,
        _suggest,
    ),
    "serve": Command(
        "Serve a model over HTTP: MLflow's and KServe's forms, in batches, following its alias.",
        _add_serve,
        _serve,
    ),
    "page": Command(
        "Serve a page on this machine where photos are dropped and answers are shown.",
        _add_page,
        _show_page,
    ),
}
