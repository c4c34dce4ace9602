"""What became of the labels: classes lost in quarantine, several in one cell, what was guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.common.artifacts.manifest import OK
from components.common.terminal import count_of
from components.validate.judgement.expectations import CRITICAL, NOTE, WARNING
from components.validate.judgement.findings import EXAMPLES, Finding, count_reasons
from components.validate.layouts.corrections import Applied, describe_unknown

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
    label = manifest["label"]
    kept = label[manifest["status"] == OK].unique()
    lost = manifest[["path", "label", "status", "reason"]][(label != "") & ~label.isin(kept)]
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
        f"the table is multi-label: {count_of(len(several), 'image has', 'images have')} several "
        f"labels, most often "
        f"{mixtures.index[0]}"
    )
    advice = (
        "a classifier of one label each cannot learn them: give each one label, or make the "
        "mixture a class of its own name"
    )
    examples = several["path"].head(EXAMPLES)
    return [Finding("several labels", WARNING, message, advice, len(several), list(examples))]


def find_corrected(applied: Applied, usable: pd.DataFrame) -> list[Finding]:
    """Return what a person's corrections did, and which of them could not be applied."""
    found = []
    done = [*applied.changed, *applied.dropped]
    if done or applied.kept:
        message = (
            f"corrections of {applied.file}: {count_of(len(applied.changed), 'label')} changed, "
            f"{count_of(len(applied.dropped), 'image')} dropped, {len(applied.kept):,} looked at "
            "and kept"
        )
        advice = "column label_before of the manifest says what the label was"
        found.append(("corrected", NOTE, message, advice, done))
    if applied.no_image:
        message = f"corrections of images that are not there: {len(applied.no_image):,}"
        advice = "their bytes changed or they are gone; look at them again where they matter"
        found.append(("correction without image", WARNING, message, advice, applied.no_image))
    if applied.conflicting:
        message = f"images that corrections want different things of: {len(applied.conflicting):,}"
        advice = f"they keep their labels; leave one row of each in {applied.file}"
        found.append(("corrections conflict", WARNING, message, advice, applied.conflicting))
    if applied.label_moved:
        message = (
            "images that were filed under another label when they were corrected: "
            f"{len(applied.label_moved):,}"
        )
        advice = "their new place was kept; decide about them anew on reports/labels.html"
        found.append(("correction outdated", WARNING, message, advice, applied.label_moved))
    if applied.unknown_class:
        names = describe_unknown(applied, usable["label"].unique())
        paths = [path for some in applied.unknown_class.values() for path in some]
        message = f"corrections to classes that no image has: {names}"
        advice = f"they keep their labels; write a class that there is into {applied.file}"
        found.append(("correction to no class", WARNING, message, advice, paths))
    return [
        Finding(kind, severity, message, advice, len(paths), paths[:EXAMPLES])
        for kind, severity, message, advice, paths in found
    ]
