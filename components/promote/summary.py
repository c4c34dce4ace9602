"""What one holds after a run: `python -m components.promote.summary reports/verdict.json`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common.cli import exit_on_error
from components.common.errors import DarkroomError
from components.common.files.writing import read_json
from components.promote.gate.differences import describe_differences
from components.promote.gate.outcomes import (
    AWAITING,
    INCOMPARABLE,
    NO_RULES,
    PROMOTED,
    REJECTED,
    describe_outcomes,
)

HEADLINES = {
    PROMOTED: "is champion",
    REJECTED: "is not promoted",
    INCOMPARABLE: "cannot be compared with the champion",
    NO_RULES: "is registered, not judged",
    AWAITING: "awaits approval",
}


def describe_verdict(verdict: Mapping[str, Any], reports: Path) -> Iterator[str]:
    """Yield the lines of the summary.

    Args:
        verdict: content of verdict.json.
        reports: the folder that holds report.html and data_docs; what is missing there is left out.
    """
    name, version = verdict["model"], verdict["version"]
    title = f"{name} version {version} {HEADLINES[verdict['verdict']]}"
    yield title
    yield "─" * len(title)
    yield from describe_figures(verdict["figures"])
    yield from describe_outcomes(verdict["rules"])
    if verdict.get("against_champion"):
        yield describe_differences(verdict["against_champion"])
    if verdict["verdict"] != PROMOTED:
        yield f"→ {verdict['words']}"
    yield ""
    pages = {"report": "report.html", "data": "data_docs/index.html"}
    for what, page in pages.items():
        if (reports / page).is_file():
            yield f"{what:<8} {reports / page}"
    yield f"{'runs':<8} make ui"
    alias = "champion" if "champion" in verdict["aliases"] else "challenger"
    yield f"{'predict':<8} {_python()} -m components.predict --model models:/{name}@{alias} PATH…"


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


if __name__ == "__main__":
    with exit_on_error():
        if len(sys.argv) != 2:
            raise DarkroomError(
                "say which: python -m components.promote.summary reports/verdict.json"
            )
        file = Path(sys.argv[1])
        print()
        for text in describe_verdict(read_json(file), file.parent):
            print(f"  {text}" if text else "")
        print()
