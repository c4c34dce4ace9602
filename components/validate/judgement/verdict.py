"""The verdict on the data: what validation.json holds, and in one line why the stage fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.manifest import OK
from components.validate.judgement.drift import Comparison
from components.validate.judgement.expectations import CRITICAL, NOTE, WARNING, Result
from components.validate.judgement.findings import Finding

if TYPE_CHECKING:
    import pandas as pd

PASSED, WARNED, FAILED = "passed", "passed_with_warnings", "failed"
ORDER = (CRITICAL, WARNING, NOTE)


def create_verdict(
    manifest: pd.DataFrame,
    results: Sequence[Result],
    findings: Sequence[Finding],
    comparisons: Sequence[Comparison],
) -> dict[str, Any]:
    """Return what validation.json holds; docs/data.md describes it."""
    labels = manifest["label"][manifest["status"] == OK]
    severities = {finding.severity for finding in findings}
    by_class = labels.value_counts().sort_index()
    return {
        "status": FAILED if CRITICAL in severities else WARNED if WARNING in severities else PASSED,
        "images": len(manifest),
        "usable": len(labels),
        "quarantined": len(manifest) - len(labels),
        "classes": {str(label): int(count) for label, count in by_class.items()},
        "expectations": [asdict(result) for result in results],
        "findings": [asdict(finding) for finding in findings],
        "drift": [asdict(comparison) for comparison in comparisons],
    }


def sort_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with the gravest first."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


def describe_failure(folder: Path, findings: Sequence[Finding], page: Path) -> str:
    """Return in one line what is critical, and what to do."""
    critical = [finding for finding in findings if finding.severity == CRITICAL]
    reasons = "; ".join(f"{finding.message} ({finding.advice})" for finding in critical)
    return f"{folder}: the data cannot be used: {reasons}. All findings: {page}"
