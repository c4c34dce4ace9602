"""Bring a pretrained network into a folder, once; training then needs no network.

It is the only place of the room that reaches for a hub, through the hubs' own clients: those find
what their caches hold before they ask anybody.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256, write_json, writing_folder
from components.common.settings.yaml import load_yaml
from components.common.terminal import say
from components.train.networks.backbones import (
    IMAGENET_WEIGHTS,
    create_body,
    is_folder,
    read_folder,
)
from components.train.networks.catalogue import CATALOGUE, SHIPPED
from components.train.networks.published.checkpoints import read_config
from components.train.networks.weights.shelf import (
    RECORD,
    WANTED,
    list_files,
    name_weights,
    read_record,
)

HUGGING_FACE, CARD = "hf://", "README.md"
TRANSPORT = (  # KerasHub brings the clients of both hubs
    "python -m pip install 'keras-hub>=0.32,<0.33', or give a folder that holds the files"
)


def fetch(name: str, shelf: Path) -> Path:
    """Bring a network into a folder of the shelf and say how it is used.

    Args:
        name: of the catalogue; a preset of KerasHub; `hf://organisation/model`; or a folder that
            holds such files already.
        shelf: gets a folder of the network's name.

    Returns:
        The folder.

    Raises:
        DarkroomError: if nobody knows the name, nobody answers, or what came is not readable.
    """
    if name in CATALOGUE:
        return _fetch_catalogue(name, shelf)
    source = _find_source(name)
    target = shelf / name.removeprefix(HUGGING_FACE).strip("/").split("/")[-1]
    if target.resolve() == source.resolve():
        raise DarkroomError(f"weights fetch: {name} is there already: {target}")
    read_folder(source)  # refuses what nobody can read, before anything is copied
    with _replacing(target, name) as folder:
        for file in list_files(source):
            shutil.copyfile(file, folder / file.name)
        found = read_folder(folder)
        about = {
            "size_px": found.size_px,
            "parameters": found.parameters,
            "mega_macs": found.mega_macs,
            "needs": list(found.needs),
            "licence": _find_licence(source),
        }
        _record(folder, name, about)
    say(
        f"{target}: {found.parameters / 1e6:.1f} M parameters, pretrained at {found.size_px} px\n"
        f"keep it with the data: dvc add {shlex.quote(str(target))}\n"
        f"train with it: dvc exp run -S {shlex.quote(f'train.backbone={target}')}"
    )
    return target


def _fetch_catalogue(name: str, shelf: Path) -> Path:
    """Bring the ImageNet weights of a network of the catalogue into a file."""
    if name in SHIPPED:
        raise DarkroomError(f"weights fetch: the weights of {name} are installed with Darkroom")
    backbone = CATALOGUE[name]
    body = create_body(backbone, IMAGENET_WEIGHTS, backbone.size_px, download=True)
    with _replacing(shelf / name, name) as folder:
        body.save_weights(name_weights(folder, name))
        about: dict[str, Any] = {
            "size_px": backbone.size_px,
            "parameters": backbone.parameters,
            "mega_macs": backbone.mega_macs,
            "needs": [],
            "licence": backbone.licence,
        }
        _record(folder, name, about)
    file = name_weights(shelf / name, name)
    say(
        f"{file}\nkeep it with the data: dvc add {shlex.quote(str(shelf / name))}\n"
        f"train with it: dvc exp run -S train.backbone={name} "
        f"-S {shlex.quote(f'train.weights={file}')}"
    )
    return shelf / name


@contextmanager
def _replacing(target: Path, name: str) -> Iterator[Path]:
    """Yield a new folder for a network; it replaces what was fetched by the same name alone.

    Raises:
        DarkroomError: if the folder holds another network, which a model may have been made of.
    """
    if (target / RECORD).is_file():
        there = read_record(target / RECORD).source
        if there != name:
            raise DarkroomError(
                f"weights fetch: {target} holds {there} already; move it away, or give another "
                "--shelf"
            )
    with writing_folder(target, "train", damaged=True) as folder:
        yield folder


def _record(folder: Path, name: str, about: dict[str, Any]) -> None:
    """Write where the files came from and what they are."""
    files = {
        file.name: {"sha256": compute_sha256(file), "bytes": file.stat().st_size}
        for file in list_files(folder)
    }
    write_json(folder / RECORD, {"source": name, **about, "files": files})


def _find_licence(folder: Path) -> str:
    """Return the licence as timm's config says it, or the card that Hugging Face keeps."""
    given = read_config(folder).get("pretrained_cfg") or {}
    card = _read_card(folder / CARD)
    said = card.get("license_name") if card.get("license") == "other" else card.get("license")
    return str(given.get("license") or said or "")


def _read_card(file: Path) -> dict[str, Any]:
    """Return what stands in YAML between two lines `---` at the beginning of a README."""
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    head = re.match(r"---\s*\n(.*?)\n---\s*\n", text, re.DOTALL)
    try:
        found = load_yaml(head[1]) if head else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _find_source(name: str) -> Path:
    """Return the folder that holds a network, from a hub where it must be."""
    if name.startswith(HUGGING_FACE):
        return _ask_hugging_face(name.removeprefix(HUGGING_FACE))
    if is_folder(name):
        return Path(name)
    if "/" in name:
        model = re.sub(r"^(?:https?://)?huggingface\.co/|^hf:/+", "", name)
        raise DarkroomError(
            f"weights fetch: no folder {name}; of Hugging Face it is {HUGGING_FACE}{model}"
        )
    return _ask_kaggle(name)


def _ask_hugging_face(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise DarkroomError(
            f"weights fetch: {HUGGING_FACE} needs its client: {TRANSPORT}"
        ) from None
    wanted = [pattern for pattern in WANTED if pattern != "*.h5"]
    try:
        return Path(snapshot_download(repository, allow_patterns=[*wanted, "*.weights.h5", CARD]))
    except Exception as error:  # its client has dozens, and those of its transport
        raise DarkroomError(
            f"weights fetch: {HUGGING_FACE}{repository}: {_first_line(error)}; where there is no "
            "internet, give the folder that a machine with it fetched"
        ) from None


def _ask_kaggle(preset: str) -> Path:
    """Return the folder of a preset of KerasHub, which Kaggle keeps."""
    try:
        import kagglehub
        from keras_hub.models import Backbone
    except ImportError:
        raise DarkroomError(
            f"weights fetch: {preset} is not in the catalogue; presets of KerasHub need it: "
            f"{TRANSPORT}"
        ) from None
    presets = Backbone.presets
    if preset not in presets:
        from components.common.settings.params import suggest

        raise DarkroomError(
            f"weights fetch: neither the catalogue nor KerasHub has {preset!r}; "
            f"{suggest(preset, [*CATALOGUE, *presets], cutoff=0.5)}of Hugging Face it is "
            f"{HUGGING_FACE}organisation/model"
        )
    handle = str(presets[preset]["kaggle_handle"]).removeprefix("kaggle://")
    try:
        return Path(kagglehub.model_download(handle))
    except Exception as error:  # as above
        raise DarkroomError(
            f"weights fetch: {preset}: {_first_line(error)}; where there is no internet, give the "
            "folder that a machine with it fetched"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
