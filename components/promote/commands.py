"""What a person types: `python -m components.promote approve|rollback|history`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from components.common.cli import exit_on_error, read_room_params

NAMES = ("approve", "rollback", "history")


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the three commands."""
    parser = argparse.ArgumentParser(prog="python -m components.promote")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=text, description=text)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", help="registered model; default: mlflow.registered_model")
    common.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="FILE")

    approve = commands.add_parser(
        "approve",
        parents=[common],
        help="make a version champion, with a name and a reason",
        description="make a version champion, with a name and a reason",
    )
    approve.add_argument("version", nargs="?", help="default: the challenger")
    approve.add_argument("--by", required=True, metavar="NAME", help="who answers for it")
    approve.add_argument("--reason", required=True, metavar="TEXT", help="why")
    approve.add_argument(
        "--against-verdict",
        action="store_true",
        help="also where the gate rejected it, or judged without rules",
    )
    approve.add_argument(
        "--accept-broken-ledger",
        action="store_true",
        help="accept a ledger that was changed as it is now; its breaks stay in the entry",
    )

    rollback = commands.add_parser(
        "rollback",
        parents=[common],
        help="back to the champion before, or to a version",
        description="back to the champion before, or to a version",
    )
    rollback.add_argument("version", nargs="?", help="default: the champion before this one")
    rollback.add_argument(
        "--by", default="", metavar="NAME", help="default: DARKROOM_WHO, or the login name"
    )
    rollback.add_argument("--reason", default="no reason given", metavar="TEXT", help="why")

    history = commands.add_parser(
        "history",
        parents=[common],
        help="the ledger, and where each version comes from",
        description="the ledger, and where each version comes from",
    )
    history.add_argument(
        "query",
        nargs="?",
        help="an alias, a version, or the beginning of any origin: git commit, digest, run id; "
        "default: all",
    )
    history.add_argument("--json", action="store_true", help="as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the commands; exit with 1 on a user's error, or on a broken ledger."""
    flags = create_parser().parse_args(argv)
    with exit_on_error():
        name = flags.name or read_room_params(flags.params, "promote").mlflow.registered_model
        from components.promote.history import show_history
        from components.promote.people import approve, roll_back
        from components.promote.registry.registry import Registry

        with _opening(name) as registry:
            assert isinstance(registry, Registry)
            if flags.command == "approve":
                approve(
                    registry,
                    flags.version,
                    flags.by,
                    flags.reason,
                    against_verdict=flags.against_verdict,
                    accept_breaks=flags.accept_broken_ledger,
                )
            elif flags.command == "rollback":
                roll_back(registry, flags.version, flags.by, flags.reason)
            else:
                show_history(registry, flags.query, flags.json)


@contextmanager
def _opening(name: str) -> Iterator[object]:
    """Yield the registry of a registered model that is there."""
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
