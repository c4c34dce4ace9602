"""An image as clients send it inside JSON: base64 of either alphabet, or a `data:` URL."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

from components.common.errors import DarkroomError

WANTED = "an image is wanted as base64 or as a data: URL"
_URL_SAFE = str.maketrans("-_", "+/")
_ANY_BASE64 = str.maketrans("", "", " \t\r\n")  # MLflow's client breaks lines, as e-mail does


def read_encoded(value: Any) -> bytes:
    """Return the bytes of an image that came as text, or as bytes already.

    Args:
        value: base64, of the usual or the URL-safe alphabet, with or without padding and line
            breaks; a `data:` URL; `{"b64": …}` around either; or bytes.

    Raises:
        DarkroomError: if it is none of them. Nothing of what was sent is repeated.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dict) and set(value) == {"b64"}:
        value = value["b64"]
    if not isinstance(value, str):
        raise DarkroomError(f"{WANTED}; this is {_name(value)}")
    if value[:5].lower() == "data:":
        head, comma, text = value.partition(",")
        if not comma:
            raise DarkroomError(f"{WANTED}; this data: URL has no comma")
        if not head.lower().rstrip().endswith(";base64"):
            return unquote_to_bytes(text)
        value = unquote_to_bytes(text).decode("latin-1") if "%" in text else text
    elif "://" in value[:16]:
        raise DarkroomError(f"{WANTED}; this is an address, and the server fetches nothing")
    text = value.translate(_ANY_BASE64).translate(_URL_SAFE).rstrip("=")
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters that are not ASCII
        raise DarkroomError(f"{WANTED}; this text is neither") from None
    if not found:
        raise DarkroomError(f"{WANTED}; this text is empty")
    return found


def _name(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
