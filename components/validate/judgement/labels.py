"""What became of the labels: classes lost in quarantine, several in one cell, what was guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.common.artifacts.manifest import OK
from components.validate.judgement.expectations import CRITICAL, NOTE, WARNING
from components.validate.judgement.findings import EXAMPLES, Finding, count_reasons

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 8


def find_lost_labels(manifest: pd.DataFrame, notes: Sequence[str]) -> list[Finding]:
    """Return classes that no usable image is left of, images of several labels, and the notes.

    Args:
        manifest: all files.
        notes: what the layout guessed or passed over.
    """
    return [
        *_find_lost_classes(manifest),
        *_find_several(manifest),
        *(
            Finding("layout", NOTE, note, "as it was read; params can say else", 1)
            for note in notes
        ),
    ]


def _find_lost_classes(manifest: pd.DataFrame) -> list[Finding]:
    labelled = manifest[manifest["label"] != ""]
    lost = labelled[~labelled["label"].isin(labelled.loc[labelled["status"] == OK, "label"])]
    if not len(lost):
        return []
    shown = [
        f"{name} ({len(rows):,}: {count_reasons(rows)})" for name, rows in lost.groupby("label")
    ]
    more = f" and {len(shown) - SHOWN:,} more" if len(shown) > SHOWN else ""
    message = f"classes of which every file is rejected: {', '.join(shown[:SHOWN])}{more}"
    advice = "mend the files, or leave the class out: validate.classes.exclude"
    examples = lost.drop_duplicates("label")["path"].head(EXAMPLES)
    return [Finding("class rejected", CRITICAL, message, advice, len(shown), list(examples))]


def _find_several(manifest: pd.DataFrame) -> list[Finding]:
    several = manifest[manifest["reason"].str.startswith("several labels: ")]
    if not len(several):
        return []
    mixtures = several["reason"].str.removeprefix("several labels: ").value_counts()
    message = (
        f"the table is multi-label: {len(several):,} images have several labels, most often "
        f"{mixtures.index[0]}"
    )
    advice = (
        "a classifier of one label each cannot learn them: give each one label, or make the "
        "mixture a class of its own name"
    )
    examples = several["path"].head(EXAMPLES)
    return [Finding("several labels", WARNING, message, advice, len(several), list(examples))]
