"""What a source holds, by its names: a folder of them all, with the bytes of a few alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.images.pixels import SUFFIXES
from components.common.images.stores.listing import Listing, fetch_folder, list_store
from components.common.images.stores.web import find_web_file
from components.common.settings.addresses import hide_secrets, is_address, refuse_secrets
from components.ingest.archives.formats import open_archive
from components.ingest.archives.members import Member, Output
from components.ingest.archives.unpacking import (
    DAMAGED,
    describe_damage,
    describe_lack,
    list_members,
    say_guesses,
)
from components.ingest.contents import is_image
from components.ingest.digits import write_digits
from components.ingest.download import SETTING, TIMEOUT_SECONDS, find_local, keep
from components.ingest.placing import ARCHIVES, TABLES, plan_targets

SAMPLED = 100  # images whose bytes are written: their sizes vary little where a camera took them
# A table says the classes, so it is needed whole; one of a million rows has some 50 MB.
LARGEST_TABLE = 200_000_000
TEXTS = TABLES | {".json", ".txt"}


def write_outline(source: str, folder: Path, downloads: Path) -> dict[str, Any]:
    """Write the names of a source's files into a new folder, placed as ingest would place them.

    Tables and a sample of the images have their bytes; all other files are empty.

    Args:
        source: as `ingest.source`: `digits`, an archive, or a folder of a store.
        folder: an empty folder.
        downloads: where an archive from afar is kept, so that it is not fetched twice.

    Returns:
        What ingest is to be told, `source` and `sha256`, and `sampled`, the images with bytes, by
        their paths in the folder; None: all have them.

    Raises:
        DarkroomError: if there is no such source, or it is none that ingest reads.
    """
    refuse_secrets(source, SETTING)
    if source == "digits":
        write_digits(folder)
        return {"source": source, "sha256": "", "sampled": None}
    if not is_address(source):
        file, told = find_local(source), source
    elif source.lower().startswith("http"):
        file = keep(find_web_file(source, TIMEOUT_SECONDS), source, downloads)
        told = str(file)
    else:
        listing = list_store(source, SETTING)
        if not listing.is_file:
            sampled = _outline_store(listing, folder, hide_secrets(source))
            return {"source": source, "sha256": "", "sampled": sampled}
        file = keep(listing.files[0], source, downloads)
        told = str(file)
    sampled = _outline_archive(file, folder, file.name)
    return {"source": told, "sha256": compute_sha256(file), "sampled": sampled}


def choose_sample(paths: Sequence[Path]) -> list[Path]:
    """Return at most SAMPLED of the paths that are named as images, evenly spread."""
    named = [path for path in paths if path.suffix.lower() in SUFFIXES] or [*paths]
    step = max(1.0, len(named) / SAMPLED)
    return [named[int(n * step)] for n in range(min(SAMPLED, len(named)))]


def _outline_archive(archive: Path, folder: Path, name: str) -> list[str]:
    try:
        with open_archive(archive, name) as found:
            members = list_members(name, archive, found.members)
            plan = plan_targets(name, [member.name for member in members])
            pairs = zip(members, plan.targets, strict=True)
            places = {member: target for member, target in pairs if target is not None}
            sample = choose_sample(sorted(places.values()))
            wanted = _find_wanted(places, sample)

            def create(member: Member) -> Output:
                return Output(folder / places[member])

            found.extract(wanted, create)
    except DAMAGED as error:
        raise DarkroomError(describe_damage(name, str(error) or type(error).__name__)) from None
    _refuse_imageless(name, [member.name for member in places], folder, sample)
    _write_empty(folder, set(places.values()) - {places[member] for member in wanted})
    say_guesses(name, members, plan, [])
    return [path.as_posix() for path in sample]


def _find_wanted(places: dict[Member, Path], sample: list[Path]) -> list[Member]:
    chosen = set(sample)
    return [
        member
        for member, target in places.items()
        if target in chosen or (_is_text(target) and member.bytes <= LARGEST_TABLE)
    ]


def _outline_store(listing: Listing, folder: Path, name: str) -> list[str]:
    plan = plan_targets(name, [remote.path for remote in listing.files])
    pairs = zip(listing.files, plan.targets, strict=True)
    places = {target: remote for remote, target in pairs if target is not None}
    sample = choose_sample(sorted(places))
    texts = [
        target
        for target, remote in places.items()
        if _is_text(target) and (remote.bytes or 0) <= LARGEST_TABLE
    ]
    wanted = {*sample, *texts}
    fetch_folder([(places[target], folder / target) for target in sorted(wanted)], len(wanted))
    names = [remote.path for remote in listing.files]
    _refuse_imageless(name, names, folder, sample, is_folder=True)
    _write_empty(folder, set(places) - wanted)
    say_guesses(name, [], plan, [])
    return [path.as_posix() for path in sample]


def _refuse_imageless(
    name: str, names: list[str], folder: Path, sample: list[Path], is_folder: bool = False
) -> None:
    """Raise what ingest would, before settings are chosen for a source without images."""
    kinds = {PurePosixPath(path).suffix.lower() for path in names}
    if kinds & SUFFIXES or any(is_image(folder / path) for path in sample):
        return
    # A table of a store tells more when it is looked at.
    inner = [path for path in names if PurePosixPath(path).suffix.lower() in ARCHIVES]
    if inner or not is_folder:
        raise DarkroomError(describe_lack(name, names, inner, is_folder))


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in TEXTS


def _write_empty(folder: Path, paths: set[Path]) -> None:
    for path in sorted(paths):
        Output(folder / path).close()
