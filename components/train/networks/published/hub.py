"""Presets of KerasHub from a folder: config.json and weights as `save_to_preset` writes them.

Plain vision transformers become ours, of Keras's own layers, so that the model that is trained
loads without KerasHub. The other families stay KerasHub's, and so does what they need to be loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.model import HUB, check_growth
from components.common.backend import keras
from components.common.errors import DarkroomError
from components.train.networks.catalogue import Backbone
from components.train.networks.nodes import count_macs
from components.train.networks.published.checkpoints import describe, read_object
from components.train.networks.published.hub_names import RULES
from components.train.networks.published.vit_weights import load_vit_weights, rename
from components.train.networks.scaling import (
    CLIP,
    IMAGENET,
    SYMMETRIC,
    Scaling,
    create_scaling,
)
from components.train.networks.vit import Vit, count_mega_macs, create_vit

CONVERTER = "image_converter.json"  # of a preset: how images are scaled
POOLS = {"SigLIPVisionEncoder": "attention"}
ACTIVATIONS = {"gelu_approximate": "gelu_tanh", "quick_gelu": "quick_gelu", "gelu": "gelu"}
# Tokens that are no patches, before them; the others have none.
PREFIXES = {"DINOV3Backbone": "num_register_tokens"}
SCALINGS = {
    "ViTBackbone": SYMMETRIC,
    "SigLIPVisionEncoder": SYMMETRIC,
    "CLIPVisionEncoder": CLIP,
    "MetaCLIP2VisionEncoder": CLIP,
}
# What KerasHub calls the families of images that it has presets of.
IMAGE_PATHS = frozenset({
    "clip", "cspnet", "deit", "densenet", "dinov2", "dinov3", "efficientnet", "hgnetv2",
    "metaclip_2", "mit", "mobilenet", "mobilenetv5", "resnet", "siglip", "swin_transformer", "vgg",
    "vit", "xception",
})  # fmt: skip
# Variables that no answer depends on.
_UNUSED = re.compile(r"(?:.*/)?(?:mask_token|position_ids|interpolated_position_embeddings)$")


def is_hub_folder(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a KerasHub preset."""
    return "keras_hub" in str(config.get("module", "")) or "registered_name" in config


def read_hub(folder: Path, scaling: Scaling | None = None) -> Backbone:
    """Return what is known of the network in a folder that KerasHub reads.

    Args:
        folder: a preset, or a checkpoint that KerasHub converts.
        scaling: of a checkpoint; a preset says it by itself.
    """
    tower, *beside = _load(folder, pretrained=False)
    size_px, patch_px = _find_size(tower, folder), int(_first(getattr(tower, "patch_size", 1)))
    is_vit = type(tower).__name__ in RULES
    macs = count_mega_macs(_describe(tower, beside), size_px) if is_vit else None
    return Backbone(
        folder.name,
        size_px,
        int(sum(one.count_params() for one in (tower, *beside))),
        round(count_macs(tower, size_px) / 1e6) if macs is None else macs,
        None,
        scaling or _read_scaling(folder, type(tower).__name__),
        rectified=False,
        patch_px=patch_px,
        folder=folder,
        needs=() if is_vit else (HUB,),
    )


def create_hub_body(folder: Path, size_px: int, pretrained: bool = True) -> keras.Model:
    """Return the network of a folder that KerasHub reads.

    Returns:
        A Keras model: (size_px, size_px, 3) → features (channels,) of a plain vision transformer,
        which is ours; of others → a map (high, wide, channels).
    """
    probe, *_ = _load(folder, pretrained=False)
    if type(probe).__name__ in RULES:
        tower, *beside = _load(folder, pretrained)
        vit = _describe(tower, beside)
        body = create_vit(vit, size_px, folder.name)
        if pretrained:
            load_vit_weights(body, vit, _read_tensors(tower, beside))
        return body
    tower, *_ = _load(folder, pretrained, image_shape=(size_px, size_px, 3))
    pixels = keras.Input((size_px, size_px, 3))
    found = tower(dict.fromkeys(tower.input, pixels) if isinstance(tower.input, dict) else pixels)
    if isinstance(found, dict):  # the maps of all stages, from fine to coarse
        found = list(found.values())[-1]
    if len(found.shape) == 3:  # tokens
        kind = type(tower).__name__
        before = 1 + getattr(tower, PREFIXES[kind]) if kind in PREFIXES else 0
        side = round((found.shape[1] - before) ** 0.5)
        found = keras.layers.Reshape((side, side, found.shape[2]))(found[:, before:])
    return keras.Model(pixels, found, name=folder.name)


def list_presets() -> list[Backbone]:
    """Return the presets of image networks that KerasHub publishes, for `weights fetch`.

    It says how many numbers they have, of CLIP and SigLIP both towers, and in words the images'
    size; side 0 where it does not.
    """
    found = []
    for name, about in _find_hub("--hub lists what it has").models.Backbone.presets.items():
        said = about["metadata"]
        if said["path"] in IMAGE_PATHS:
            size = re.search(r"_(\d{3,4})(?:_|\s)|(\d{3,4})x\2", f"{name} {said['description']}")
            size_px = int(size[1] or size[2]) if size else 0
            found.append(
                Backbone(name, size_px, int(said["params"]), None, None, None, rectified=False)
            )
    return found


