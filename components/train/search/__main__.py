"""Command line: `python -m components.train.search run|show|apply`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.files.temporary import keeping_in_one_folder
from components.common.settings.flags import count, number, read_path
from components.common.terminal import exit_on_error, say
from components.common.tracking.signals import raising_on_sigterm

if TYPE_CHECKING:
    from components.train.search.study import Best

PRUNERS = ("asha", "median", "hyperband", "none")


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the three commands."""
    parser = argparse.ArgumentParser(
        prog="python -m components.train.search",
        description="Search for better settings of train: ranges in search.yaml, trials in MLflow.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="try settings; run it again and it goes on")
    show = commands.add_parser("show", help="list the trials, best first")
    apply = commands.add_parser("apply", help="write the best settings into params.yaml")
    for command in (run, show, apply):
        command.add_argument(
            "--database", type=read_path, default=Path("search.db"), metavar="FILE",
            help="SQLite file that holds the studies; default: %(default)s",
        )  # fmt: skip
        command.add_argument(
            "--study", type=_read_name, default="search", metavar="NAME",
            help="default: %(default)s",
        )  # fmt: skip
    for command in (run, apply):
        command.add_argument(
            "--params", type=read_path, default=Path("params.yaml"), metavar="FILE",
            help="settings that stay, and get the best; default: %(default)s",
        )  # fmt: skip
    run.add_argument(
        "--space", type=read_path, default=Path("search.yaml"), metavar="FILE",
        help="ranges of settings; default: %(default)s",
    )  # fmt: skip
    run.add_argument(
        "--shards", type=read_path, default=Path("data/shards"), metavar="PATH",
        help="folder of shards that preprocess wrote; default: %(default)s",
    )  # fmt: skip
    run.add_argument(
        "--trials", type=count(1, 100_000), default=20, metavar="N",
        help="trials in all, earlier sessions' included; default: %(default)s",
    )  # fmt: skip
    run.add_argument(
        "--timeout-minutes",
        type=number(0, 1e6, above=True),
        metavar="MINUTES",
        help="begin no trial after this",
    )
    run.add_argument(
        "--pruner", choices=PRUNERS, default="asha",
        help="which trials are ended early, by their validation loss; default: %(default)s",
    )  # fmt: skip
    return parser


def _read_name(text: str) -> str:
    """Return the name of a study, which names a folder as well."""
    if not text.strip() or text != Path(text).name or text == "..":
        raise argparse.ArgumentTypeError(f"{text!r} is no name: without / and not empty")
    return text


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the commands; exit with 1 on a user's error."""
    given = create_parser().parse_args(argv)
    with exit_on_error(), keeping_in_one_folder(), raising_on_sigterm():
        {"run": _run, "show": _show, "apply": _apply}[given.command](given)


def _run(given: argparse.Namespace) -> None:
    from components.train.search.study import Search, run_search

    minutes = given.timeout_minutes
    best = run_search(
        Search(
            shards=given.shards,
            params=given.params,
            space=given.space,
            database=given.database,
            name=given.study,
            trials=given.trials,
            timeout_seconds=None if minutes is None else minutes * 60,
            pruner=given.pruner,
        )
    )
    print(f"\nbest: trial {best.number}, {_describe(best)}")
    for key, value in best.settings.items():
        say(f"{key}: {value}")
    print("`python -m components.train.search apply` writes it into params.yaml")


def _show(given: argparse.Namespace) -> None:
    from components.train.search.attempt import REPEATS
    from components.train.search.study import read_study

    trials = read_study(given.database, given.study).trials
    print(f"{'trial':>5}  {'state':<9}{'epochs':>7}{'loss':>8}{'accuracy':>10}  settings")
    for trial in sorted(trials, key=lambda t: (t.state.name != "COMPLETE", t.value or 0.0)):
        settings = trial.user_attrs.get("settings", {})
        shown = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in settings.items())
        if REPEATS in trial.user_attrs:
            shown = f"trial {trial.user_attrs[REPEATS]} once more, another seed"
        values = trial.intermediate_values
        loss = f"{trial.value:.3f}" if trial.value is not None else "-"
        found = trial.user_attrs.get("val_accuracy")
        accuracy = f"{found:.1%}" if found is not None else "-"
        state, epochs = trial.state.name.lower(), max(values, default=0)
        print(f"{trial.number:>5}  {state:<9}{epochs:>7}{loss:>8}{accuracy:>10}  {shown}")


def _apply(given: argparse.Namespace) -> None:
    from components.train.search.settings import change_params, read_settings
    from components.train.search.study import find_best_trial, read_study

    best = find_best_trial(read_study(given.database, given.study))
    before = read_settings(given.params)
    change_params(given.params, best.settings)
    print(f"{given.params}: trial {best.number}, {_describe(best)}")
    for key, value in best.settings.items():
        say(f"{key}: {before.get(key)} → {value}")
    print("`dvc repro` trains with it")


def _describe(best: Best) -> str:
    """Return how good the best trial is, in words."""
    seeds = f", mean of {best.runs} seeds" if best.runs > 1 else ""
    return f"validation log loss {best.loss:.3f}, accuracy {best.accuracy:.1%}{seeds}"


if __name__ == "__main__":
    main()
