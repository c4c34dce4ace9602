"""Whose is it? What Darkroom wrote it may replace; everything else it leaves alone and says so.

A folder that a room writes holds a list of its files, ``.darkroom``: the room, and the size and the
checksum of each. Beside a single file lies ``.darkroom-files``, a line for each file that was ever
written there, with the room or the command that wrote it. A file that no list names, or that is not
as it was written, is somebody's work; one that another command wrote is that one's.
What an earlier version wrote has no list; where DVC keeps a record of the very bytes as an output
of the pipeline, in dvc.lock of now or of an earlier commit, it is ours as well.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.recorded import is_output_of_dvc

STAMP = ".darkroom"  # inside a folder
LEDGER = ".darkroom-files"  # beside files
# Systems leave them where a person looks in: they are neither ours nor anybody's work.
LEFT_BEHIND = frozenset((".DS_Store", "Thumbs.db"))
ABOUT = "what Darkroom wrote into this folder; it replaces nothing else"
CHUNK = 1 << 20
NAMED = 3  # in a message
# The room of this process, or the command behind it: "train", "predict suggest". Empty where nobody
# said so, and in lines of a list that an earlier version wrote: then any may replace the file.
_writers = [""]


@contextmanager
def writing_as(writer: str) -> Iterator[None]:
    """Let what is written in the body be that of a room or a command, which alone replaces it."""
    _writers.append(writer)
    try:
        yield
    finally:
        _writers.pop()


def check_folder(target: Path, room: str, damaged: bool = False) -> list[str]:
    """Return the names in a folder that a room may remove: all there are, or it raises.

    Args:
        target: the folder; it may be missing or empty.
        room: the name of the room that wants to write it.
        damaged: a file of the list that has changed is not somebody's work but damage.

    Raises:
        DarkroomError: if anything there was not written by this room, or has changed since.
    """
    if not os.path.lexists(target):
        return []
    if not target.is_dir():
        raise DarkroomError(f"{target}: is no folder; move it away, or give another name")
    try:
        names = list(_list_entries(target, ""))
        if not names:
            return []
        wrote, listed = _read_stamp(target)
        foreign = [name for name in names if not _is_listed(target, name, listed, damaged)]
    except OSError as error:
        raise DarkroomError(f"{error.filename or target}: {_why(error)}") from None
    if not foreign and wrote in ("", room):
        return names
    if not foreign:
        raise DarkroomError(
            f"{target}: was written by {wrote}, so {room} does not replace it; give another folder"
        )
    if not listed and is_output_of_dvc(target, room, names):
        return names
    shown = ", ".join(foreign[:NAMED]) + (" …" if len(foreign) > NAMED else "")
    what = f"{len(foreign):,} files" if len(foreign) > 1 else "a file"
    since = " or that changed since" if listed else ""
    raise DarkroomError(
        f"{target}: holds {what} that {room} did not write{since} ({shown}); nothing was touched. "
        f"{_advise(room, bool(listed))}"
    )


def check_file(target: Path, damaged: bool = False) -> None:
    """Raise DarkroomError if a file is in place that Darkroom did not write, or not so.

    Args:
        target: the file; it may be missing or empty.
        damaged: a file that Darkroom wrote and that has changed is not work but damage.
    """
    try:
        mode = target.stat().st_mode if os.path.lexists(target) else None
        if mode is None:
            return
        if stat.S_ISDIR(mode):
            raise DarkroomError(f"{target}: is a folder; give the name of a file")
        if not stat.S_ISREG(mode):
            raise DarkroomError(f"{target}: is no regular file; give another name")
        known = _read_ledger(target)
        if not target.stat().st_size:
            return
        about = _take_print(target)
        wrote = {who for one, who in known if one == about or damaged} - {""}
        if wrote and _writers[-1] and _writers[-1] not in wrote:
            raise DarkroomError(
                f"{target}: was written by {' and '.join(sorted(wrote))}, so {_writers[-1]} does "
                "not replace it; give another name"
            )
        if (damaged and known) or about in {one for one, _ in known}:
            return
        if is_output_of_dvc(target, _writers[-1]):
            return
    except OSError as error:
        raise DarkroomError(f"{target}: {_why(error)}; move it away") from None
    raise DarkroomError(
        f"{target}: is there already, and Darkroom did not write it or it has changed since; "
        "nothing was touched. Move it away, or give another name"
    )


def check_apart(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    """Raise DarkroomError if a path that is read and one that is written lie in one another.

    Args:
        inputs: name → path; what is no path is passed over.
        outputs: name → path.
    """
    for read, source in inputs.items():
        for written, target in outputs.items():
            if not (isinstance(source, Path) and isinstance(target, Path)):
                continue
            inner, outer = is_inside(source, target), is_inside(target, source)
            if not (inner or outer):
                continue
            how = "is what" if inner and outer else "lies in what" if inner else "holds what"
            raise DarkroomError(
                f"{source}: {read} {how} this stage writes as {written}, {target}; nothing was "
                "touched. Move it elsewhere, such as to data/photos, and name that instead (the "
                "images are named in data.source of params.yaml)"
            )


def find_real(path: Path) -> Path:
    """Return where a path leads; links in a ring stay as they are: whoever reads them says so."""
    return Path(os.path.realpath(path))


def is_inside(inner: Path, outer: Path) -> bool:
    """Whether a path is another or lies in it, by whatever way they are spelt or linked."""
    named = find_real(inner.parent) / inner.name
    # DVC may link two equal files to one in its cache; for folders, what they lead to counts.
    spelt = {named} if inner.is_file() else {named, find_real(inner)}
    top = find_real(outer) if outer.is_dir() else find_real(outer.parent) / outer.name
    if any(one.is_relative_to(top) for one in spelt):
        return True
    # A file system that ignores case, or a folder that is mounted twice: one place, two names.
    return top.is_dir() and any(
        place.is_dir() and place.samefile(top) for one in spelt for place in (one, *one.parents)
    )


def write_stamp(folder: Path, room: str) -> None:
    """List what is in a folder that a room has just written; the same files give the same list."""
    lines = [json.dumps({"room": room, "about": ABOUT})]
    for name in sorted(_list_entries(folder, "")):
        about = "0 -" if name.endswith("/") else _take_print(folder / name)
        lines.append(f"{about} {json.dumps(name)}")
    (folder / STAMP).write_text("\n".join(lines) + "\n", encoding="utf-8")


def note_file(target: Path, written: Path) -> None:
    """Note that a file is about to take a target's place; before that, so that a kill is no harm.

    Args:
        target: where it will be.
        written: where it is now.
    """
    seen = _take_print(written)
    if (seen, _writers[-1]) in _read_ledger(target):
        return
    names = [target.name, *filter(None, _writers[-1:])]
    with (target.parent / LEDGER).open("a", encoding="utf-8") as stream:
        stream.write(f"{seen} {' '.join(map(json.dumps, names))}\n")


def find_listed(folder: Path) -> list[str]:
    """Return the names that the list in a folder holds, of files that are as they were written."""
    _, listed = _read_stamp(folder)
    return [name for name in listed if _is_listed(folder, name, listed, damaged=False)]


def find_written(folder: Path) -> list[str]:
    """Return the names of the files directly in a folder that the list there says we wrote."""
    known = {name for name, _, _ in _parse(folder / LEDGER)}
    return [entry.name for entry in folder.iterdir() if entry.name in known]


def _list_entries(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the names below a folder, of folders only the empty ones, with `/` at their end."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count = 0
                for name in _list_entries(folder / entry.name, f"{prefix}{entry.name}/"):
                    count += 1
                    yield name
                if not count:
                    yield f"{prefix}{entry.name}/"
            elif entry.name not in LEFT_BEHIND and (prefix or entry.name != STAMP):
                yield prefix + entry.name


def _read_stamp(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the room that wrote a folder, and name → size and checksum; none without a list."""
    listed = {name: about for name, about, _ in _parse(folder / STAMP) if name}
    try:
        with (folder / STAMP).open(encoding="utf-8") as stream:
            return str(json.loads(stream.readline())["room"]), listed
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", {}


