"""In which encoding a text file is written: by its mark, by its bytes, or by the names in it."""

from __future__ import annotations

from pathlib import Path

from components.common.files.encodings import WESTERN, guess_encoding
from components.validate.folders.words import fold

BOMS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Tried where a file is no UTF-8: that under which most of its names are files is the right one.
ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "euc_kr", "big5"),
    *("koi8-r", "cp866", "cp1255", "cp1256", "cp874", "mac_roman", "cp437", "latin-1"),
)
DELIMITERS = ",;\t|"


def find_encoding(file: Path, known: set[str], notes: list[str]) -> str:
    """Return the encoding of a text file, by its mark, by its bytes, or by the names in it."""
    with file.open("rb") as stream:
        data = stream.read(1 << 24)
    for mark, name in BOMS.items():
        if data.startswith(mark):
            return name
    if name := _find_utf_16(data[:4096]):
        notes.append(f"{file.name}: read as {name}, which it does not say itself")
        return name
    try:
        data.decode("utf-8") if len(data) < 1 << 24 else data[: 1 << 23].decode("utf-8", "ignore")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    name = _guess_encoding(data, known)
    notes.append(f"{file.name}: no UTF-8, read as {name}; if letters are wrong, save it as UTF-8")
    return name


def _find_utf_16(head: bytes) -> str:
    """Return which UTF-16 a text without a mark is, empty if it is none.

    Of its Latin letters and ends of lines one half is a zero, always the same; a few zeros anywhere
    are damage.
    """
    ends = max(1, head.count(b"\n"))
    low, high = head[1::2].count(0), head[::2].count(0)
    if low + high <= ends or 10 * min(low, high) > low + high:
        return ""
    return "utf-16-le" if low > high else "utf-16-be"


def _guess_encoding(data: bytes, known: set[str]) -> str:
    scores: dict[str, int] = {}
    lines = [line for line in data.split(b"\n") if not line.isascii()][:500]
    for name in ENCODINGS:
        try:
            data.decode(name)
        except UnicodeDecodeError:
            continue
        cells = [
            cell.strip(' "\r').replace("\\", "/")
            for line in lines
            for cell in _cut(line.decode(name))
            if not cell.isascii()
        ]
        scores[name] = sum(fold(cell.rsplit("/", 1)[-1]) in known for cell in cells)
    best = max(scores, key=lambda name: scores[name])
    if scores[best]:
        return best
    guess = guess_encoding([line.rstrip(b"\r") for line in lines], WESTERN)
    return guess if guess in scores else best


def _cut(line: str) -> list[str]:
    for delimiter in DELIMITERS[1:]:
        line = line.replace(delimiter, ",")
    return line.split(",")
