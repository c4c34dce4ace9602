"""What a person types: `python -m components.predict [watch] --model models:/… PATH…`."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

from components.common.cli import ROOM_ITSELF, Command
from components.predict import spec


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
    parser.fromfile_prefix_chars = "@"
    # Of @FILE each line is one path, however many spaces it has.
    parser.convert_arg_line_to_args = lambda arg_line: [arg_line] if arg_line.strip() else []  # type: ignore[method-assign]
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH", help=told["images"])
    parser.add_argument("--model", required=True, help=told["model"])
    parser.add_argument("--output", default="-", metavar="FILE", help=told["output"])
    parser.add_argument("--probabilities", action="store_true", help=told["probabilities"])
    parser.add_argument("--sets", action="store_true", help=told["sets"])
    parser.add_argument("--unsure-below", type=float, metavar="P", help=told["unsure_below"])


def _predict(flags: argparse.Namespace) -> None:
    from components.predict.run import run

    try:
        outputs = spec.Outputs(
            flags.output, flags.probabilities, sets=flags.sets, unsure_below=flags.unsure_below
        )
        run(spec.Inputs(flags.model, flags.images), outputs, spec.Params())
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--model", required=True, help="such as models:/darkroom@champion")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file for the result")
    parser.add_argument("--fail", action="store_true", help="exit with 1 where the batch drifted")


def _watch(flags: argparse.Namespace) -> None:
    """Tell whether a batch looks like the data that the model was measured on."""
    from components.predict.watch import watch

    if watch(flags.model, flags.images, flags.output) and flags.fail:
        sys.exit(1)


COMMANDS = {
    ROOM_ITSELF: Command(spec.__doc__ or "", _add_predict, _predict),
    "watch": Command(
        "Compare images with the data that a registered model was measured on.",
        _add_watch,
        _watch,
    ),
}
