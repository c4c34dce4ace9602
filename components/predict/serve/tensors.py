"""Tensors of the Open Inference Protocol (KServe V2, MLServer, Triton), as JSON and as bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.common.errors import DarkroomError

BYTES = "BYTES"


def read_tensor(tensors: Sequence[Any], tail: memoryview, name: str) -> list[Any]:
    """Return the elements of the tensor that holds the images.

    Args:
        tensors: the request's `inputs`.
        tail: what follows the JSON: tensors as bytes, in the order of `inputs`.
        name: of the tensor; if there is but one it may have another.

    Returns:
        A text or the bytes of each element.

    Raises:
        DarkroomError: if there is no such tensor of BYTES.
    """
    chosen = None
    for tensor in tensors:
        parameters = tensor.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
        if size is None:
            part = None
        elif isinstance(size, int) and 0 <= size <= len(tail):
            part, tail = tail[:size], tail[size:]
        else:
            raise DarkroomError("binary_data_size is more than what follows the JSON")
        if tensor.get("name") == name or len(tensors) == 1:
            chosen = tensor, part
    if chosen is None:
        raise DarkroomError(f"there is no input {name}")
    tensor, part = chosen
    if tensor["datatype"] != BYTES:
        raise DarkroomError(f"input {name}: its datatype must be {BYTES}: encoded images")
    if part is not None:
        return list(_cut(part, name))
    if not isinstance(tensor.get("data"), (list, str)):
        raise DarkroomError(f"input {name}: has no data")
    data = tensor["data"]
    return list(_flatten(data)) if isinstance(data, list) else [data]


def _cut(part: memoryview, name: str) -> Iterator[bytes]:
    """Yield elements that follow one another, each behind its length as uint32, little-endian."""
    while part:
        if len(part) < 4 or len(part) - 4 < (length := struct.unpack_from("<I", part)[0]):
            raise DarkroomError(f"input {name}: ends in the middle of an element")
        yield bytes(part[4 : 4 + length])
        part = part[4 + length :]


def _flatten(data: list[Any]) -> Iterator[Any]:
    for one in data:
        if isinstance(one, list):
            yield from _flatten(one)
        else:
            yield one


def create_outputs(
    rows: Sequence[Mapping[str, Any]], class_names: Sequence[str], wanted: Sequence[str]
) -> list[dict[str, Any]]:
    """Return answers as the tensors of a V2 response.

    A number cannot be missing there: an unreadable image has probability 0, an empty label and its
    reason.

    Args:
        rows: of `Answer.describe`.
        class_names: columns of the tensor `probabilities`.
        wanted: names of outputs; empty: all.

    Raises:
        DarkroomError: if one is wanted that is not there.
    """
    count = len(rows)
    shares = [
        share
        for row in rows
        for share in (row["probabilities"] or dict.fromkeys(class_names, 0.0)).values()
    ]
    tensors: dict[str, tuple[str, list[int], list[Any]]] = {
        "label": (BYTES, [count], [row["label"] or "" for row in rows]),
        "probability": ("FP64", [count], [row["probability"] or 0.0 for row in rows]),
        "unsure": ("BOOL", [count], [bool(row["unsure"]) for row in rows]),
        "probabilities": ("FP64", [count, len(class_names)], shares),
        "class_names": (BYTES, [len(class_names)], list(class_names)),
        "reason": (BYTES, [count], [row["reason"] or "" for row in rows]),
    }
    if rows and "unknown" in rows[0]:
        tensors["unknown"] = ("BOOL", [count], [bool(row["unknown"]) for row in rows])
    if rows and "sets" in rows[0]:  # of different lengths: each a list as JSON
        sets = [json.dumps(row["sets"] or [], ensure_ascii=False) for row in rows]
        tensors["sets"] = (BYTES, [count], sets)
    if set(wanted) - set(tensors):
        raise DarkroomError(f"there is no such output; there are {', '.join(tensors)}")
    return [
        {"name": name, "datatype": datatype, "shape": shape, "data": data}
        for name, (datatype, shape, data) in tensors.items()
        if not wanted or name in wanted
    ]


def describe_tensors(classes: int) -> dict[str, list[dict[str, Any]]]:
    """Return inputs and outputs as the metadata of a V2 model names them."""
    kinds = {"label": (BYTES, [-1]), "probability": ("FP64", [-1]), "unsure": ("BOOL", [-1])}
    kinds |= {"probabilities": ("FP64", [-1, classes]), "class_names": (BYTES, [classes])}
    kinds |= {"reason": (BYTES, [-1])}
    outputs = [{"name": n, "datatype": kind, "shape": shape} for n, (kind, shape) in kinds.items()]
    return {"inputs": [{"name": "image", "datatype": BYTES, "shape": [-1]}], "outputs": outputs}
