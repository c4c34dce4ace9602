"""The tensors of a checkpoint's folder: safetensors, one file or several with an index; no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.common.errors import DarkroomError

INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# Numbers of weights. Whole ones are quantised, and nothing here knows by what scale.
FORMATS = ("F64", "F32", "F16", "BF16")


def list_weights(folder: Path) -> list[Path]:
    """Return the files of weights of a checkpoint: one, or the shards that its index names."""
    if (folder / INDEX).is_file():
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
            names = sorted({str(name) for name in index.values()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DarkroomError(
                f"train.backbone: {folder / INDEX}: not readable ({error!r}); get it again"
            ) from None
        if any(Path(name).name != name for name in names):  # it may not lead out of the folder
            raise DarkroomError(f"train.backbone: {folder / INDEX}: names files elsewhere")
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found
    pickles = [file.name for pattern in PICKLES for file in sorted(folder.glob(pattern))]
    why = (
        f"{pickles[0]} is a pickle, which may run anything and is never loaded; get "
        "model.safetensors of the same model"
        if pickles and not found
        else f"{len(found)} files of weights; wanted is one model.safetensors, or {INDEX}"
    )
    raise DarkroomError(f"train.backbone: {folder}: {why}")


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of a folder by their names; nothing else is read."""
    found = {}
    for file in list_weights(folder):
        with _open(file) as stream:
            for name in stream.keys():  # noqa: SIM118, it is no dictionary
                found[name] = tuple(stream.get_slice(name).get_shape())
    return found


def read_tensors(folder: Path, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return some tensors, float32, under other names.

    Args:
        folder: of the checkpoint.
        names: of the wanted tensors → what they are called then.

    Raises:
        DarkroomError: if a file is damaged, or its numbers are quantised.
    """
    found: dict[str, np.ndarray] = {}
    for file in list_weights(folder):
        with _open(file) as stream:
            for name in stream.keys():  # noqa: SIM118, it is no dictionary
                if name not in names:
                    continue
                kind = stream.get_slice(name).get_dtype()
                if kind not in FORMATS:
                    raise DarkroomError(
                        f"train.backbone: {file}: {name} holds numbers of the kind {kind}: "
                        f"quantised weights are not read; get those in one of {', '.join(FORMATS)}"
                    )
                found[names[name]] = np.asarray(stream.get_tensor(name)).astype(np.float32)
    return found


def _open(file: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise DarkroomError(f"train.backbone: {file}: not readable weights ({error})") from None