def _read_ledger(target: Path) -> set[tuple[str, str]]:
    """Return size and checksum of each form that a file ever had, and who wrote it."""
    lines = _parse(target.parent / LEDGER)
    return {(about, wrote) for name, about, wrote in lines if name == target.name}


def _parse(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, size and checksum, and who wrote it, of each line; a damaged one says nothing."""
    decoder = json.JSONDecoder()
    try:
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                try:
                    size, checksum, names = line.split(" ", 2)
                    name, end = decoder.raw_decode(names)
                    wrote = json.loads(names[end:]) if names[end:].strip() else ""
                    yield str(name), f"{size} {checksum}", str(wrote)
                except (ValueError, RecursionError):
                    continue
    except (OSError, UnicodeDecodeError):
        return


def _is_listed(folder: Path, name: str, listed: Mapping[str, str], damaged: bool) -> bool:
    about = listed.get(name)
    if name.endswith("/"):  # empty: written so, or emptied since
        return about is not None or any(other.startswith(name) for other in listed)
    if about is None:
        return False
    file = folder / name
    if not file.is_file():  # something else has its name; DVC puts links to its cache in place
        return False
    size = about.partition(" ")[0]
    return damaged or (size == str(file.stat().st_size) and _take_print(file) == about)


def _take_print(file: Path) -> str:
    """Return size and CRC-32C of a file: ten times as fast as a digest, and nobody cheats here."""
    import google_crc32c

    size, checksum = 0, 0
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            checksum = google_crc32c.extend(checksum, chunk)
    return f"{size} {checksum:08x}"


def _advise(room: str, has_list: bool) -> str:
    if room == "ingest":
        own = (
            "Photos of your own belong in another folder, such as data/photos: move them there, "
            "and name it in data.source"
        )
        return (
            own if has_list else f"{own}; if they are ingest's of an earlier version, remove them"
        )
    if has_list:
        return "Move what is yours out of it, and remove what you changed; or give another folder"
    return "Move the folder away, or remove it if an earlier version wrote it; or give another"


def _why(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"
