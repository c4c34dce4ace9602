"""What clients send: the forms of MLflow and KServe, and bare pictures → encoded images.

Nothing of a body is repeated in a message, and none is parsed before it is known to be small.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.common.errors import DarkroomError
from components.common.serving.encoded import WANTED, read_encoded
from components.predict.serve.tensors import read_tensor

COLUMN = "image"
NAMES = (COLUMN, "image_bytes", "b64", "data")  # as rows of clients call it beside other things
FORMS = ("dataframe_records", "dataframe_split", "inputs", "instances")
CSV_TYPE = "text/csv"
JSON_TYPES = ("application/json", "text/json", "text/plain")
# What says nothing of the content: curl sends the second with --data-binary alone.
UNSAID = (
    "",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "binary/octet-stream",
)
# Marks of JSON outside its texts that a request has around an image, with room to spare: a list of
# 32 MB of `{},` would be 24 times as large in memory.
MARKS, MARKS_AN_IMAGE = b",:[{", 40
MAX_MARKS_AROUND = 1000
# Base64 in lines has 57 bytes or more in each; less on average is a list of nothing.
SHORTEST_LINE = 40
_TEXT_PICTURES = (b"P1", b"P2", b"P3")  # of the PPM family: all ASCII


class RefusedError(DarkroomError):
    """The whole request is refused, with the status of HTTP that says why."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Unread:
    """In the place of an image that did not come through: why."""

    reason: str


@dataclass(frozen=True)
class Question:
    """What a request asks."""

    images: list[bytes | Unread]
    id: str = ""  # of V2, to be given back
    outputs: list[str] = field(default_factory=list)  # of V2; empty: all


def read_question(
    body: bytearray, content_type: str, json_bytes: str | None, max_images: int
) -> Question:
    """Return the images of a request.

    Args:
        body: as it came.
        content_type: header of that name.
        json_bytes: header `Inference-Header-Content-Length`: what follows so many bytes of JSON is
            tensors as bytes (V2).
        max_images: more are refused.

    Raises:
        RefusedError: if nothing in it can be answered.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        raise RefusedError(400, f"the request is empty; {_say_legal()}")
    is_json = json_bytes is not None or kind in JSON_TYPES
    if kind in UNSAID and json_bytes is None:
        is_json = bytes(body[:64]).lstrip()[:1] in (b"{", b"[")
    elif kind == CSV_TYPE and not is_json:
        return Question([_read_image(row) for row in _read_csv(body, max_images)])
    elif not is_json and not kind.startswith("image/"):
        raise RefusedError(415, f"this Content-Type is not taken; {_say_legal()}")
    if not is_json:
        return Question([bytes(body)])
    length = _read_length(json_bytes, len(body))
    try:
        content = _parse(body[:length] if length < len(body) else body, max_images)
        question = _read_content(content, memoryview(body)[length:])
    except RecursionError:
        raise RefusedError(400, "the JSON is nested too deeply") from None
    if len(question.images) > max_images:
        raise RefusedError(
            413, f"{len(question.images)} images in a request; {max_images} are the most"
        )
    if not question.images:
        raise RefusedError(400, "there is no image in the request")
    return question


def _say_legal() -> str:
    return (
        f"JSON with one of {', '.join(FORMS)}, a request of the Open Inference Protocol, CSV "
        f"({CSV_TYPE}) with a column {COLUMN}, and a picture itself (Content-Type: image/jpeg …) "
        "are"
    )


def _read_length(header: str | None, size: int) -> int:
    if header is None:
        return size
    if not re.fullmatch("[0-9]{1,12}", header) or int(header) > size:
        raise RefusedError(400, "Inference-Header-Content-Length is no length of this request")
    return int(header)


def _parse(text: bytearray, max_images: int) -> Any:
    marks = sum(text.count(mark) for mark in MARKS)
    if marks > MARKS_AN_IMAGE * max_images + MAX_MARKS_AROUND:
        raise RefusedError(
            413, f"more JSON around the images than a request of {max_images} images has"
        )
    try:
        return json.loads(text)
    except ValueError as error:  # its message holds the place, its first words no content
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at byte {place}"
        raise RefusedError(400, f"the request is not JSON in UTF-8{where}") from None


def _read_csv(body: bytearray, max_images: int) -> list[Any]:
    """Return the images of a table, as MLflow's clients send one: a text in each row."""
    around = MARKS_AN_IMAGE * max_images + MAX_MARKS_AROUND
    lines = max(body.count(b"\n"), body.count(b"\r"))
    if body.count(b",") > around or lines > len(body) // SHORTEST_LINE + around:
        raise RefusedError(413, f"more fields or lines than a CSV of {max_images} images has")
    csv.field_size_limit(2**31 - 1)  # of the process; how long a body may be is seen before
    # As a stream: a second copy of the text would be four times as large.
    stream = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline="")
    try:
        rows = filter(None, csv.reader(stream, strict=True))
        names = [name.strip() for name in next(rows, [])]
        place = next((names.index(name) for name in NAMES if name in names), None)
        if place is None:  # its first line may be an image: it is not answered as if it were none
            raise RefusedError(400, f"the first line of the CSV names no column {COLUMN}")
        found: list[Any] = []
        for row in rows:
            if len(found) == max_images:
                raise RefusedError(413, f"more than {max_images} images in a request")
            value = row[place] if place < len(row) else None
            if value and len(row) > len(names) and value[:5].lower() == "data:":
                value = ",".join(row[place : place + 2])  # the comma of a data: URL without quotes
            found.append(value)
    except (csv.Error, UnicodeDecodeError):
        raise RefusedError(400, "the request is not CSV in UTF-8") from None
    if not found:
        raise RefusedError(400, "there is no image in the request")
    return found


