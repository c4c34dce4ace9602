"""search.yaml: which settings of train a search may change, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import DarkroomError
from components.common.settings.params import read_yaml, refuse_moved, suggest
from components.train.networks.backbones import NO_WEIGHTS, find_backbone
from components.train.networks.weights.start import settle_start
from components.train.search.settings import create_params, read_settings

if TYPE_CHECKING:
    import optuna

BACKBONE = "train.backbone"
DIGITS = 3  # significant digits of what is tried: enough for any setting, and readable
FORMS = "{low: …, high: …} with log: true where it spans magnitudes, or {choices: […]}"


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, ends included; whole numbers where both ends are."""

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """The values that must be legal."""
        return self.low, self.high

    def suggest(self, trial: optuna.Trial, key: str) -> int | float:
        """Let the sampler choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        value = trial.suggest_float(key, self.low, self.high, log=self.log)
        return min(self.high, max(self.low, float(f"{value:.{DIGITS}g}")))

    def has(self, value: Any) -> bool:
        """Whether a value lies inside."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """Some values, in no order."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that must be legal."""
        return self.values

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        """Let the sampler choose."""
        return trial.suggest_categorical(key, self.values)

    def has(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.values


Space = dict[str, Range | Choices]


def read_space(file: Path, params: Path) -> Space:
    """Read a search file and check every range against the settings that it is about.

    Args:
        file: YAML, dotted key of a setting of train → its range.
        params: params.yaml, which holds the settings that stay.

    Raises:
        DarkroomError: naming the first key that is unknown, or whose range is not legal.
    """
    known = read_settings(params)
    found = read_yaml(file, "--space")
    if not found:
        raise DarkroomError(f"{file}: holds no settings to search; add `train.…: {FORMS}`")
    refuse_moved(str(file), found)
    space = {}
    for key, value in found.items():
        if key not in known:
            raise DarkroomError(
                f"{file}: unknown setting {key}; {suggest(key, known)}settings are "
                f"{', '.join(known)}"
            )
        space[key] = _read_range(file, key, value)
        for end in space[key].ends:
            own = create_params(params, {key: end}, where=file)
            if key == BACKBONE:  # a trial of it would end the search
                find_backbone(settle_start(replace(own, weights=NO_WEIGHTS)).backbone)
    return space


def describe_space(space: Space) -> dict[str, str]:
    """Return each range as text: what a study was made with."""
    return {
        key: f"{part.low:g} to {part.high:g}{', log' if part.log else ''}"
        if isinstance(part, Range)
        else ", ".join(map(str, part.values))
        for key, part in space.items()
    }


def _read_range(file: Path, key: str, value: Any) -> Range | Choices:
    if not isinstance(value, Mapping):
        raise DarkroomError(f"{file}: {key} must be {FORMS}, got {value!r}")
    if set(value) == {"choices"}:
        choices = value["choices"]
        is_list = isinstance(choices, list)
        if not is_list or len(set(map(repr, choices))) < 2:  # one would be no search
            raise DarkroomError(f"{file}: {key}.choices must list two values or more: {choices!r}")
        return Choices(tuple(choices))
    if not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise DarkroomError(f"{file}: {key} must be {FORMS}, got keys {', '.join(map(str, value))}")
    low, high, log = value["low"], value["high"], value.get("log", False)
    for name, end in (("low", low), ("high", high)):
        if isinstance(end, bool) or not isinstance(end, (int, float)):
            raise DarkroomError(f"{file}: {key}.{name} must be a number, got {end!r}")
    if not isinstance(log, bool):
        raise DarkroomError(f"{file}: {key}.log must be true or false, got {log!r}")
    if low >= high:
        raise DarkroomError(f"{file}: {key}: low must be less than high, got {low} and {high}")
    if log and low <= 0:
        raise DarkroomError(f"{file}: {key}: a log range must begin above 0, got {low}")
    if isinstance(low, float) or isinstance(high, float):
        low, high = float(low), float(high)
    return Range(low, high, log)
