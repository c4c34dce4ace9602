"""Command line: `python -m components.predict --model models:/darkroom@champion PATH…`."""

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
        epilog="The answers have the columns path, label, probability and reason; an image that "
        "cannot be read has no label but a reason.",
        fromfile_prefix_chars="@",
    )
    # Of @FILE each line is one path, however many spaces it has.
    parser.convert_arg_line_to_args = lambda arg_line: [arg_line] if arg_line.strip() else []  # type: ignore[method-assign]
    parser.add_argument("images", nargs="+", type=Path, metavar="PATH", help=told["images"])
    parser.add_argument("--model", required=True, help=told["model"])
    parser.add_argument("--output", default="-", metavar="FILE", help=told["output"])
    parser.add_argument("--probabilities", action="store_true", help=told["probabilities"])
    return parser


if __name__ == "__main__":
    flags = create_parser().parse_args()
    with exit_on_error():
        from components.predict.run import run

        try:
            outputs = spec.Outputs(flags.output, flags.probabilities)
            run(spec.Inputs(flags.model, flags.images), outputs, spec.Params())
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
