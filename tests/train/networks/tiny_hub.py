"""Tiny random networks of KerasHub, saved as presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def make_hub(hub: Any, kind: str, folder: Path) -> Any:
    """Save a tiny random preset of 32 px images; return its network.

    Args:
        hub: the module `keras_hub`.
        kind: ViT, DINOV2, SigLIP, which become plain Keras, or Swin, which stays KerasHub's.
        folder: is made.
    """
    models, small = hub.models, {"num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    square = {"image_shape": (32, 32, 3), "patch_size": 8}
    tower = {**small, **square, "intermediate_dim": 24}
    if kind == "ViT":
        made = models.ViTBackbone(**small, **square, mlp_dim=24)
    elif kind == "DINOV2":
        made = models.DINOV2Backbone(
            **tower, num_register_tokens=2, position_embedding_shape=(32, 32)
        )
    elif kind == "SigLIP":
        made = models.SigLIPVisionEncoder(**tower)
    else:
        made = models.SwinTransformerBackbone(
            image_shape=(32, 32, 3), patch_size=4, embed_dim=8, depths=(2, 1), num_heads=(2, 2),
            window_size=4,
        )  # fmt: skip
    for weight in made.weights:
        noise = np.random.default_rng(len(weight.path)).normal(0, 0.1, weight.shape)
        if "int" not in str(weight.dtype):
            weight.assign_add(noise)
    made.save_to_preset(str(folder))
    return made
