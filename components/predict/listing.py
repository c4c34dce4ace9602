"""Which images a person means: files, folders, lists of paths, and what comes through a pipe."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import UnidentifiedImageError

from components.common.errors import DarkroomError
from components.common.images.formats import name_kind, open_image
from components.common.images.pixels import SUFFIXES

Source = Path | bytes  # a file, or an image that came through a pipe
STDIN = "-"
HIDDEN, NO_SUFFIX, NO_FILE = "hidden", "without a suffix", "that is no file"
# What systems leave behind is nobody's image.
LEFT_BEHIND = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"}
_BOM, _WIDE_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


def read_words(words: Sequence[str]) -> list[Source]:
    """Return the files, folders and images that the words of a command line name.

    `@FILE` is a list with a path in each line, unless there is a file of that very name; `-` is
    standard input, an image or a list, whichever comes. A line is a path, whatever it looks like.

    Raises:
        DarkroomError: if a list cannot be read, or a word names a pipe that nobody fills.
    """
    found: list[Source] = []
    for word in words:
        if word == STDIN:
            found += _take_stream(sys.stdin.buffer.read(), "standard input")
        elif word.startswith("@") and not os.path.lexists(word):
            found += _read_list(word)
        elif _is_stream(word):  # `<(…)` of a shell
            found += _take_stream(Path(word).read_bytes(), word)
        else:
            refuse_pipe(word, "an image or a folder of them")
            found.append(Path(word))
    return found


def list_images(sources: Iterable[Source]) -> tuple[list[Source], Counter[str]]:
    """Return the images that were named and those in the folders that were named.

    As in training, a file in a folder is an image by its name or, whatever it is called, by what it
    holds.

    Returns:
        The images, and how many files of the folders are none, by their suffix.
    """
    images: list[Source] = []
    skipped: Counter[str] = Counter()
    for source in sources:
        if isinstance(source, bytes) or not source.is_dir():
            images.append(source)
        else:
            images += walk_images(source, skipped)
    return images, skipped


def walk_images(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """Yield the images in a folder and below, in the order of their paths, as they are found.

    Links to folders are followed, but not in circles.

    Args:
        folder: where to look.
        skipped: receives how many files are no images, by their suffix.
    """
    return _walk(folder, (), skipped)


def describe_skipped(skipped: Counter[str]) -> str:
    """Return `3 files skipped that are no images: 2 .txt, 1 hidden`; empty where none is."""
    count = skipped.total()
    if not count:
        return ""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in skipped.most_common(8))
    return f"{count:,} {'file' if count == 1 else 'files'} skipped: {kinds}"


def list_some(sources: Sequence[Source], purpose: str) -> tuple[list[Source], str]:
    """Return the images of :func:`list_images`, and in words what was skipped.

    Raises:
        DarkroomError: if there is none; `purpose` says what there is nothing for.
    """
    images, skipped = list_images(sources)
    left_out = describe_skipped(skipped)
    if not images:
        where = ", ".join(map(name_source, sources)) or "the list"
        more = f" ({left_out})" if left_out else ""
        raise DarkroomError(f"no images in {where}: nothing to {purpose}{more}")
    return images, left_out


def name_source(source: Source) -> str:
    """Return what an answer calls an image; a name that is not UTF-8 with its bytes as numbers."""
    if isinstance(source, bytes):
        return STDIN
    return str(source).encode("utf-8", "backslashreplace").decode()


def _read_list(word: str) -> list[Source]:
    name = word[1:]
    if name == STDIN:
        return _split_list(sys.stdin.buffer.read(), "standard input")
    refuse_pipe(name, "a list of paths", word)
    try:
        data = Path(name).read_bytes()
    except FileNotFoundError:
        raise DarkroomError(
            f"{word}: neither a file of this name, nor a list {name} with a path in each line"
        ) from None
    except IsADirectoryError:
        raise DarkroomError(
            f"{word}: {name} is a folder, not a list of paths; without the @ its images are asked "
            "about"
        ) from None
    if _is_picture(data):
        raise DarkroomError(
            f"{word}: {name} is a picture, not a list of paths; without the @ it is asked about"
        )
    return _split_list(data, name)


def _take_stream(data: bytes, name: str) -> list[Source]:
    if not data.strip():
        raise DarkroomError(f"{name}: nothing came; an image or a list of paths is wanted there")
    return [data] if _is_picture(data) else _split_list(data, name)


def _split_list(data: bytes, name: str) -> list[Source]:
    """Return the paths of a list: one a line, or NUL behind each, as `find -print0` writes."""
    if data.startswith(_WIDE_BOMS):
        raise DarkroomError(f"{name}: a list in UTF-16; save it as UTF-8")
    lines = data.removeprefix(_BOM).split(b"\0" if b"\0" in data else b"\n")
    found: list[Source] = []
    for number, line in enumerate(lines, start=1):
        path = os.fsdecode(line.removesuffix(b"\r"))
        if not path.strip():
            continue
        if not _is_utf8(line) and not os.path.lexists(path):
            shown = line[:80].decode("utf-8", "backslashreplace")
            raise DarkroomError(
                f"{name}, line {number}: {shown} is not UTF-8, and there is no file whose name has "
                "these bytes; save the list as UTF-8"
            )
        found.append(Path(path))
    return found


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_picture(data: bytes) -> bool:
    try:
        open_image(data).close()
    except DarkroomError:  # too large a one, or a HEIC that cannot be read here
        return True
    except Exception:  # damaged heads make decoders raise nearly anything
        return name_kind(data)[0] in ("damaged", "unknown format")
    return True


def _is_stream(word: str) -> bool:
    if not word.startswith(("/dev/fd/", "/dev/stdin", "/proc/self/fd/")):
        return False
    try:
        return stat.S_ISFIFO(os.stat(word).st_mode)  # noqa: PTH116 - follows /proc's links
    except OSError:
        return False


def refuse_pipe(path: str, wanted: str, word: str = "") -> None:
    """Refuse what would block until somebody writes, or never end.

    Args:
        path: what is to be read.
        wanted: what it should be, for the message.
        word: as it was typed, where that is not the path.

    Raises:
        DarkroomError: if it is a pipe, a socket or a device.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a word as it was typed
    except (OSError, ValueError):
        return  # what is not there is told with its reason
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (word and _is_stream(path))):
        raise DarkroomError(
            f"{word or path}: a pipe, socket or device, not {wanted}; to be read from a pipe it "
            "comes on standard input: give -"
        )


def _walk(folder: Path, above: tuple[Path, ...], skipped: Counter[str]) -> Iterator[Path]:
    real = folder.resolve()
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DarkroomError(
            f"{folder}: cannot be listed ({error.strerror}); mend its permissions"
        ) from None
    for entry in entries:
        hidden = entry.name.startswith(".") or entry.name.lower() in LEFT_BEHIND
        if entry.is_dir():
            if not hidden and entry.resolve() not in (*above, real):
                yield from _walk(entry, (*above, real), skipped)
        elif hidden:
            skipped[HIDDEN] += 1
        elif not entry.is_file():
            skipped[NO_FILE] += 1
        elif entry.suffix.lower() in SUFFIXES or _holds_image(entry):
            yield entry
        else:
            skipped[entry.suffix.lower() or NO_SUFFIX] += 1


def _holds_image(file: Path) -> bool:
    try:
        open_image(file).close()
    except (UnidentifiedImageError, OSError):
        return False
    except Exception:  # it begins as an image: why it cannot be read is told with its answer
        return True
    return True
