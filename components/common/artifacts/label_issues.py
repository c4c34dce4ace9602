"""label_issues.csv: images whose labels are probably wrong, written by train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from components.common.files.cells import shield_text, unshield_text
from components.common.files.tables import read_table, write_rows

SHARES = ("score", "suggested_score")
TEXTS = ("path", "label", "suggested")  # columns in which people's names stand


@dataclass(frozen=True)
class LabelIssue:
    """One row of label_issues.csv; the most suspicious image comes first."""

    path: str
    split: str  # train or val
    label: str  # the class that it is filed under
    suggested: str  # the class that it looks like
    score: float  # out-of-fold probability of its label; the lower, the surer it is wrong
    suggested_score: float  # out-of-fold probability of the suggested class
    sha256: str


def write_label_issues(file: Path, issues: Sequence[LabelIssue]) -> None:
    """Write label_issues.csv, whole or not at all; without issues it holds the header alone."""
    rows = (
        asdict(issue)
        | {key: f"{getattr(issue, key):.4f}" for key in SHARES}
        | {key: shield_text(getattr(issue, key)) for key in TEXTS}
        for issue in issues
    )
    write_rows(file, [field.name for field in fields(LabelIssue)], rows)


def read_label_issues(file: Path) -> list[dict[str, Any]]:
    """Return the rows, the most suspicious image first."""
    names = ("path", "split", "label", "suggested", "score")
    table = read_table(file, "list of label issues", names, "train", form="csv", texts=TEXTS)
    for name in TEXTS:
        table[name] = table[name].map(unshield_text)
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows
