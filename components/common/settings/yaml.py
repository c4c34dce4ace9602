"""A YAML text as plain values; whatever is wrong with it is one kind of error."""

from __future__ import annotations

import re
import warnings
from itertools import accumulate
from typing import Any

MOST_OPEN = 200  # brackets at a time; the library's time grows with their number's cube
# Signs behind which a value begins, of the settings that a person writes. The library takes some
# 50 µs for each, so a megabyte of the shortest values took it 40 s; a list of 20,000 names has as
# many signs.
MOST_SIGNS = 30_000
_SIGNS = re.compile(r"[][{},:?]|-\s")
MOST_MERGED = 100_000  # keys that the merges (<<) of a text may bring; merges of merges multiply


class TooMuchError(ValueError):
    """It may well be YAML, but holds more than any settings do."""


def load_yaml(text: str, most_signs: int | None = MOST_SIGNS) -> Any:
    """Return what a YAML text says, in dicts, lists, texts, numbers, booleans and None.

    Args:
        text: the YAML.
        most_signs: signs behind which a value begins; None for any number, of a file that a
            program of ours or of the team's wrote.

    Raises:
        TooMuchError: if there are more; before any of it is read.
        ValueError: if it is no YAML, in one line of words. Of a value such as the date 2026-13-01,
            a number of 5,000 digits or 5,000 levels, the library raises what is none of its own.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if most_signs is not None and (found := len(_SIGNS.findall(text))) > most_signs:
        raise TooMuchError(
            f"it has {found:,} signs behind which a value begins (,:[{{?-), and settings have "
            f"never more than {most_signs:,}"
        )
    steps = (1 if mark in "[{" else -1 for mark in re.findall(r"[][{}]", text))
    if max(accumulate(steps), default=0) > MOST_OPEN:
        raise ValueError("it is nested too deeply")
    try:
        with warnings.catch_warnings():  # of an anchor that is given twice, which is legal
            warnings.simplefilter("ignore")
            if "<<" in text or "merge" in text:
                _check_merges(YAML(typ="safe", pure=True).compose(text))
            return YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (YAMLError, ValueError) as error:
        raise ValueError(_describe(str(error))) from None


def _describe(told: str) -> str:
    """Return the library's words in one line, without its source's name and its advice."""
    words = " ".join(told.partition("To suppress this check")[0].split())
    return words.replace(' in "<unicode string>",', " at")


def _check_merges(root: Any) -> None:
    """Raise ValueError if merges written out are beyond reason: the library writes them out."""
    seen: set[int] = set()
    known: dict[int, int] = {}
    left, total = [root], 0
    while left:
        node = left.pop()
        if node is None or id(node) in seen or not isinstance(node.value, list):
            continue
        seen.add(id(node))
        inner = [
            one for pair in node.value for one in (pair if isinstance(pair, tuple) else (pair,))
        ]
        left += inner
        total += _count_merged(node, known)
        if total > MOST_MERGED:
            raise ValueError(f"its merges (<<) bring more than {MOST_MERGED:,} keys")


def _count_merged(node: Any, known: dict[int, int]) -> int:
    """Return how many keys merges bring to a mapping, those of merged mappings among them."""
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if id(node) not in known:
        known[id(node)] = 0  # while it is counted: one may stand within itself
        for key, value in node.value if isinstance(node, MappingNode) else []:
            if key.tag == "tag:yaml.org,2002:merge":
                merged = value.value if isinstance(value, SequenceNode) else [value]
                for one in merged:
                    own = len(one.value) if isinstance(one.value, list) else 0
                    known[id(node)] += own + _count_merged(one, known)
    return known[id(node)]
