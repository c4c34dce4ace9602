"""JSON that holds a table in one of the forms that programs write, and JSON in single cells.

[{"file": "1.jpg", "label": "cat"}, …]          records, bare or as the only list of an object
{"1.jpg": "cat", …}, {"1.jpg": {"label": "cat"}, …}, {"cat": ["1.jpg", …], …}
{"file": {"0": "1.jpg"}, "label": {"0": "cat"}}  pandas' own, of columns; also of lists
{"0": {"file": "1.jpg", "label": "cat"}, …}      the same of rows
{"columns": […], "data": [[…], …]}               pandas' `split`
{"images": […], "annotations": […], "categories": […]}   COCO, a label for each category
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.validate.folders.words import fold

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
COCO = {"images", "annotations", "categories"}
WANTED = "it should hold an object of names and values for each image"


def read_records(value: Any, known: set[str]) -> list[Row]:
    """Return the rows of a table, whatever the form it was written in.

    Args:
        value: what the file holds.
        known: folded names and stems of files: they tell rows from columns.

    Raises:
        ValueError: if it is none of the forms; the message says which names it has.
    """
    if isinstance(value, dict):
        value = _open_object({str(name): inner for name, inner in value.items()}, known)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ValueError(WANTED)
    return value


def open_cells(cells: pd.Series) -> pd.Series | None:
    """Return what cells hold that are JSON objects of one and the same name, `{"class": "cat"}`.

    Objects of nothing are gaps. None: the cells are something else.

    Args:
        cells: text, empty where nothing is said.
    """
    texts = [text for text in set(cells) if text]
    if not texts or not all(text[0] == "{" and text[-1] == "}" for text in texts):
        return None
    try:
        objects = {text: json.loads(text) for text in texts}
    except (ValueError, RecursionError):
        return None
    if len({name for one in objects.values() for name in one}) > 1:
        return None
    inner = {text: next(iter(one.values()), "") for text, one in objects.items()}
    return cells.map(lambda text: inner.get(text, ""))


def is_object(text: str) -> bool:
    """Whether a cell is a JSON object, by its looks."""
    return text.startswith("{") and text.endswith("}") and (text == "{}" or '"' in text)


def _open_object(value: Row, known: set[str]) -> Any:
    """Return the rows of an object, by what the values of its names are."""
    inner = list(value.values())
    tables = [rows for rows in inner if rows and _is_rows(rows)]
    if set(value) >= COCO and all(_is_rows(value[name]) for name in COCO):
        rows = _read_coco(value)
    elif "data" in value and isinstance(value.get("columns"), list):
        rows = _cut_columns(value["columns"], value["data"])
    elif len(tables) == 1:
        rows = tables[0]
    elif all(isinstance(one, dict) for one in inner):
        rows = _read_objects(value, known)
    elif all(isinstance(one, list) for one in inner) and not _are_files(list(value), known):
        rows = _read_lists(value, known)
    elif all(isinstance(one, (str, int)) for one in inner) or (
        _are_files(list(value), known) and all(isinstance(one, (str, int, list)) for one in inner)
    ):
        rows = [{"path": name, "label": label} for name, label in value.items()]
    else:
        raise _refuse(value)
    return rows


def _refuse(value: Iterable[str]) -> ValueError:
    return ValueError(f"{WANTED}, and has {', '.join(list(value)[:5])}")


def _read_objects(value: Mapping[str, Row], known: set[str]) -> list[Row]:
    """Return the rows of objects in an object: each an image, or each a column."""
    rows = list(value.values())
    names = {name for row in rows for name in row}
    # First by what is in them: the numbers of rows may be names of files by chance.
    if any(_are_files([row.get(name) for row in rows], known) for name in names):
        return rows
    if any(_are_files(list(row.values()), known) for row in rows):
        return _turn(value)
    return [{"path": name, **row} for name, row in value.items()]


def _read_lists(value: Mapping[str, list[Any]], known: set[str]) -> list[Row]:
    """Return the rows of lists in an object: each of the files of a class, or each a column."""
    if _are_files([name for some in value.values() for name in some], known):
        return [{"path": path, "label": name} for name, some in value.items() for path in some]
    if len({len(some) for some in value.values()}) > 1:
        raise _refuse(value)
    return _turn({name: dict(enumerate(some)) for name, some in value.items()})


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _are_files(names: Sequence[Any], known: set[str]) -> bool:
    """Whether most of some names are files."""
    texts = [name.replace("\\", "/").rsplit("/", 1)[-1] for name in names if isinstance(name, str)]
    return 2 * sum(fold(text) in known for text in texts) > len(names)


def _turn(columns: Mapping[str, Mapping[Any, Any]]) -> list[Row]:
    """Return the rows of columns that name their rows."""
    rows = dict.fromkeys(key for cells in columns.values() for key in cells)
    return [{name: cells.get(key) for name, cells in columns.items()} for key in rows]


def _cut_columns(names: Sequence[Any], rows: Any) -> list[Row]:
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in rows
    ):
        raise ValueError("its rows in `data` are not as long as its `columns`")
    return [dict(zip(map(str, names), row, strict=True)) for row in rows]


def _read_coco(value: Row) -> list[Row]:
    """Return a row an image, with the names of its categories; of several each once."""
    names = {str(one.get("id")): str(one.get("name", one.get("id"))) for one in value["categories"]}
    labels: dict[str, dict[str, None]] = {}
    for one in value["annotations"]:
        key = str(one.get("category_id"))
        labels.setdefault(str(one.get("image_id")), {})[names.get(key, key)] = None
    return [
        {"path": image.get("file_name"), "label": list(labels.get(str(image.get("id")), {}))}
        for image in value["images"]
    ]
