"""What is worth saying about the data: expectations not met, and what no single file shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unicodedata import normalize

from components.common.artifacts.manifest import OK
from components.validate.folders.folders import FILL_OR_IGNORE
from components.validate.folders.words import fold, plain
from components.validate.judgement.expectations import CRITICAL, NOTE, WARNING, Expectation, Result

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params

EXAMPLES = 20  # paths kept of each finding
# A slice column with more values than this, and than half of the images, is an identifier.
MAX_SLICE_VALUES = 50


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing, in words."""

    kind: str
    severity: str  # critical, warning or note
    message: str
    advice: str
    count: int  # files, classes or values concerned
    examples: list[str] = field(default_factory=list)  # paths


def describe_results(
    results: Sequence[Result],
    expectations: Sequence[Expectation],
    manifest: pd.DataFrame,
    signs: pd.DataFrame,
    params: Params,
) -> list[Finding]:
    """Return a finding for each expectation that is not met."""
    findings = []
    for result, expectation in zip(results, expectations, strict=True):
        if result.success:
            continue
        count, what = result.unexpected_count, f"{result.unexpected_count:,}"
        if result.kind in ("rejected", "too many rejected"):
            what = f"{count:,} of {len(manifest):,} ({count_reasons(manifest)})"
        elif result.kind == "class too small":
            sizes = signs["label"].value_counts().sort_index()
            small = sizes[sizes < params.min_class_images]
            count, what = len(small), _list_counts(small)
        elif result.kind == "one class":
            names = signs["label"].dropna().unique()
            count, what = len(names), f"only {names[0]}" if len(names) else "none"
        elif result.kind == "near-duplicates":
            what += _warn_of_chain(signs)
        message = f"{expectation.broken}: {what}"
        findings.append(
            Finding(
                result.kind, result.severity, message, expectation.advice, count, result.examples
            )
        )
    return _drop_weaker(findings)


def find_oddities(
    usable: pd.DataFrame, slices: Sequence[str], empty_classes: Sequence[str], params: Params
) -> list[Finding]:
    """Return what is odd about the usable images taken together.

    Args:
        usable: rows of the manifest.
        slices: names of its slice columns.
        empty_classes: class folders without a file.
        params: of the room.
    """
    return [
        *_find_empty_classes(empty_classes, usable),
        *_find_imbalance(usable, params.max_imbalance),
        *_find_similar_labels(usable),
        *_find_similar_groups(usable),
        *_find_missing_in_splits(usable),
        *_find_modes(usable),
        *(finding for name in slices for finding in _look_at_slice(usable, name, params)),
    ]


def _find_empty_classes(empty: Sequence[str], usable: pd.DataFrame) -> list[Finding]:
    # A table may give a label to images that lie elsewhere.
    labels = set(usable["label"].unique())
    gone = [place for place in empty if place.rsplit("/", 1)[-1] not in labels]
    if not gone:
        return []
    message = f"class folders without a file: {_list(gone)}"
    return [Finding("empty class", CRITICAL, message, FILL_OR_IGNORE, len(gone))]


def _find_imbalance(usable: pd.DataFrame, max_imbalance: float) -> list[Finding]:
    counts = usable["label"].value_counts()
    if len(counts) < 2 or counts.iloc[0] <= max_imbalance * counts.iloc[-1]:
        return []
    most, least = (f"{counts.index[i]} has {counts.iloc[i]:,}" for i in (0, -1))
    message = f"{most} images, {least}"
    advice = "accuracy alone will flatter the model; judge it by macro F1 and per class"
    return [Finding("class imbalance", WARNING, message, advice, len(counts))]


def _find_similar_labels(usable: pd.DataFrame) -> list[Finding]:
    """Find labels that differ only in case, spaces or punctuation."""
    forms = usable["label"].drop_duplicates().map(plain)
    advice = "give them one name, unless they are meant to be different classes"
    return _find_similar(usable, forms, "case, spaces or punctuation", advice)


def _find_similar_groups(usable: pd.DataFrame) -> list[Finding]:
    """Find groups that differ only in case, spaces or width: two splits may get what is one."""
    groups = usable.loc[usable["group"] != "", "group"].drop_duplicates()
    # Punctuation and zeros count: 1.0 and 10, 01 and 1 may well be two.
    wide = groups.map(lambda name: name if name.isascii() else normalize("NFKC", name))
    forms = wide.map(lambda name: "".join(fold(name).split()))
    advice = "give them one name, or one person, thing or burst lies in two splits"
    return _find_similar(usable, forms, "case, spaces or width", advice)


