"""The verdict on the data, for machines (validation.json) and in a line for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.manifest import OK
from components.validate.expectations import CRITICAL, Result
from components.validate.findings import Finding

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params

FAILED, WARNED, PASSED = "failed", "passed with warnings", "passed"


def create_verdict(
    manifest: pd.DataFrame, results: list[Result], findings: list[Finding]
) -> dict[str, Any]:
    """Return what validation.json holds: status, counts, expectations, findings, a summary in lines."""
    usable = manifest[manifest["status"] == OK]
    broken = [result for result in results if not result.success]
    failed = any(result.severity == CRITICAL for result in broken)
    summary = [
        f"not met: {result.name} ({_count(result)}{_example(result.examples)})" for result in broken
    ]
    summary += [f"{finding.kind}: {finding.message}" for finding in findings]
    return {
        "status": FAILED if failed else WARNED if summary else PASSED,
        "images": len(manifest),
        "usable": len(usable),
        "quarantined": len(manifest) - len(usable),
        "classes": {str(k): int(v) for k, v in usable["label"].value_counts().sort_index().items()},
        "expectations": [asdict(result) for result in results],
        "findings": [asdict(finding) for finding in findings],
        "summary": summary,
    }


def describe_failure(
    folder: Path, results: list[Result], usable: pd.DataFrame, params: Params
) -> str:
    """Return in one line which critical expectations are not met, by what, and what to do."""
    reasons = []
    for result in results:
        if result.success or result.severity != CRITICAL:
            continue
        what = result.name
        if "enough images" in result.name:
            counts = usable["label"].value_counts()
            small = counts[counts < params.min_class_images]
            named = ", ".join(f"{label} has {count}" for label, count in small.items())
            what = f"{result.name} ({named}; {params.min_class_images} are needed)"
        elif "two classes" in result.name:
            what = f"{result.name} (only {', '.join(map(repr, usable['label'].unique()))} is there)"
        elif result.unexpected:
            what = f"{result.name} ({_count(result)}{_example(result.examples)})"
        reasons.append(f"{what}: {result.advice}")
    return f"{folder}: the data fails: " + "; ".join(reasons)


def _count(result: Result) -> str:
    return f"{result.unexpected} image" + ("" if result.unexpected == 1 else "s")


def _example(examples: list[str]) -> str:
    return f", such as {examples[0]}" if examples else ""
