"""Unpack an archive of images without trusting it."""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from components.common.errors import DarkroomError
from components.common.terminal import bar, count_of, say
from components.ingest.archives import members as limits
from components.ingest.archives.formats import open_archive
from components.ingest.archives.members import Member, Output, WriteError
from components.ingest.contents import has_images
from components.ingest.placing import ARCHIVES, Plan, plan_targets, refuse_size

# Photographs are compressed already: an archive of them hardly grows. Synthetic images may, so a
# hundredfold is allowed (gzip can reach 1,032, other methods far more), and 1 GB in any case.
MAX_GROWTH, ALWAYS_ALLOWED_BYTES = 100, 10**9
# Names of the pieces that a large archive was cut into: photos.7z.001, photos.z01, photos.part1.rar
PIECE = re.compile(r"\.(?:\d{3}|z\d\d|part\d+(?:\.rar)?)$", re.IGNORECASE)
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    KeyError,  # a link to what the archive does not hold
    RuntimeError,  # a zip method that Python lacks; links in a ring
)


def unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpack the files of a tar, zip or 7z archive into an empty folder.

    Folders at the top that only wrap the images are left away, so that class folders, or splits,
    come to the top. Hidden files and `__MACOSX` are skipped. A link becomes a copy of what it
    names.

    Args:
        archive: the local file.
        folder: where its files go.
        name: what the user calls the archive, for messages.

    Raises:
        DarkroomError: if it is damaged, holds no image, would grow beyond reason, or has a member
            that is no file inside the folder: `..`, an absolute path, a link out of it, a device.
    """
    try:
        with open_archive(archive, name) as found:
            members = list_members(name, archive, found.members)
            plan = plan_targets(name, [member.name for member in members])
            _check_room(sum(member.bytes for member in members), folder)
            places = {
                member: folder / target
                for member, target in zip(members, plan.targets, strict=True)
                if target is not None
            }
            with bar("unpacking", "files", len(places)) as progress:

                def create(member: Member) -> Output:
                    progress.update()
                    return Output(places[member])

                found.extract(list(places), create)
    except WriteError as error:
        why = str(error) if len(str(error)) < 400 else f"{str(error)[:300]}…"
        raise DarkroomError(
            f"{name}: cannot be unpacked here ({why}); mend that, then run again"
        ) from None
    except DAMAGED as error:
        raise DarkroomError(describe_damage(name, str(error) or type(error).__name__)) from None
    inner = [m.name for m in places if PurePosixPath(m.name).suffix.lower() in ARCHIVES]
    if not has_images(folder):
        raise DarkroomError(describe_lack(name, [member.name for member in places], inner))
    say_guesses(name, members, plan, inner)
    empty = list_empty(found.folders, [member.name for member in members])
    if empty:
        say(f"empty, so left out: {_list_some(empty)}; a class without images cannot be learnt")


def list_members(name: str, archive: Path, listed: Iterable[Member]) -> list[Member]:
    """Return all members, checked before the first is written.

    Args:
        name: what the user calls the archive.
        archive: the file.
        listed: its members, as they come.

    Raises:
        DarkroomError: if it would grow beyond reason.
    """
    limit = max(ALWAYS_ALLOWED_BYTES, MAX_GROWTH * archive.stat().st_size)
    members: list[Member] = []
    total = 0
    # Counted while listing: to reach the end of a bomb's list means to inflate the bomb.
    for member in listed:
        members.append(member)
        total += member.bytes
        if total > limit:
            raise refuse_size(
                name, f"more than {limit / 1e9:,.1f} GB, over {MAX_GROWTH} times its size"
            )
        if len(members) > limits.MAX_FILES:
            raise refuse_size(name, f"more than {limits.MAX_FILES:,} files")
    return members


def _check_room(wanted: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise WriteError(f"it needs {wanted / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free")


def say_guesses(name: str, members: list[Member], plan: Plan, inner: list[str]) -> None:
    """Say what was decided for the user.

    Args:
        name: what the user calls the archive or folder.
        members: those of an archive, with what was guessed of their names.
        plan: where the files went.
        inner: archives among them.
    """
    if plan.wrapping:
        say(f"left away: the folder {plan.wrapping}/, which wraps all images of {name}")
    if plan.left_out:
        say(
            f"left out, as {plan.wrapping}/ holds files of their names: {_list_some(plan.left_out)}"
        )
    if plan.doubled:
        say(f"more than once in {name}, the last is taken: {_list_some(plan.doubled)}")
    if plan.shortened:
        say(
            f"shortened, as their names are longer than 255 bytes: {_list_some(plan.shortened)}; a "
            "table finds them by their new names alone"
        )
    if plan.hidden:
        say(
            f"left out, as names that begin with a dot are hidden: {_list_some(plan.hidden)}; if "
            "they are photos of yours, rename them"
        )
    guessed = [member for member in members if member.guessed]
    if guessed:
        say(
            f"{count_of(len(guessed), 'name')} in {name} not in UTF-8, read as "
            f"{guessed[0].guessed}, such as {guessed[0].name}; where that is wrong, pack it again"
        )
    if inner:
        say(f"not unpacked, though in {name}: {_list_some(inner)}; their images are not used")


def list_empty(folders: Iterable[str], files: Iterable[str]) -> list[str]:
    """Return the folders of an archive in which nothing lies, hidden ones left out."""
    names = {name.replace("\\", "/").strip("/").removeprefix("./") for name in folders}
    above: set[str] = set()
    for name in (*names, *(file.replace("\\", "/").removeprefix("./") for file in files)):
        parent = name.rpartition("/")[0]
        while parent and parent not in above:
            above.add(parent)
            parent = parent.rpartition("/")[0]
    plain = [name for name in names if not re.search(r"(^|/)(\.|__MACOSX)", name)]
    return sorted(name for name in plain if name and name not in above)


def describe_damage(name: str, reason: str) -> str:
    """Return the words for an archive that cannot be read to its end."""
    if PIECE.search(name) or "span multiple disks" in reason:
        return (
            f"{name}: one piece of an archive that was cut into several; join them first (zip -s 0 "
            "or cat), then name the whole in ingest.source"
        )
    return (
        f"{name}: damaged archive ({reason}); get it again, and check ingest.sha256 against its "
        "publisher"
    )


def describe_lack(name: str, names: list[str], inner: list[str], is_folder: bool = False) -> str:
    """Return the words for an archive, or a folder of a store, without images.

    Args:
        name: what the user calls it.
        names: its files.
        inner: the archives among them.
        is_folder: of a store.
    """
    if inner and is_folder:
        return (
            f"{name}: no images in it, but {len(inner)} archives: {_list_some(inner)}; name one of "
            f"them in ingest.source: {name.rstrip('/')}/{sorted(inner)[0]}"
        )
    if inner:
        return (
            f"{name}: no images in it, but {len(inner)} archives: {_list_some(inner)}; an archive "
            "inside an archive is not unpacked: unpack the outer one by hand, and name an inner "
            "one in ingest.source, or unpack all and name the folder in data.source"
        )
    kinds = Counter(PurePosixPath(file).suffix.lower() or "without suffix" for file in names)
    seen = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(5))
    what = "a folder" if is_folder else "an archive"
    advice = f"{what} should hold one folder of images per class"
    if names:
        advice += (
            "; if they are inside these files, write them out first, a file each: docs/data.md, "
            "Images inside other files, shows how"
        )
    if kinds[".parquet"]:
        advice = (
            "write the images that its Parquet files hold into class folders on this machine: "
            "docs/data.md, Images inside other files, shows how"
        )
    return f"{name}: no images in it{f' ({seen})' if seen else ''}; {advice}"


def _list_some(names: list[str]) -> str:
    shown = [name if len(name) <= 120 else f"{name[:100]}…" for name in sorted(names)[:3]]
    return ", ".join(shown) + (f" and {len(names) - 3:,} more" if names[3:] else "")