def _find_hub(what: str) -> Any:
    """Return the module, or say what wants it."""
    if importlib.util.find_spec(HUB) is None:
        raise DarkroomError(
            f"{what}, and KerasHub is not installed: python -m pip install 'keras-hub>=0.32,<0.33'"
        )
    return importlib.import_module(HUB)


def _load(folder: Path, pretrained: bool, **changes: Any) -> list[Any]:
    """Return KerasHub's network of images, and what of a model of two towers lies behind it."""
    hub = _find_hub(f"train.backbone: {folder} is read by KerasHub")
    for file in sorted(folder.rglob("*.h5")):
        check_growth(file)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # some converters print every layer
            found = hub.models.Backbone.from_preset(str(folder), load_weights=pretrained, **changes)
    except (ValueError, KeyError, OSError, TypeError, ImportError) as error:
        raise DarkroomError(
            f"train.backbone: {folder}: KerasHub cannot read it ({str(error).splitlines()[0]})"
        ) from None
    tower = getattr(found, "vision_encoder", found)
    norm = getattr(found, "vision_post_layer_norm", None)
    return [tower] if norm is None else [tower, norm]


def _read_tensors(tower: Any, beside: list[Any]) -> dict[str, np.ndarray]:
    """Return a tower's weights under our names, laid out as PyTorch lays them out."""
    variables = {
        variable.path: variable
        for layer in (tower, *beside)
        for variable in layer.weights
        if not _UNUSED.match(variable.path)
    }
    names = rename(variables, RULES[type(tower).__name__], "")
    found = {}
    for path, name in names.items():
        value = np.asarray(variables[path])
        if path.endswith("kernel") and value.ndim == 4:  # (high, wide, in, out)
            value = value.transpose(3, 2, 0, 1)
        elif path.endswith("attention_output/kernel"):  # (heads, of a head, width)
            value = value.reshape(-1, value.shape[-1]).T
        elif path.endswith("kernel"):  # (width, heads, of a head), or (in, out)
            value = value.reshape(value.shape[0], -1).T
        found[name] = value.reshape(-1) if path.endswith("bias") else value
    return _renumber(found)


def _renumber(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors with blocks counted from 0; some families count from 1."""
    numbers = sorted({int(m[1]) for name in tensors if (m := re.match(r"blocks\.(\d+)", name))})
    places = {str(number): str(place) for place, number in enumerate(numbers)}
    return {
        re.sub(r"^blocks\.(\d+)", lambda m: f"blocks.{places[m[1]]}", name): tensor
        for name, tensor in tensors.items()
    }


def _describe(tower: Any, beside: list[Any]) -> Vit:
    """Return what a vision transformer of KerasHub is made of."""
    kind = type(tower).__name__
    shapes = {name: tensor.shape for name, tensor in _read_tensors(tower, beside).items()}
    is_clip = kind.startswith(("CLIP", "MetaCLIP"))
    size = getattr(tower, "position_embedding_shape", tower.image_shape)[0]
    return describe(
        shapes,
        heads=tower.num_heads,
        size_px=int(size),
        activation=ACTIVATIONS[getattr(tower, "intermediate_activation", "gelu")],
        epsilon=1e-5 if is_clip else getattr(tower, "layer_norm_epsilon", 1e-6),
        pool=POOLS.get(kind, "token"),
        antialias=getattr(tower, "antialias_in_interpolation", True),
    )


def _find_size(tower: Any, folder: Path) -> int:
    """Return the side of the images of pretraining; 224 where nothing says it."""
    shape = getattr(tower, "image_shape", None) or (None,)
    said = shape[0] or _read_converter(folder).get("image_size") or 224
    return int(_first(said))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) else value


def _read_scaling(folder: Path, kind: str) -> Scaling:
    """Return what the preset's converter of images does, or else its family's."""
    said = _read_converter(folder)
    if said.get("scale") is None:
        return SCALINGS.get(kind, IMAGENET)
    scale, offset = (
        tuple(value) if isinstance(value, list) else (value or 0.0,) * 3
        for value in (said["scale"], said.get("offset"))
    )
    try:
        # pixel · scale + offset is (pixel - mean) / std
        mean = [-o / s for o, s in zip(offset, scale, strict=True)]
        return create_scaling(mean, [1 / s for s in scale], 1)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DarkroomError(
            f"train.backbone: {folder / CONVERTER}: no scaling of images ({error}); get it again"
        ) from None


def _read_converter(folder: Path) -> dict[str, Any]:
    """Return what a preset says of its images; empty where it says nothing."""
    file = folder / CONVERTER
    found: dict[str, Any] = (read_object(file) if file.is_file() else {}).get("config") or {}
    return found
