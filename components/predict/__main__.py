"""Command line: `python -m components.predict [watch] --model models:/darkroom@champion PATH…`."""

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

from components.common.cli import exit_on_error
from components.predict import spec


def create_parser() -> argparse.ArgumentParser:
    """Return the parser; it differs from the other rooms', because a person types this one."""
    told = {
        f.name: f.metadata["help"] for kind in (spec.Inputs, spec.Outputs) for f in fields(kind)
    }
    parser = argparse.ArgumentParser(
        prog="python -m components.predict",
        description=spec.__doc__,
        epilog="The answers have the columns path, label, probability, unsure and reason; an image "
        "that cannot be read has no label but a reason. `watch` compares a batch with the model's "
        "data.",
        fromfile_prefix_chars="@",
    )
    # Of @FILE each line is one path, however many spaces it has.
    parser.convert_arg_line_to_args = lambda arg_line: [arg_line] if arg_line.strip() else []  # type: ignore[method-assign]
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH", help=told["images"])
    parser.add_argument("--model", required=True, help=told["model"])
    parser.add_argument("--output", default="-", metavar="FILE", help=told["output"])
    parser.add_argument("--probabilities", action="store_true", help=told["probabilities"])
    parser.add_argument("--unsure-below", type=float, metavar="P", help=told["unsure_below"])
    return parser


def watch(words: list[str]) -> None:
    """Run `watch`: does a batch look like the data that the model was measured on?"""
    parser = argparse.ArgumentParser(prog="python -m components.predict watch")
    parser.description = "Compare images with the data that a registered model was measured on."
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--model", required=True, help="such as models:/darkroom@champion")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON file for the result")
    parser.add_argument("--fail", action="store_true", help="exit with 1 where the batch drifted")
    flags = parser.parse_args(words)
    with exit_on_error():
        from components.predict.watch import watch as compare

        drifted = compare(flags.model, flags.images, flags.output)
    sys.exit(1 if drifted and flags.fail else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        watch(sys.argv[2:])
    flags = create_parser().parse_args()
    with exit_on_error():
        from components.predict.run import run

        try:
            outputs = spec.Outputs(flags.output, flags.probabilities, flags.unsure_below)
            run(spec.Inputs(flags.model, flags.images), outputs, spec.Params())
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