def _find_similar(
    usable: pd.DataFrame, forms: pd.Series, differing: str, advice: str
) -> list[Finding]:
    """Find names of a column that are one but for how they are written.

    Args:
        usable: rows of the manifest.
        forms: of each name its form, called as the column, at the index of a row that has it.
        differing: in what the names differ, in words.
        advice: of the finding.
    """
    column = str(forms.name)
    alike = usable.loc[forms.index[forms.duplicated(keep=False) & (forms != "")], column]
    if not len(alike):
        return []
    message = f"{column}s that differ only in {differing}: {_list(sorted(alike))}"
    rows = usable[usable[column].isin(alike)].drop_duplicates(column)
    return [Finding(f"similar {column}s", WARNING, message, advice, len(alike), _examples(rows))]


def _find_missing_in_splits(usable: pd.DataFrame) -> list[Finding]:
    """Find classes that a given split has no image of."""
    given = usable[usable["split"] != ""]
    classes = set(given["label"])
    findings = []
    for split, rows in given.groupby("split"):
        missing = sorted(classes - set(rows["label"]))
        if missing:
            message = f"classes without an image in the given split {split}: {_list(missing)}"
            advice = "they cannot be learnt" if split == "train" else "nothing is measured of them"
            findings.append(Finding("class not in split", WARNING, message, advice, len(missing)))
    return findings


def _find_modes(usable: pd.DataFrame) -> list[Finding]:
    modes = usable["mode"].value_counts()
    if len(modes) < 2:
        return []
    rare = usable[usable["mode"] != modes.index[0]]
    message = f"colour modes: {_list_counts(modes)}"
    advice = "preprocess brings all to RGB"
    return [Finding("mixed modes", NOTE, message, advice, len(rare), _examples(rare))]


def _look_at_slice(usable: pd.DataFrame, name: str, params: Params) -> list[Finding]:
    """Find missing values, tiny groups, and columns that are no slices at all."""
    findings = []
    missing = usable[usable[name].isna()]
    if len(missing) > 0:
        message = f"images without a value in slice column {name}: {len(missing):,}"
        advice = "no slice will count them"
        findings.append(
            Finding(
                "missing slice values", WARNING, message, advice, len(missing), _examples(missing)
            )
        )
    sizes = usable[name].value_counts().sort_index()
    if len(sizes) > max(MAX_SLICE_VALUES, len(usable) / 2):
        message = f"slice column {name} has {len(sizes):,} different values"
        advice = "an identifier makes no slices; if its rows belong together, name it `group`"
        return [*findings, Finding("too many slices", WARNING, message, advice, len(sizes))]
    tiny = sizes[sizes < params.min_slice_images]
    if len(tiny):
        least = params.min_slice_images
        message = f"values of {name} with fewer than {least} images: {_list_counts(tiny)}"
        advice = "what is measured on them says little; merge them, or lower min_slice_images"
        rows = usable[usable[name].isin(tiny.index)].drop_duplicates(name)
        findings.append(
            Finding("tiny slices", WARNING, message, advice, len(tiny), _examples(rows))
        )
    return findings


def _warn_of_chain(signs: pd.DataFrame) -> str:
    """Return a hint where so many look alike that the hash is likely to be blind for this data."""
    sizes = signs.loc[signs["lookalikes"] > 0, "picture"].value_counts()
    usable = int((signs["status"] == OK).sum())
    if sizes.iloc[0] <= max(20, usable / 100):
        return ""
    return (
        f"; {sizes.iloc[0]:,} of them one picture: if they are different ones, set "
        "validate.copies: bytes"
    )


def _drop_weaker(findings: list[Finding]) -> list[Finding]:
    """Return the findings without `rejected` where `too many rejected` says the same."""
    kinds = {finding.kind for finding in findings}
    return [f for f in findings if f.kind != "rejected" or "too many rejected" not in kinds]


def count_reasons(manifest: pd.DataFrame) -> str:
    """Return how many files are rejected for each kind of reason, in words."""
    reasons = manifest.loc[manifest["status"] != OK, "reason"].str.split(":").str[0]
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.value_counts().items())


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _list_counts(counts: pd.Series) -> str:
    return _list([f"{name} ({count:,})" for name, count in counts.items()])


def _examples(rows: pd.DataFrame) -> list[str]:
    return [str(path) for path in rows["path"].head(EXAMPLES)]
