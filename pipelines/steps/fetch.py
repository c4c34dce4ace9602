"""Bring the images: as ingest does, from a DVC project, or from an object store."""

from __future__ import annotations

import hashlib
import importlib
import json
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import writing_folder
from components.common.images.listing import LISTING, write_listing
from components.common.images.pixels import SUFFIXES, find_images
from components.common.images.stores.listing import fetch_folder, open_entries, place_in
from components.common.settings.addresses import is_address
from components.common.settings.kubeflow import Fetch
from components.common.settings.params import check_params
from components.common.terminal import Stopwatch, say
from components.common.tracking.failures import hide_password
from components.common.tracking.server import find_uri, import_mlflow, is_answering
from components.common.tracking.store import check_store
from pipelines.steps.rooms import (
    leave_kfps_run,
    one_line,
    point_at,
    read_names,
    read_params_of,
    restore_integers,
)
from pipelines.steps.shared.memory import Memory, name_line
from pipelines.steps.shared.volume import Volume, compute_folder_digest, name_place
from pipelines.steps.source import SETTING, Source, copy_project, look

COPIED, LISTED = "copies", "listing"
# KFP's launcher moves a folder one object at a time, up once and down in five tasks and more; to
# list costs nothing. But what was copied stays as it is, whatever becomes of the source.
MOST_COPIES = 5_000
MOST_BYTES = 1_000_000_000


@one_line
def find(given: Mapping[str, Any]) -> str:
    """Return how images will travel, and the digest of what the source holds: `listing 5f2a…`.

    What follows is keyed by this line, so that the same images are answered from KFP's cache,
    whatever else of the source has changed. First of all it is seen whether MLflow and its store
    answer: later tasks need them, some of them after hours.

    Args:
        given: sections `fetch` and `mlflow`.
    """
    leave_kfps_run()
    wanted = read_wanted(given)
    check_mlflow(read_names(given).experiment)
    watch = Stopwatch()
    source = look(wanted)
    way, why = choose_way(wanted, source)
    say(f"{hide_password(wanted.source)} looked at ({watch}): {way}, {why}")
    return f"{way} {source.digest}"


@one_line
def fetch(given: Mapping[str, Any], volume: str) -> str:
    """Fill the artifact `images`, or a folder of the shared volume that it then points to.

    Args:
        given: `images`, an output artifact; sections `fetch`, `ingest` and `mlflow`; `found`, of
            :func:`find`, empty where nobody has looked.
        volume: where the shared volume is mounted; empty: there is none.

    Returns:
        Where the images are on the volume, the generation of what is made of them, and the line of
        the run; else empty.
    """
    leave_kfps_run()
    wanted, found = read_wanted(given), given.get("found") or ""
    if not found:
        check_mlflow(read_names(given).experiment)
    if not volume:
        way, _, digest = found.partition(" ")
        held = hold(wanted, digest) if wanted.source else None
        bring(wanted, given, Path(given["images"].path), held, is_listed=way == LISTED)
        return ""
    shared = Volume(Path(volume))
    shared.check_writable()
    folder = bring_once(wanted, given, shared)
    point_at(given["images"], folder)
    names = read_names(given)
    # Images of one source go on where they were, for the models of one name alone.
    line = name_line(
        *(wanted.source, wanted.path, given["ingest"]["source"]),
        *(names.experiment, names.registered_model),
    )
    Memory(shared).note_line(line)
    return name_place(folder, shared.check_generation(folder.name), line)


def bring_once(wanted: Fetch, given: Mapping[str, Any], shared: Volume) -> Path:
    """Return the folder of images, or of their listing, on the volume; what is there stays."""
    memory = Memory(shared)
    is_sure = is_pinned(given["fetch"], given["ingest"])
    held = hold(wanted) if wanted.source and not is_sure else None
    way = choose(wanted, held) if held else COPIED
    recipe = json.dumps([given["fetch"], given["ingest"]], sort_keys=True)
    if held:
        recipe = held.digest if way == COPIED else f"{way} {held.digest}"
    name = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    folder = shared.find_source(name) if is_sure or held else None
    if folder:
        say(f"{folder}: fetched before")
        shared.note_use(folder)
        return folder
    if wanted.source and not held:
        held = hold(wanted)
        way = choose(wanted, held)
    is_listed = way == LISTED
    placed: list[Path] = []
    # A listing is named for what it lists: the bytes of its file may differ.
    digest = (lambda _: name) if is_listed else compute_folder_digest
    with shared.writing_once("images", "", digest, placed) as target:
        bring(wanted, given, target, held, is_listed=is_listed, memory=memory)
    (folder,) = placed
    shared.note_source(name, folder)
    if held and held.address and not is_listed:
        memory.keep_listing(folder, held.address, held.entries)
    return folder


def choose(wanted: Fetch, source: Source) -> str:
    """Return how images get to the tasks, after saying why."""
    way, why = choose_way(wanted, source)
    say(f"{hide_password(wanted.source)}: {way}, {why}")
    return way


