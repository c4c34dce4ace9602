"""What is odd about the data as a whole: things no single file is to blame for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing, in words."""

    kind: str
    message: str
    examples: list[str] = field(default_factory=list)


def find_oddities(usable: pd.DataFrame, params: Params) -> list[Finding]:
    """Return what is odd about the usable images taken together."""
    counts = usable["label"].value_counts()
    findings = []
    if len(counts) > 1 and counts.iloc[0] > params.max_imbalance * counts.iloc[-1]:
        findings.append(
            Finding(
                "class imbalance",
                f"{counts.index[0]} has {counts.iloc[0]} images, {counts.index[-1]} only {counts.iloc[-1]}; "
                "accuracy alone will flatter the model",
            )
        )
    findings += _find_modes(usable)
    for column, what in (("brightness", "brightness"), ("width_px", "width"), ("height_px", "height")):
        findings += _find_shortcut(usable, column, what, params.max_class_shift)
    turned = usable[usable["exif_orientation"] != 1]
    if len(turned):
        findings.append(
            Finding(
                "orientation flags",
                f"{len(turned)} images are stored turned and will be put upright",
                _examples(turned),
            )
        )
    return findings + _find_gaps(usable)


def _find_modes(usable: pd.DataFrame) -> list[Finding]:
    modes = usable["mode"].value_counts()
    if len(modes) < 2:
        return []
    counts = ", ".join(f"{count} {mode}" for mode, count in modes.items())
    rare = usable[usable["mode"] != modes.index[0]]
    return [Finding("mixed modes", f"images come as {counts}; all become RGB", _examples(rare))]


def _find_shortcut(
    usable: pd.DataFrame, column: str, what: str, max_shift: float
) -> list[Finding]:
    """Find classes whose images differ from the others in what has nothing to do with the object."""
    findings = []
    spread = float(usable[column].std())
    if not spread > 0:  # NaN too: fewer than two images
        return []
    for label, rows in usable.groupby("label"):
        others = usable.loc[usable["label"] != label, column]
        if not len(others):
            continue
        pooled = float(np.sqrt((rows[column].var(ddof=0) + others.var(ddof=0)) / 2)) or spread
        shift = (rows[column].mean() - others.mean()) / pooled  # Cohen's d
        if abs(shift) > max_shift:
            findings.append(
                Finding(
                    "shortcut",
                    f"{what} of {label} lies {abs(shift):.1f} standard deviations "
                    f"{'above' if shift > 0 else 'below'} that of the other classes; a network may learn that "
                    "instead of the object",
                    _examples(rows),
                )
            )
    return findings


def _find_gaps(usable: pd.DataFrame) -> list[Finding]:
    """Find missing values in slice columns."""
    from components.common.manifest import COLUMNS
    from components.validate.expectations import SIGNS

    findings = []
    for column in usable.columns:
        if column in COLUMNS or column in SIGNS:
            continue
        missing = usable[usable[column].isna()]
        if len(missing):
            message = f"{len(missing)} images have no value in slice column {column}"
            findings.append(Finding("missing slice values", message, _examples(missing)))
    return findings


def _examples(rows: pd.DataFrame) -> list[str]:
    return [str(path) for path in rows["path"].head(5)]
