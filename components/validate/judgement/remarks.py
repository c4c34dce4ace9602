"""What is said of pictures that are usable, but not simply as they are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from components.validate.judgement.expectations import NOTE, WARNING
from components.validate.judgement.findings import EXAMPLES, Finding

if TYPE_CHECKING:
    import pandas as pd

# Kind of remark → kind of finding, its severity, what is said, and what can be done.
_SAID = {
    "frames": (
        "first frame",
        NOTE,
        "animations and files of several pages, of which the first is used",
        "validate.frames: reject leaves them out",
    ),
    "grey range": (
        "grey range",
        NOTE,
        "greys of 16 or 32 bits, or colours of 16, that fill little of what they can hold, or "
        "leave it: each is spread from its own least to its own greatest value",
        "if values mean the same in all images, state which are black and white: "
        "preprocess.grey_window: [0, 4095]",
    ),
    "profile": (
        "colour profile",
        NOTE,
        "pictures with another colour space than sRGB",
        "preprocess brings them to sRGB",
    ),
    "profile ignored": (
        "profile ignored",
        WARNING,
        "colour profiles that are of no use: the colours are taken as they are stored",
        "save these images anew if their colours look wrong",
    ),
}


def find_remarks(remarks: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Return a finding for each kind of remark.

    Args:
        remarks: path of a file → what was remarked of it, `kind: detail`.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for path, said in remarks.items():
        for remark in said:
            kind, _, detail = remark.partition(": ")
            found.setdefault(kind, []).append((path, detail))
    return [_describe(kind, found[kind]) for kind in _SAID if kind in found]


def _describe(kind: str, rows: list[tuple[str, str]]) -> Finding:
    name, severity, what, advice = _SAID[kind]
    details = Counter(detail for _, detail in rows).most_common(3)
    shown = "; ".join(detail for detail, _ in details) + ("; …" if len(details) == 3 else "")
    message = f"{what}: {len(rows):,} ({shown})"
    paths = [path for path, _ in rows][:EXAMPLES]
    return Finding(name, severity, message, advice, len(rows), paths)


def take_remarks(scanned: pd.DataFrame) -> dict[str, list[str]]:
    """Take the remarks out of what was scanned: they are no column of the manifest.

    Args:
        scanned: column `remarks`, which is taken out, and `path`.

    Returns:
        Path → what was remarked of the file, where anything was.
    """
    import pyarrow.compute as pc

    remarks = scanned.pop("remarks").array.__arrow_array__()
    said = pc.greater(pc.list_value_length(remarks), 0)
    paths = scanned["path"].array.__arrow_array__().filter(said).to_pylist()
    return dict(zip(paths, remarks.filter(said).to_pylist(), strict=True))