def read_wanted(given: Mapping[str, Any]) -> Fetch:
    """Return the checked section `kubeflow.fetch` of a task's arguments."""
    sections = {"fetch": restore_integers(given["fetch"])}
    wanted: Fetch = check_params(Path("parameters of the run"), sections, {"fetch": Fetch})["fetch"]
    return wanted


def is_pinned(fetch: Mapping[str, Any], ingest: Mapping[str, Any]) -> bool:
    """Whether the images are the same whenever they are fetched, so that a cache may answer.

    Args:
        fetch: section `kubeflow.fetch`, plain values.
        ingest: section `ingest`.
    """
    if not fetch["source"]:
        # Bundled, or an archive with its sha256; a folder of a store may hold others tomorrow.
        return bool(ingest["sha256"]) or not is_address(str(ingest["source"]))
    revision = str(fetch["revision"])
    return len(revision) == 40 and all(one in "0123456789abcdef" for one in revision)


def check_mlflow(experiment: str) -> None:
    """Raise DarkroomError if the MLflow server, or its store, does not answer within some seconds.

    Args:
        experiment: in which the pipeline will have its run.
    """
    uri = find_uri()
    if not uri.startswith(("http://", "https://")):
        return
    for pause in (0, 2, 5):  # a server that is just being started
        time.sleep(pause)
        if is_answering(uri, seconds=5):
            check_store(import_mlflow(), experiment)
            return
    raise DarkroomError(
        f"MLflow at {hide_password(uri)} does not answer, and train, evaluate and promote need it: "
        "look at its pod and service, and at MLFLOW_TRACKING_URI in kubeflow.secrets; run again"
    )


def hold(wanted: Fetch, digest: str = "") -> Source:
    """Return what a source holds now, or held when it had a digest.

    Raises:
        DarkroomError: if a file of then is another now, or gone.
    """
    source = look(wanted)
    held = source.trim(digest) if digest else source
    if held is None:
        raise DarkroomError(
            f"fetch: files of {hide_password(wanted.source)} were replaced or removed since it was "
            "looked at; let it rest, then run the whole pipeline again"
        )
    return held


def bring(
    wanted: Fetch,
    given: Mapping[str, Any],
    target: Path,
    source: Source | None,
    *,
    is_listed: bool = False,
    memory: Memory | None = None,
) -> None:
    """Write the folder of images, or of their listing, whole or not at all.

    Args:
        wanted: section `kubeflow.fetch`.
        given: section `ingest`, for where that names no source.
        target: the folder.
        source: what the source holds; None: there is none.
        is_listed: write a listing, and no copies.
        memory: of the volume that the folder is on, with earlier images perhaps.
    """
    watch = Stopwatch()
    if source is None:
        _ingest(given, target)
        return
    name = hide_password(wanted.source)
    with writing_folder(target, "ingest") as folder:
        if is_listed:
            write_listing(folder / LISTING, source.address, source.entries)
            count = sum(has_image_name(entry.path) for entry in source.entries)
        else:
            copy(wanted, source, folder, memory)
            count = len(find_images(folder))
        if not count:
            raise DarkroomError(f"fetch: no image in {name}; check kubeflow.fetch")
    say(f"{count:,} images from {name} ({watch})")


def has_image_name(path: str) -> bool:
    """Whether a file is named as an image, and not hidden."""
    parts = PurePosixPath(path).parts
    is_hidden = any(part.startswith(".") for part in parts)
    return PurePosixPath(path).suffix.lower() in SUFFIXES and not is_hidden


def copy(wanted: Fetch, source: Source, folder: Path, memory: Memory | None) -> None:
    """Fill an empty folder with all files of a source; on a volume what is there is not fetched."""
    if source.address:
        entries = source.entries
        if memory:
            entries = memory.link_known(source.address, entries, folder)
        remotes = open_entries(source.address, entries, SETTING)
        fetch_folder(place_in(folder, remotes, SETTING), len(remotes))
        return
    folder.rmdir()  # DVC makes it
    copy_project(wanted, folder)


def choose_way(wanted: Fetch, source: Source) -> tuple[str, str]:
    """Return how images get to the tasks, and why so."""
    if not source.address:
        if wanted.images == LISTED:
            raise DarkroomError(f"fetch: kubeflow.fetch.images is {LISTED}, but {source.note}")
        return COPIED, source.note
    if wanted.images != "auto":
        return wanted.images, "kubeflow.fetch.images says so"
    size = f"{source.count:,} files, {source.bytes / 1e6:,.0f} MB"
    if source.count > MOST_COPIES or source.bytes > MOST_BYTES:
        return LISTED, f"{size}: to copy them from task to task would take longer than the work"
    return COPIED, f"{size}: few enough to copy"


def _ingest(given: Mapping[str, Any], target: Path) -> None:
    spec = importlib.import_module("components.ingest.spec")
    run = importlib.import_module("components.ingest.run").run
    run(spec.Inputs(source=target), spec.Outputs(images=target), read_params_of("ingest", given))
