"""Networks from a folder: a checkpoint of timm or transformers, or a preset of KerasHub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.train.networks.catalogue import Backbone
from components.train.networks.checkpoints import (
    is_converted_by_hub,
    read_checkpoint,
    read_config,
    read_scaling,
)
from components.train.networks.vit import count_mega_macs, create_vit
from components.train.networks.vit_weights import load_vit_weights


def read_folder(folder: Path) -> Backbone:
    """Return what is known of the network in a folder, without its weights.

    Raises:
        DarkroomError: if it is none that Darkroom reads.
    """
    if _is_hubs(folder):
        from components.train.networks.hub import is_hub_folder, read_hub

        config = read_config(folder)
        return read_hub(folder, None if is_hub_folder(config) else read_scaling(folder))
    found = read_checkpoint(folder)
    vit = found.vit
    return Backbone(
        folder.name,
        vit.size_px,
        found.parameters,
        count_mega_macs(vit, vit.size_px),
        None,
        found.scaling,
        rectified=False,
        min_size_px=vit.patch_px,
        patch_px=vit.patch_px,
        folder=folder,
    )


def create_folder_body(folder: Path, size_px: int, pretrained: bool = True) -> Any:
    """Return the network in a folder.

    Returns:
        A Keras model: (size_px, size_px, 3) → features (channels,), or of a network that keeps its
        places → a map (high, wide, channels).

    Raises:
        DarkroomError: if its weights are not those of its config.
    """
    if _is_hubs(folder):
        from components.train.networks.hub import create_hub_body

        return create_hub_body(folder, size_px, pretrained)
    found = read_checkpoint(folder)
    body = create_vit(found.vit, size_px, folder.name)
    if pretrained:
        load_vit_weights(body, found.vit, found.read_tensors())
    return body


def _is_hubs(folder: Path) -> bool:
    """Whether KerasHub reads a folder, and not Darkroom by itself."""
    config = read_config(folder)
    return "registered_name" in config or is_converted_by_hub(config)
