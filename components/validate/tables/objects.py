"""JSON that holds a table in one of the forms that programs write, and JSON in single cells.

[{"file": "1.jpg", "label": "cat"}, …]          records, bare or as the only list of an object
{"1.jpg": "cat", …}, {"1.jpg": {"label": "cat"}, …}, {"cat": ["1.jpg", …], …}
{"file": {"0": "1.jpg"}, "label": {"0": "cat"}}  pandas' own, of columns; also of lists
{"0": {"file": "1.jpg", "label": "cat"}, …}      the same of rows
{"train": ["1.jpg", …], "test": […]}             files of splits, also as rows or [file, label]
{"columns": […], "data": [[…], …]}               pandas' `split`
{"images": […], "annotations": […], "categories": […]}   COCO, a label for each category
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.validate.folders.words import fold, name_split

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
COCO = {"images", "annotations", "categories"}
KEPT = {"file_attributes", "region_attributes"}  # of VIA: any name in them may be the label's
# What holds the label, or an object that does, as Label Studio, Azure, Vertex and others export it.
NESTED = (
    *("choices", "displayname", "tagname", "classname", "labelname", "categoryname"),
    *("label", "class", "category", "name", "value", "result", "classificationannotation"),
)
SEVERAL = "\x1f"  # between the labels of a list: no label holds it
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
    return [_flatten(row) for row in value]


def _flatten(row: Row) -> Row:
    """Return a row with the members of the objects in it, where their names are not taken.

    `{"data": {"image": "1.jpg"}}` of Label Studio; one that holds labels alone stays as it is.
    """
    flat = dict(row)
    for name, inner in row.items():
        if isinstance(inner, dict) and len(inner) and name not in KEPT:
            members = {_last_name(key): one for key, one in inner.items()}
            if not members.keys() & (flat.keys() - {name}):
                del flat[name]
                flat |= members
    return flat


def _last_name(key: str) -> str:
    """Return ml_use of aiplatform.googleapis.com/ml_use."""
    return str(key).rsplit("/", 1)[-1]


def open_cells(cells: pd.Series) -> pd.Series | None:
    """Return what cells hold that are JSON objects, of one name or with a known one of a label.

    `{"class": "cat"}`, `{"tagName": "cat", "tagId": "7"}`, and lists of such. Objects of nothing
    are gaps. None: the cells are something else.

    Args:
        cells: text, empty where nothing is said; members of lists are parted by SEVERAL.
    """
    texts = [text for text in set(cells) if text]
    parts = {text: text.split(SEVERAL) for text in texts}
    if not texts or not all(part[0] + part[-1] == "{}" for some in parts.values() for part in some):
        return None
    try:
        objects = {text: [json.loads(part) for part in some] for text, some in parts.items()}
    except (ValueError, RecursionError):
        return None
    names = {name for some in objects.values() for one in some for name in one}
    inner = {text: _find_labels(some, names) for text, some in objects.items()}
    if len(names) > 1 and not any(inner.values()):
        return None
    return cells.map(lambda text: SEVERAL.join(dict.fromkeys(inner.get(text, []))))


def _find_labels(value: Any, names: Iterable[str] = ()) -> list[str]:
    """Return the labels in objects that lie in each other.

    Args:
        value: a label, an object, or a list of such.
        names: of the objects; one alone may be any, of several those that hold labels are known.
    """
    if isinstance(value, list):
        return [label for one in value for label in _find_labels(one, names)]
    if not isinstance(value, dict):
        return [] if value in (None, "") else [str(value)]
    only = {*names, *value}
    if len(only) == 1:
        return _find_labels(list(value.values()))
    forms = {re.sub(r"[-_ ]", "", name).lower(): name for name in value}
    name = next((forms[known] for known in NESTED if known in forms), None)
    return _find_labels(value[name]) if name else []


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
    elif len(value) > 1 and all(map(name_split, value)) and all(isinstance(i, list) for i in inner):
        rows = [_read_member(one, name) for name, some in value.items() for one in some]
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


def _read_member(one: Any, split: str) -> Row:
    """Return the row of what stands in the list of a split: a file, a file and more, or a row."""
    if isinstance(one, dict):
        return {**one, "split": split}
    if isinstance(one, list):  # ["cat/1.jpg", 0, "cat"]
        return {"path": one[0] if one else "", "label": one[-1] if one[1:] else "", "split": split}
    return {"path": one, "split": split}


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
