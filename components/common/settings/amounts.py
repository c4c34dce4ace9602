"""Values as Kubernetes writes them: amounts of a resource, labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_UNITS |= {f"{unit}i": 1024.0 ** (power + 1) for power, unit in enumerate("KMGTPE")}
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][0-9]{1,2}(?![0-9]))?"  # 1E alone is a unit
_AMOUNT = re.compile(rf"({_NUMBER})(m|k|[KMGTPE]i?)?")


def measure(amount: str) -> float:
    """Return an amount as Kubernetes writes it as a number: ``500m`` is 0.5, ``2Ki`` 2048.

    Raises:
        ValueError: if it is none.
    """
    match = _AMOUNT.fullmatch(amount)
    if match is None or (match[2] or "") not in _UNITS:
        raise ValueError("must be a Kubernetes quantity such as '500m', '2' or '8Gi'")
    return float(match[1]) * _UNITS[match[2] or ""]


def write_cores(amount: str) -> str:
    """Return an amount of CPU in the one form that KFP takes: cores, or thousandths of one."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?m?", amount):
        return amount
    return f"{measure(amount):.3f}".rstrip("0").rstrip(".")


def write_bytes(amount: str) -> str:
    """Return an amount of memory as KFP takes it, whose numbers are whole: 1.5Gi are bytes."""
    if re.fullmatch(r"[0-9]+([EPTGMK]i?)?", amount):
        return amount
    return str(math.ceil(measure(amount)))


@dataclass(frozen=True)
class Quantity:
    """An amount as Kubernetes writes it, or a plain number: ``Annotated[str, Quantity()]``."""

    def check(self, value: str) -> str:
        """Return the value, or raise ValueError with the legal form."""
        measure(value)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to apply :meth:`check`."""
        from pydantic_core import core_schema

        checked = core_schema.no_info_after_validator_function(self.check, handler(source))
        return core_schema.no_info_before_validator_function(_write_plainly, checked)

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which also draws params.schema.json, what YAML may hold."""
        return {"type": ["string", "number"], "pattern": f"^{_AMOUNT.pattern}$"}


@dataclass(frozen=True)
class Label:
    """A label's value: YAML reads `true` and `1` as no text, and Kubernetes wants text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to write what is no text as Kubernetes does."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(_write_plainly, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which also draws params.schema.json, what YAML may hold."""
        return {"type": ["string", "number", "boolean"]}


def _write_plainly(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, (int, float)) else value
