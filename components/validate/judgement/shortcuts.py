"""Shortcuts: classes that differ in what has nothing to do with the object.

If all dogs are bright and all cats dark, a network learns brightness, is right on the test split,
which is cut from the same photos, and wrong on the next photo (Geirhos et al., Shortcut learning in
deep neural networks, 2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from components.common.statistics.shift import compute_cramers_v
from components.validate.judgement.expectations import WARNING
from components.validate.judgement.findings import EXAMPLES, Finding

if TYPE_CHECKING:
    import pandas as pd

# Cramér's V of format or mode against the class: 0 no relation, 1 one tells the other. 0.5 is large
# for two to four formats (Cohen 1988: 0.5, 0.35, 0.29).
MAX_ASSOCIATION = 0.5
ADVICE = "a network may learn that instead of the object; mix the sources of the classes"


def find_shortcuts(usable: pd.DataFrame, max_class_shift: float) -> list[Finding]:
    """Return the classes that brightness or size tell, and the properties of files that tell them.

    Args:
        usable: rows of the manifest.
        max_class_shift: greatest distance between a class and the others, standard deviations.
    """
    if usable["label"].nunique() < 2:
        return []
    size = np.sqrt(usable["width_px"] * usable["height_px"])
    findings = [
        *_find_shifts(usable, usable["brightness"], "brightness", max_class_shift),
        *_find_shifts(usable, size, "size", max_class_shift),
    ]
    for column in ("format", "mode"):
        table = _cross(usable[column], usable["label"])
        association = compute_cramers_v(table)
        if association > MAX_ASSOCIATION:
            message = f"the {column} of a file tells its class (Cramér's V {association:.2f})"
            examples = usable.drop_duplicates(["label", column])["path"].head(EXAMPLES)
            kind = f"shortcut: {column}"
            findings.append(Finding(kind, WARNING, message, ADVICE, len(usable), list(examples)))
    return findings


def compute_shifts(values: pd.Series, labels: pd.Series) -> pd.Series:
    """Return for each label how far its mean lies from that of all others, in Cohen's d.

    The difference is divided by the root of the mean of both variances; where both are zero, by the
    deviation of all values.
    """
    per_label = values.groupby(labels).agg(["size", "mean", "var"])
    count, mean = per_label["size"], per_label["mean"]
    squares = per_label["var"].fillna(0) * (count - 1) + count * mean**2
    rest = count.sum() - count
    rest_mean = ((count * mean).sum() - count * mean) / rest
    rest_variance = ((squares.sum() - squares) / rest - rest_mean**2).clip(lower=0)
    variance = (squares / count - mean**2).clip(lower=0)
    dust = 1e-6 * float(
        values.abs().max()
    )  # sums of squares leave rounding where there is no spread
    if not float(values.std()) > dust:
        return mean * 0.0
    pooled = np.sqrt((variance + rest_variance) / 2)
    pooled = pooled.where(pooled > dust, float(values.std()))
    return ((mean - rest_mean) / pooled).fillna(0.0)


def _find_shifts(
    usable: pd.DataFrame, values: pd.Series, what: str, max_shift: float
) -> list[Finding]:
    shifts = compute_shifts(values, usable["label"])
    strong = shifts[shifts.abs() > max_shift].sort_values(key=abs, ascending=False)
    if not len(strong):
        return []
    told = ", ".join(
        f"{label} {abs(shift):.1f} {'above' if shift > 0 else 'below'}"
        for label, shift in strong.head(4).items()
    )
    more = f" and {len(strong) - 4} classes more" if len(strong) > 4 else ""
    message = (
        f"{what} tells classes, in standard deviations from the mean of the others: {told}{more}"
    )
    rows = usable[usable["label"].isin(strong.index)].groupby("label").head(3)
    examples = list(rows["path"].head(EXAMPLES))
    return [Finding(f"shortcut: {what}", WARNING, message, ADVICE, len(strong), examples)]


def _cross(rows: pd.Series, columns: pd.Series) -> np.ndarray:
    import pandas as pd

    return np.asarray(pd.crosstab(rows, columns))
