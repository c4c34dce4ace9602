"""What a person types: `python -m components.promote approve|rollback|history|repair|rules`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.cli import Command, read_room_params
from components.common.settings.flags import read_path, read_word
from components.common.settings.spec import check_name

if TYPE_CHECKING:
    from components.promote.registry.registry import Registry


REPORTS = Path("reports")


def _add_approve(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("version", nargs="?", type=_read_version, help="default: the challenger")
    parser.add_argument("--by", required=True, metavar="NAME", help="who answers for it")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why")
    _add_champion(parser)
    parser.add_argument(
        "--against-verdict",
        action="store_true",
        help="also where a rule fails, or there are none",
    )
    _add_accept(parser)


def _approve(flags: argparse.Namespace) -> None:
    params = _read_params(flags)
    with _opening(flags) as registry:
        from components.promote.people import approve

        approve(
            registry,
            flags.version,
            flags.by,
            flags.reason,
            rules=params and params.rules,
            approvals=params.approvals if params else 1,
            champion=flags.champion or "",
            against_verdict=flags.against_verdict,
            accept_breaks=flags.accept_broken_ledger,
        )


def _add_rollback(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "version",
        nargs="?",
        type=_read_version,
        help="a former champion; default: the one before",
    )
    _add_who(parser)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why")
    _add_champion(parser)


def _roll_back(flags: argparse.Namespace) -> None:
    with _opening(flags) as registry:
        from components.promote.people import roll_back

        roll_back(registry, flags.version, flags.by, flags.reason, flags.champion or "")


def _add_repair(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    _add_who(parser)
    parser.add_argument(
        "--reason",
        default="MLflow was changed by hand",
        metavar="TEXT",
        help="default: %(default)s",
    )
    _add_accept(parser)


def _repair(flags: argparse.Namespace) -> None:
    with _opening(flags, may_be_missing=True) as registry:
        from components.promote.registry.account import name_person
        from components.promote.registry.moves import Mover
        from components.promote.registry.repair import repair

        mover = Mover(registry, name_person(flags.by))
        repair(mover, flags.reason, flags.accept_broken_ledger)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="judge the newest registered versions and reports/ by them, one after the other; "
        "nothing is registered or moved",
    )
    parser.add_argument(
        "--reports",
        type=read_path,
        metavar="FOLDER",
        help=f"with --dry-run, what evaluate wrote; default: {REPORTS}",
    )


def _show_rules(flags: argparse.Namespace) -> None:
    params = read_room_params(flags.params, "promote")
    from components.common.errors import DarkroomError
    from components.common.tracking.tags import METRICS
    from components.promote.trial import show_rules, try_rules

    if flags.name:
        check_name(flags.name, "--name")
    if not flags.dry_run:
        if flags.reports:
            raise DarkroomError("--reports: goes with --dry-run")
        show_rules(params.rules)
        return
    if flags.reports and not (flags.reports / METRICS).is_file():
        raise DarkroomError(f"--reports {flags.reports}: holds no {METRICS}; evaluate writes it")
    from components.common.tracking.failures import explain_failures

    with explain_failures():
        name = flags.name or params.mlflow.registered_model
        try_rules(name, params.rules, flags.reports or REPORTS, is_named=bool(flags.name))


def _add_history(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "query",
        nargs="?",
        type=read_word,
        help="an alias, a version, or the beginning of any origin: git commit, digest, run id; "
        "default: all",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _show_history(flags: argparse.Namespace) -> None:
    with _opening(flags) as registry:
        from components.promote.history import show_history

        show_history(registry, flags.query, flags.json)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", type=read_word, help="registered model; default: mlflow.registered_model"
    )
    parser.add_argument("--params", type=read_path, default=Path("params.yaml"), metavar="FILE")


def _add_who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", default="", metavar="NAME", help="default: DARKROOM_WHO, or the login name"
    )


def _add_champion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--champion",
        type=_read_champion,
        metavar="VERSION",
        help="the champion that you decide against, or none; if it is another now, nothing is done",
    )


def _add_accept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-broken-ledger",
        action="store_true",
        help="accept a ledger that was changed as it is now; its breaks stay in the entry",
    )


def _read_version(text: str) -> str:
    """Return a version's number as the ledger spells it."""
    number = text.strip()
    is_plain = number.isascii() and number.isdecimal() and len(number) <= 9
    if not is_plain or number.startswith("0"):
        raise argparse.ArgumentTypeError(
            f"{text!a} is no version: it is a whole number, as `history` shows it"
        )
    return number


def _read_champion(text: str) -> str:
    return text if text == "none" else _read_version(text)


def _read_params(flags: argparse.Namespace) -> Any:
    """Return the settings; None where a name is given and there are none."""
    if flags.name and not flags.params.exists():
        return None
    return read_room_params(flags.params, "promote")


@contextmanager
def _opening(flags: argparse.Namespace, may_be_missing: bool = False) -> Iterator[Registry]:
    """Yield the registry of the model that is meant, if it is there."""
    name = flags.name or read_room_params(flags.params, "promote").mlflow.registered_model
    check_name(name, "--name")
    from components.common.errors import DarkroomError
    from components.common.tracking.failures import explain_failures
    from components.common.tracking.server import describe_uri, import_mlflow
    from components.promote.registry.registry import Registry
    from components.promote.registry.repair import describe_missing

    mlflow = import_mlflow(create=False)
    with explain_failures():
        registry = Registry(mlflow, name)
        missing = describe_missing(registry)
        if missing and not may_be_missing:
            raise DarkroomError(missing)
        if not missing and registry.find_named(name) is None:
            raise DarkroomError(
                f"MLflow at {describe_uri(mlflow)} has no model {name}; run the pipeline first, or "
                "say which with --name"
            )
        yield registry


COMMANDS = {
    "approve": Command("make a version champion, with a name and a reason", _add_approve, _approve),
    "rollback": Command("back to a former champion, with a reason", _add_rollback, _roll_back),
    "history": Command(
        "the ledger, and where each version comes from", _add_history, _show_history
    ),
    "repair": Command("heal what was changed by hand in MLflow's page", _add_repair, _repair),
    "rules": Command(
        "what it takes to be champion; try it on past versions", _add_rules, _show_rules
    ),
}
