"""Several labels in one cell: a multi-label table, which no classifier of one label can learn."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence

from components.validate.tables.objects import SEVERAL

# Never inside a name; and those that may be, so that both parts must be labels on their own.
SURE, MAYBE = ("|", ";"), (",", "/", "+", "&", " ")


def find_several(labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the labels that are several, with the parts of each.

    Args:
        labels: of all rows, as they stand in the table.
    """
    counts = Counter(label for label in labels if label)
    found: dict[str, tuple[str, ...]] = {}
    for label in counts:
        parts = _read_list(label)
        if parts is not None:
            found[label] = parts
    single = set(counts) - set(found)
    for mark in (*SURE, *MAYBE):
        cut = {label: _cut(label, mark) for label in single if mark in label}
        cut = {label: parts for label, parts in cut.items() if len(parts) > 1}
        is_bag = mark == " " and _are_bags(single)
        uses = Counter(part for parts in cut.values() for part in set(parts))
        for label, parts in cut.items():
            alone = [part in single for part in parts]
            again = [uses[part] > 1 or part in single for part in parts]
            # A name may hold a bar in all labels, as animal|cat, but not in some of them.
            is_bar = mark == "|" and (any(again) or len(cut) < len(single))
            is_in_bag = is_bag and (any(again) or parts[0].isdecimal())
            if all(alone) or (mark in SURE and all(again)) or is_bar or is_in_bag:
                found[label] = parts
        single -= set(found)
    return found


def _are_bags(labels: set[str]) -> bool:
    """Whether labels parted by spaces are several each: numbers, or few words in many mixtures.

    `clear primary`, `haze primary road`, `clear`, not `golden retriever`, `red apple`.
    """
    bags = [label.split() for label in labels]
    words = {word for bag in bags for word in bag}
    if all(word.isdecimal() for word in words):
        return True
    sizes = {len(bag) for bag in bags}
    return len(words) < len(labels) and len(sizes) > 2 and 1 in sizes


def _read_list(label: str) -> tuple[str, ...] | None:
    """Return the members of a list column, or of a list in text; None if it is neither."""
    if SEVERAL in label:
        return tuple(label.split(SEVERAL))
    if re.fullmatch(r"\[.*\]|\{.*\}|\(.*,.*\)", label, re.DOTALL):
        try:
            value = ast.literal_eval(label)
        except (ValueError, SyntaxError):
            words = re.findall(r"[^\s\[\](){},'\"]+", label)
            return tuple(words) if label.startswith("[") else None
        if isinstance(value, (list, tuple, set)):
            return tuple(str(item) for item in value)
    return None


def _cut(label: str, mark: str) -> tuple[str, ...]:
    parts = [part.strip() for part in label.split(mark)]
    return tuple(dict.fromkeys(part for part in parts if part)) if all(parts) else ()