def _read_content(content: Any, tail: memoryview) -> Question:
    if not isinstance(content, Mapping):
        raise RefusedError(400, f"the JSON is no object; {_say_legal()}")
    found = [name for name in FORMS if name in content]
    if len(found) != 1:
        raise RefusedError(400, f"{'several forms' if found else 'no known form'}; {_say_legal()}")
    (form,) = found
    value = content[form]
    if form == "inputs" and _is_tensors(value):
        return _read_tensors(content, value, tail)
    rows = _split(value) if form == "dataframe_split" else _list_rows(value, form)
    return Question([_read_image(row) for row in rows])


def _is_tensors(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, Mapping) and "datatype" in one for one in value)
    )


def _read_tensors(content: Mapping[str, Any], tensors: Sequence[Any], tail: memoryview) -> Question:
    values = read_tensor(tensors, tail, COLUMN)
    wanted = content.get("outputs")
    outputs = wanted if isinstance(wanted, list) else []
    names = [one.get("name") for one in outputs if isinstance(one, Mapping)]
    request_id = content.get("id", "")
    return Question(
        [_read_image(value) for value in values],
        request_id if isinstance(request_id, str) and len(request_id) <= 200 else "",
        [name for name in names if isinstance(name, str)],
    )


def _list_rows(value: Any, form: str) -> list[Any]:
    """Return the rows of a list of them, or of an object of columns."""
    if isinstance(value, Mapping) and form != "dataframe_records" and set(value) != {"b64"}:
        value = _take_column(value)
    if isinstance(value, list):
        return value
    if form in ("inputs", "instances"):  # one image, not in a list
        return [value]
    raise RefusedError(400, f"{form} is no list of rows")


def _split(value: Any) -> list[Any]:
    columns, rows = ("columns", "data") if isinstance(value, Mapping) else ("", "")
    names, data = (value.get(columns), value.get(rows)) if columns else (None, None)
    if not isinstance(data, list) or not isinstance(names, list):
        raise RefusedError(400, "dataframe_split is no object with the lists columns and data")
    if COLUMN not in names and len(names) != 1:
        raise RefusedError(400, f"dataframe_split has no column {COLUMN}")
    place = names.index(COLUMN) if COLUMN in names else 0
    return [row[place] if isinstance(row, list) and len(row) > place else row for row in data]


def _take_column(value: Mapping[str, Any]) -> Any:
    if COLUMN in value:
        return value[COLUMN]
    if len(value) == 1:
        return next(iter(value.values()))
    raise RefusedError(400, f"there is no column {COLUMN}")


def _read_image(row: Any) -> bytes | Unread:
    try:
        while isinstance(row, list) and len(row) == 1:  # a column of one, as tables send it
            row = row[0]
        if isinstance(row, Mapping) and set(row) != {"b64"}:
            names = [name for name in NAMES if name in row] or list(row)[: len(row) == 1]
            if not names:
                return Unread(f"{WANTED}, as {COLUMN}; this row has none")
            row = row[names[0]]
        if isinstance(row, list) and len(row) == 1:
            row = row[0]
        if isinstance(row, bytes) and row.isascii() and not row.startswith(_TEXT_PICTURES):
            row = row.decode()  # base64, as a tensor of bytes
        return read_encoded(row)
    except DarkroomError as error:
        return Unread(str(error))
