"""Read params.yaml and refuse, before any work, whatever in it is unknown or mistyped."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.addresses import find_credentials
from components.common.settings.spec import PLACES, is_shared
from components.common.settings.yaml import TooMuchError, load_yaml

# Dotted key that was → where its setting is now.
MOVED = {
    "validate.near_duplicate_bits": "data.near_duplicate_bits",
    "preprocess.near_duplicate_bits": "data.near_duplicate_bits",
}
# A file with all settings has some 170; anchors of anchors make billions of a few lines.
MOST_VALUES = 100_000
MOST_BYTES = 1_000_000  # of words and remarks, which the library reads in 3 s
MOST_LETTERS = 10_000  # of a text; the search for credentials grows with their square
LARGEST = 2**53  # JSON holds no larger number exactly
SHOWN = 200  # characters of a value in a message


def read_params(file: Path, schema: Mapping[str, type]) -> dict[str, Any]:
    """Read a params file against the dataclasses of all its sections.

    Args:
        file: a YAML file (YAML 1.2, read by the parser that DVC uses, so that both see one value).
        schema: section name → frozen dataclass whose fields are the section's keys.

    Returns:
        Section name → instance of its dataclass, for every section of the schema.

    Raises:
        DarkroomError: naming the first bad key, what is legal there, and what was found.
    """
    return check_params(file, read_yaml(file), schema)


def check_params(
    file: Path, found: Mapping[str, Any], schema: Mapping[str, type]
) -> dict[str, Any]:
    """Check what was read from a params file, as :func:`read_params` does.

    A key that is not there has its default: a file of an earlier version lacks what came since.

    Args:
        file: where it comes from, for messages.
        found: section name → its keys.
        schema: section name → frozen dataclass whose fields are the section's keys.
    """
    refuse_moved(str(file), flatten(found))
    find_credentials(found)
    _check_keys(file, "", found, schema)
    values = {}
    for name, kind in schema.items():
        _check_section(file, name, found.get(name, {}), kind)
        values[name] = _validate(file, name, found.get(name, {}), kind)
    return values


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a (nested) dataclass or mapping as one flat mapping with dotted keys."""
    items = (
        {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if dataclasses.is_dataclass(value)
        else dict(value)
    )
    flat: dict[str, Any] = {}
    for key, item in items.items():
        name = f"{prefix}.{key}" if prefix else key
        if dataclasses.is_dataclass(item) or isinstance(item, Mapping):
            flat |= flatten(item, name)
        else:
            flat[name] = item
    return flat


def list_settings(room: str, params: Any) -> dict[str, Any]:
    """Return the settings that decide a room's results, by their dotted keys in params.yaml."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(params):
        name = field.name if is_shared(field) else f"{room}.{field.name}"
        found |= flatten({name: getattr(params, field.name)})
    return {key: value for key, value in found.items() if key not in PLACES}


def refuse_moved(where: str, keys: Iterable[str]) -> None:
    """Raise DarkroomError, naming the new place, if one of some dotted keys is of earlier times.

    Args:
        where: what holds the keys, for the message.
        keys: dotted keys.
    """
    old = [key for key in keys if key in MOVED]
    if old:
        new = MOVED[old[0]]
        names = [key for key in old if MOVED[key] == new]
        raise DarkroomError(
            f"{where}: {' and '.join(names)} {'has' if len(names) == 1 else 'have'} moved: set "
            f"{new} instead"
        )


def read_yaml(file: Path, flag: str = "--params") -> dict[str, Any]:
    """Read a params file, unchecked; raise DarkroomError if it is no YAML with sections.

    Args:
        file: it is read more than once, so a pipe is refused.
        flag: by which a person names it, for the message.
    """
    refuse_special(file)
    try:
        if file.is_file() and (size := file.stat().st_size) > MOST_BYTES:
            raise DarkroomError(
                f"{file}: has {size:,} bytes, and settings never more than {MOST_BYTES:,}; give "
                f"the file of settings with {flag}"
            )
        return parse_yaml(file, file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no such file; give one with {flag}") from None
    except UnicodeDecodeError as error:
        raise DarkroomError(f"{file}: no text in UTF-8 ({error}); save it as UTF-8") from None


def refuse_special(file: Path) -> None:
    """Refuse a pipe or device: one waits for whoever fills it, and is empty the second time."""
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise DarkroomError(f"{file}: a pipe or device; give the name of a file that stays")


def parse_yaml(file: Path, text: str) -> dict[str, Any]:
    """Read the text of a params file as :func:`read_yaml` does."""
    try:
        found = load_yaml(text)
    except TooMuchError as error:
        raise DarkroomError(
            f"{file}: {error}; give the file of settings, and lists of photos in a table"
        ) from None
    except ValueError as error:
        raise DarkroomError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(found, dict):
        got = "nothing" if found is None else "a list" if isinstance(found, list) else repr(found)
        raise DarkroomError(f"{file}: must hold sections of keys, got {got[:80]}")
    if _count_values(found, {}, file) > MOST_VALUES:
        raise DarkroomError(
            f"{file}: its anchors (*name) stand for more than {MOST_VALUES:,} values; write out "
            "what is meant"
        )
    _check_values(file, "", found)
    return found


def _check_values(file: Path, name: str, value: Any) -> None:
    """Raise DarkroomError, naming the key, where something is of no kind that a setting has."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_values(file, f"a key of {name}" if name else "a key", key)
            _check_values(file, f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, (list, tuple)):  # a list that is a key comes as a tuple
        for position, inner in enumerate(value):
            _check_values(file, f"{name}[{position}]", inner)
    elif wrong := _find_wrong(value):
        raise DarkroomError(f"{file}: {name[:SHOWN]} is {wrong}")


def _find_wrong(value: Any) -> str:
    """Return what a value is that no setting may be, and what to do; empty where it may be one."""
    if isinstance(value, str) and len(value) > MOST_LETTERS:
        return f"a text of {len(value):,} letters; no setting has more than {MOST_LETTERS:,}"
    if isinstance(value, str) and (odd := re.search("[\\0\ud800-\udfff]", value)):
        return f"a text with {odd.group()!a} in it, which is no letter; leave it out"
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"a number beyond {LARGEST:,}; write one that a person can mean"
    if value is None or isinstance(value, (str, bool, int, float)):
        return ""
    kind = type(value).__name__.replace("bytes", "binary").replace("datetime", "date")
    return f"a {kind} as YAML reads it; write it in quotes, or as a list"


def _count_values(value: Any, known: dict[int, int], file: Path) -> int:
    """Return how many values a YAML value has where its anchors are written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # while it is counted
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count_values(one, known, file) for one in inner)
    if not known[id(value)]:
        raise DarkroomError(f"{file}: an anchor (*name) stands within itself; write out its value")
    return known[id(value)]


def suggest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``did you mean `…`? `` with the nearest of the known names; empty if none is near.

    A name in other capitals is near.
    """
    names = list(known)
    near = [one for one in names if one.casefold() == str(name).casefold()]
    near = near or difflib.get_close_matches(str(name), names, n=1, cutoff=cutoff)
    return f"did you mean `{near[0]}`? " if near else ""


def set_key(found: dict[str, Any], key: str, value: Any, where: str, is_free: bool = False) -> None:
    """Set a dotted key of a read params file.

    Args:
        found: section name → its keys.
        key: such as `train.finetune.epochs`.
        value: its new value.
        where: what asks for it, for messages.
        is_free: the last part of the key may be new, for mappings of any keys.

    Raises:
        DarkroomError: if there is no such key, with the nearest, or with its new place.
    """
    refuse_moved(where, [key])
    *path, last = key.split(".")
    place: Any = found
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or (last not in place and not is_free):
        hint = suggest(key, flatten(found))
        raise DarkroomError(f"{where}: unknown key {key}; {hint}see params.yaml for all keys")
    place[last] = value


def _check_section(file: Path, name: str, found: Any, kind: Any) -> None:
    """Check the keys of a section and of the sections inside it."""
    if not isinstance(found, dict):
        raise DarkroomError(f"{file}: {name} must hold keys{_show(found)}")
    fields = {f.name: f for f in dataclasses.fields(kind) if not f.metadata.get("shared")}
    _check_keys(file, name, found, fields)
    hints = typing.get_type_hints(kind)
    for key in fields.keys() & found.keys():
        if dataclasses.is_dataclass(hints[key]):
            _check_section(file, f"{name}.{key}", found[key], hints[key])


def _check_keys(file: Path, name: str, found: Mapping[str, Any], legal: Iterable[str]) -> None:
    where = f"{name}." if name else ""
    for key in found:
        if key not in legal:
            raise DarkroomError(
                f"{file}: unknown key {where}{str(key)[:SHOWN]}; {suggest(key, legal)}legal keys "
                f"are {', '.join(legal)}"
            )


def _validate(file: Path, name: str, found: Mapping[str, Any], kind: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        # Strict JSON mode: "8" is no integer and true is none, but 1 may stand for 1.0.
        return TypeAdapter(kind).validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        raise DarkroomError(f"{file}: {'; '.join(_messages(name, found, error))}") from None
    except TypeError as error:
        raise DarkroomError(f"{file}: {name} holds a value of no legal type: {error}") from None


def _messages(name: str, found: Any, error: Any) -> Iterator[str]:
    """Yield one message a bad key: the key, what is legal, what was found."""
    reasons: dict[str, list[str]] = {}
    got: dict[str, Any] = {}
    for problem in error.errors(include_url=False):
        key, value = name, found
        for part in problem["loc"]:
            # Behind the key itself pydantic names the alternatives of a union: not part of the key.
            if isinstance(value, dict) and part in value:
                key, value = f"{key}.{part}", value[part]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                key, value = f"{key}[{part}]", value[part]
            elif problem["type"] in ("missing", "unexpected_keyword_argument"):
                key = f"{key}.{part}"
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if problem["type"] == "unexpected_keyword_argument":
            message = "left out, it is no legal key"
        reasons.setdefault(key, []).append(message.removeprefix("must be "))
        got[key] = value
    for key, messages in reasons.items():
        yield f"{key} must be {', or '.join(messages)}{_show(got[key])}"


def _show(value: Any) -> str:
    """Say what was found, as far as it helps: a whole section hides what is wrong with it."""
    text = json.dumps(value, default=str)
    if len(text) <= SHOWN:
        return f"; got {text}"
    return "" if isinstance(value, dict) else f"; got {text[:SHOWN]} …"
