"""What a person types: `python -m components.promote approve|rollback|history`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.cli import Command, read_room_params

if TYPE_CHECKING:
    from components.promote.registry.registry import Registry


def _add_approve(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("version", nargs="?", help="default: the challenger")
    parser.add_argument("--by", required=True, metavar="NAME", help="who answers for it")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why")
    parser.add_argument(
        "--against-verdict",
        action="store_true",
        help="also where the gate rejected it, or judged without rules",
    )
    parser.add_argument(
        "--accept-broken-ledger",
        action="store_true",
        help="accept a ledger that was changed as it is now; its breaks stay in the entry",
    )


def _approve(flags: argparse.Namespace) -> None:
    with _opening(flags) as registry:
        from components.promote.people import approve

        approve(
            registry,
            flags.version,
            flags.by,
            flags.reason,
            against_verdict=flags.against_verdict,
            accept_breaks=flags.accept_broken_ledger,
        )


def _add_rollback(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("version", nargs="?", help="default: the champion before this one")
    parser.add_argument(
        "--by", default="", metavar="NAME", help="default: DARKROOM_WHO, or the login name"
    )
    parser.add_argument("--reason", default="no reason given", metavar="TEXT", help="why")


def _roll_back(flags: argparse.Namespace) -> None:
    with _opening(flags) as registry:
        from components.promote.people import roll_back

        roll_back(registry, flags.version, flags.by, flags.reason)


def _add_history(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "query",
        nargs="?",
        help="an alias, a version, or the beginning of any origin: git commit, digest, run id; "
        "default: all",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _show_history(flags: argparse.Namespace) -> None:
    with _opening(flags) as registry:
        from components.promote.history import show_history

        show_history(registry, flags.query, flags.json)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="registered model; default: mlflow.registered_model")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="FILE")


@contextmanager
def _opening(flags: argparse.Namespace) -> Iterator[Registry]:
    """Yield the registry of the model that is meant, if it is there."""
    name = flags.name or read_room_params(flags.params, "promote").mlflow.registered_model
    from components.common.errors import DarkroomError
    from components.common.tracking.failures import explain_failures
    from components.common.tracking.server import describe_uri, import_mlflow
    from components.promote.registry.registry import Registry

    mlflow = import_mlflow(create=False)
    with explain_failures():
        try:
            mlflow.MlflowClient().get_registered_model(name)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise DarkroomError(
                f"MLflow at {describe_uri(mlflow)} has no model {name}; run the pipeline first, or "
                "say which with --name"
            ) from None
        yield Registry(mlflow, name)


COMMANDS = {
    "approve": Command("make a version champion, with a name and a reason", _add_approve, _approve),
    "rollback": Command("back to the champion before, or to a version", _add_rollback, _roll_back),
    "history": Command(
        "the ledger, and where each version comes from", _add_history, _show_history
    ),
}
