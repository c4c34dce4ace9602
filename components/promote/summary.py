"""What one holds after a run: `python -m components.promote.summary reports/verdict.json`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.writing import read_json
from components.common.settings.flags import read_path
from components.common.terminal import exit_on_error, show_plainly
from components.promote.gate.differences import describe_differences
from components.promote.gate.outcomes import (
    AWAITING,
    INCOMPARABLE,
    NO_RULES,
    PROMOTED,
    REJECTED,
    describe_outcomes,
)

SCHEMA = Schema("verdict", stage="promote")
HEADLINES = {
    PROMOTED: "is champion",
    REJECTED: "is not promoted",
    INCOMPARABLE: "cannot be compared with the champion",
    NO_RULES: "is registered, not judged",
    AWAITING: "awaits approval",
}
HARMLESS = ("exact duplicates", "near-duplicates")  # preprocess keeps them in one split
SHOWN = 3  # warnings on the data; the rest stands in the data docs


def create_summary(verdict: Mapping[str, Any], reports: Path) -> dict[str, Any]:
    """Return what a run came to, for a program.

    Args:
        verdict: content of verdict.json.
        reports: the folder of the other reports; what is missing there is left out.

    Returns:
        The verdict with its rules and figures; `data`, what validate found; `look_at`, the weakest
        parts in words; `would_help`, what the evidence asks for first; `pages`; `next`, commands.
    """
    data, metrics = _read(reports / "validation.json"), _read(reports / "metrics.json")
    pages = {
        "report": reports / "report.html",
        "labels": reports / "labels.html",
        "data": reports / "data_docs/index.html",
    }
    names = ("verdict", "words", "model", "version", "aliases", "figures", "rules")
    return {
        **{name: verdict[name] for name in names},
        "against_champion": verdict.get("against_champion"),
        "data": {
            name: data[name]
            for name in ("status", "images", "usable", "quarantined", "classes", "findings")
            if name in data
        },
        "look_at": list(_find_weak(metrics)),
        "would_help": _find_help(verdict, data, metrics),
        "pages": {name: str(page) for name, page in pages.items() if page.is_file()},
        "next": dict(_list_next(verdict)),
    }


def describe_summary(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary: what it is, how good, how sure, what to look at, what next."""
    title = f"{found['model']} version {found['version']} {HEADLINES[found['verdict']]}"
    yield title
    yield "─" * len(title)
    if data := found["data"]:
        left_out = f", {data['quarantined']:,} files left out" if data["quarantined"] else ""
        classes = len(data["classes"])
        yield f"{'data':<8} {data['usable']:,} images of {classes:,} classes{left_out}"
        for finding in _list_warnings(data)[:SHOWN]:
            yield f"{'':<8} {finding['message']}"
    yield from describe_figures(found["figures"])
    yield from describe_outcomes(found["rules"])
    if found["against_champion"]:
        yield describe_differences(found["against_champion"])
    if found["verdict"] != PROMOTED:
        yield f"→ {found['words']}"
    yield ""
    for line in found["look_at"]:
        yield f"{'weakest':<8} {line}"
    if found["would_help"]:
        yield f"{'helps':<8} {found['would_help']}"
    for what, page in found["pages"].items():
        yield f"{what:<8} {page}"
    for what, command in found["next"].items():
        yield f"{what:<8} {command}"


def _read(file: Path) -> dict[str, Any]:
    found = read_json(file) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def _list_warnings(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in data.get("findings", []) if one["severity"] != "note"]


def _find_weak(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield the weakest class, and which two are most often confused; nothing without mistakes."""
    classes = metrics.get("classes", [])
    mistakes = [
        (count, classes[row]["name"], classes[column]["name"])
        for row, counts in enumerate(metrics.get("confusion", []))
        for column, count in enumerate(counts)
        if row != column
    ]
    # Of pairs that are mixed up as often, the first, as evaluate and the report have it.
    count, actual, predicted = max(mistakes, key=lambda one: one[0], default=(0, "", ""))
    if not count:
        return
    weakest = metrics.get("weakest_class", {}).get("name")
    for one in classes:
        if one["name"] == weakest and one["recall"] is not None:
            found = f"{one['recall']:.1%} of its {one['images']:,} test images are found"
            right = one.get("precision")  # None: no answer names it
            answers = "" if right is None else f", {right:.1%} of its answers right"
            yield f"{weakest}: {found}{answers}"
    yield f"{actual} taken for {predicted}, {count:,} time{'' if count == 1 else 's'}"


def _find_help(
    verdict: Mapping[str, Any], data: Mapping[str, Any], metrics: Mapping[str, Any]
) -> str:
    """Return what the evidence asks for first: images for the rules, then cleaner data."""
    needed = max((rule.get("images_needed") or 0 for rule in verdict["rules"]), default=0)
    if needed:
        return f"more photos: a rule wants some {needed:,} test images"
    if steps := metrics.get("next_steps"):
        return f"{steps[0]['title']}: {steps[0]['points']}"
    for warning in _list_warnings(data):
        if warning.get("advice") and warning["kind"] not in HARMLESS:
            return str(warning["advice"])
    weakest = metrics.get("weakest_class", {}).get("name")
    return f"more photos of {weakest}" if any(True for _ in _find_weak(metrics)) else ""


def _list_next(verdict: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the commands that follow."""
    name, python = verdict["model"], _python()
    yield "runs", "make ui"
    if verdict["verdict"] == AWAITING:
        words = f"approve {verdict['version']} --by NAME --reason TEXT"
        yield "approve", f"{python} -m components.promote {words}"
    elif verdict["verdict"] == NO_RULES:
        yield "rules", "promote.rules in params.yaml says what it takes to be champion"
    elif verdict["verdict"] != PROMOTED:
        yield "rules", f"{python} -m components.promote rules --dry-run"
    alias = "champion" if "champion" in verdict["aliases"] else "challenger"
    model = shlex.quote(f"models:/{name}@{alias}")
    yield "predict", f"{python} -m components.predict --model {model} PATH…"


def describe_figures(figures: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each headline figure, as a share in percent, with its interval."""
    for name, value in figures.items():
        if name.endswith((".low", ".high")):
            continue
        line = f"{name:<8} {value:.1%}"
        if f"{name}.low" in figures:
            line += f" (interval {figures[f'{name}.low']:.1%} to {figures[f'{name}.high']:.1%})"
        yield line


def _python() -> str:
    """Return how to call this interpreter from here."""
    executable = Path(sys.executable)
    return (
        str(executable.relative_to(Path.cwd()))
        if executable.is_relative_to(Path.cwd())
        else "python"
    )


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m components.promote.summary")
    parser.add_argument("verdict", type=read_path, help="such as reports/verdict.json")
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def main(words: Sequence[str]) -> None:
    """Print the summary of a verdict."""
    flags = create_parser().parse_args(words)
    verdict = SCHEMA.take_off(flags.verdict, read_json(flags.verdict))
    try:
        found = create_summary(verdict, flags.verdict.parent)
        lines = list(describe_summary(found))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DarkroomError(
            f"{flags.verdict}: not promote's verdict, or a report beside it is not one of ours "
            f"({error!r}); run promote again"
        ) from None
    if flags.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print()
    for text in lines:
        print(f"  {show_plainly(text)}" if text else "")
    print()


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:])
