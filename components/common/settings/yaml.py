"""A YAML text as plain values; whatever is wrong with it is one kind of error."""

from __future__ import annotations

import re
import warnings
from itertools import accumulate
from typing import Any

MOST_OPEN = 200  # brackets at a time; the library's time grows with their number's cube


def load_yaml(text: str) -> Any:
    """Return what a YAML text says, in dicts, lists, texts, numbers, booleans and None.

    Raises:
        ValueError: if it is no YAML, in one line of words. Of a value such as the date 2026-13-01,
            a number of 5,000 digits or 5,000 levels, the library raises what is none of its own.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    steps = (1 if mark in "[{" else -1 for mark in re.findall(r"[][{}]", text))
    if max(accumulate(steps), default=0) > MOST_OPEN:
        raise ValueError("it is nested too deeply")
    try:
        with warnings.catch_warnings():  # of an anchor that is given twice, which is legal
            warnings.simplefilter("ignore")
            return YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from None
