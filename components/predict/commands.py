"""What a person types: `python -m components.predict [watch] --model models:/… PATH…`."""

from __future__ import annotations

import argparse
import math
import os
import sys
from dataclasses import fields
from pathlib import Path

from components.common.cli import ROOM_ITSELF, Command, check_writable
from components.predict import spec


def _add_predict(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the room itself; no other room's are typed by a person."""
    told = {
        f.name: f.metadata["help"] for kind in (spec.Inputs, spec.Outputs) for f in fields(kind)
    }
    parser.epilog = (
        "The answers have the columns path, label, probability, unsure and reason; an\n"
        "image that cannot be read has no label but a reason."
    )
    parser.add_argument("images", nargs="+", metavar="PATH", help=told["images"])
    parser.add_argument("--model", required=True, help=told["model"])
    parser.add_argument("--output", default="-", metavar="FILE", help=told["output"])
    parser.add_argument("--probabilities", action="store_true", help=told["probabilities"])
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
        outputs = spec.Outputs(flags.output, flags.probabilities, flags.unsure_below)
        run(spec.Inputs(flags.model, read_words(flags.images)), outputs, spec.Params())
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", metavar="PATH", help="as predict takes them")
    parser.add_argument("--model", required=True, help="such as models:/darkroom@champion")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file for the result")
    parser.add_argument("--fail", action="store_true", help="exit with 1 where the batch drifted")


def _watch(flags: argparse.Namespace) -> None:
    """Tell whether a batch looks like the data that the model was measured on."""
    from components.predict.listing import read_words
    from components.predict.watch import watch

    if flags.output:
        check_writable("--output", flags.output)
    if watch(flags.model, read_words(flags.images), flags.output) and flags.fail:
        sys.exit(1)


COMMANDS = {
    ROOM_ITSELF: Command(spec.__doc__ or "", _add_predict, _predict),
    "watch": Command(
        "Compare images with the data that a registered model was measured on.",
        _add_watch,
        _watch,
    ),
}
