"""A params file of an earlier version gets the settings that came since, with their defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common.files.writing import write_text
from components.common.settings.edits import change_text
from components.common.settings.missing import find_missing
from components.common.settings.params import check_params, flatten, read_yaml
from components.common.terminal import say

# A value of params.yaml within dvc.yaml: ${data.source}.
_VALUE = re.compile(r"\$\{([\w.]+)\}")


def upgrade(file: Path, sections: Mapping[str, type], stages: Path | None = None) -> None:
    """Add to a params file what it lacks; all else in it stays as it is, to the byte.

    Args:
        file: params.yaml.
        sections: section name → the dataclass of its keys.
        stages: dvc.yaml: only what it names is added. DVC reads these keys itself, and knows no
            defaults; all other keys have theirs wherever they are missing.
    """
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = read_yaml(file)
    check_params(file, found, sections)
    missing = find_missing(found, sections)
    if stages is not None:
        named = set(list_named(read_yaml(stages, "--stages")))
        missing = {key: value for key, value in missing.items() if _is_named(key, value, named)}
    if not missing:
        return
    write_text(file, change_text(text, missing), edits=True)
    say(f"added to {file}, with what it was without them: {', '.join(missing)}")


def list_named(stages: Any) -> Iterator[str]:
    """Yield the keys of params.yaml that a dvc.yaml names: sections, and dotted keys."""
    if isinstance(stages, str):
        yield from _VALUE.findall(stages)
    elif isinstance(stages, list):
        for item in stages:
            yield from list_named(item)
    elif isinstance(stages, dict):
        for key, value in stages.items():
            if key == "params" and isinstance(value, list):
                yield from (name for name in value if isinstance(name, str))
            else:
                yield from list_named(value)


def _is_named(key: str, default: Any, named: set[str]) -> bool:
    """Whether a missing key, or one of a missing section, is what DVC looks for."""
    return not named.isdisjoint({key, *flatten({key: default})})
