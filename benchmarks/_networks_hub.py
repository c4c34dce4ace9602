"""Tiny random networks of KerasHub, for benchmarks/networks.py.

A folder for each, as `save_to_preset` writes it and, in answers.npz, what KerasHub answers to some
pixels: images (images, high, wide, 3), as the network takes them, and features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE_PX = 64
SQUARE = {"image_shape": (SIZE_PX, SIZE_PX, 3)}
TOWER = SQUARE | {
    "patch_size": 16, "num_layers": 2, "num_heads": 4, "hidden_dim": 32, "intermediate_dim": 64,
}  # fmt: skip
TEXT = {
    "vocabulary_size": 50, "embedding_dim": 32, "hidden_dim": 32, "num_layers": 1, "num_heads": 4,
    "intermediate_dim": 64,
}  # fmt: skip
MOBILE = {
    "stackwise_expansion": [[16], [24, 32]], "stackwise_num_blocks": [1, 2],
    "stackwise_num_filters": [[8], [16, 16]], "stackwise_kernel_size": [[3], [5, 5]],
    "stackwise_num_strides": [[2], [2, 1]], "stackwise_se_ratio": [[None], [0.25, 0.25]],
    "stackwise_activation": [["relu"], ["hard_swish", "hard_swish"]],
    "stackwise_padding": [[1], [2, 2]], "output_num_filters": 32, "input_activation": "hard_swish",
    "output_activation": "hard_swish", "input_num_filters": 8, "depthwise_filters": 8,
    "depthwise_stride": 2, "depthwise_residual": False, "squeeze_and_excite": 0.5,
    "last_layer_filter": 32,
}  # fmt: skip
MOBILE5 = {
    "stackwise_block_types": [["er"], ["uir", "uir"]], "stackwise_num_blocks": [1, 2],
    "stackwise_num_filters": [[24], [48, 48]], "stackwise_strides": [[2], [2, 1]],
    "stackwise_act_layers": [["relu"], ["relu", "relu"]],
    "stackwise_exp_ratios": [[4.0], [6.0, 6.0]], "stackwise_se_ratios": [[0.0], [0.0, 0.0]],
    "stackwise_dw_kernel_sizes": [[0], [5, 5]], "stackwise_dw_start_kernel_sizes": [[0], [0, 0]],
    "stackwise_dw_end_kernel_sizes": [[0], [0, 0]],
    "stackwise_exp_kernel_sizes": [[3], [0, 0]], "stackwise_pw_kernel_sizes": [[1], [0, 0]],
    "stackwise_num_heads": [[0], [0, 0]], "stackwise_key_dims": [[0], [0, 0]],
    "stackwise_value_dims": [[0], [0, 0]], "stackwise_kv_strides": [[0], [0, 0]],
    "stackwise_use_cpe": [[False], [False, False]], "use_msfa": False,
}  # fmt: skip
EFFICIENT = {
    "stackwise_kernel_sizes": [3, 3], "stackwise_num_repeats": [1, 1],
    "stackwise_input_filters": [8, 8], "stackwise_output_filters": [8, 16],
    "stackwise_expansion_ratios": [1, 4], "stackwise_squeeze_and_excite_ratios": [0.0, 0.25],
    "stackwise_strides": [1, 2], "stackwise_block_types": ["fused", "unfused"],
    "stackwise_width_coefficients": [1.0, 1.0], "stackwise_depth_coefficients": [1.0, 1.0],
    "stackwise_force_input_filters": [0, 0], "stackwise_nores_option": [False, False],
}  # fmt: skip
HGNET = SQUARE | {
    "depths": [1, 1], "embedding_size": 16, "hidden_sizes": [16, 32], "stem_channels": [3, 8, 16],
    "hidden_act": "relu", "use_learnable_affine_block": False,
    "stackwise_stage_filters": [(16, 8, 16, 1, 1, 3), (16, 8, 32, 1, 1, 3)],
    "apply_downsample": [False, True], "use_lightweight_conv_block": [False, False],
}  # fmt: skip
RESNET = {
    "input_conv_filters": [64], "input_conv_kernel_sizes": [7], "stackwise_num_filters": [64, 64],
    "stackwise_num_blocks": [1, 1], "stackwise_num_strides": [1, 2],
}  # fmt: skip
SWIN = {"embed_dim": 16, "depths": (2, 1), "num_heads": (2, 2), "window_size": 4, "patch_size": 4}
MIT = SQUARE | {
    "layerwise_depths": [1, 1], "num_layers": 2, "layerwise_num_heads": [1, 2],
    "layerwise_sr_ratios": [8, 4], "max_drop_path_rate": 0.0, "layerwise_patch_sizes": [7, 3],
    "layerwise_strides": [4, 2], "hidden_dims": [16, 32],
}  # fmt: skip
CSP = {
    "stem_filters": 8, "stem_kernel_size": 3, "stem_strides": 1, "stackwise_depth": [1, 2],
    "stackwise_strides": [1, 2], "stackwise_num_filters": [16, 32], "stage_type": "dark",
    "block_type": "dark_block",
}  # fmt: skip
# A class of KerasHub, its arguments, and what of its answer is compared with ours.
Made = tuple[str, dict[str, Any], Callable[[Any], Any]]


def _token(found: Any) -> Any:
    return found[:, 0]


def _tokens(found: Any) -> Any:
    return np.asarray(found)[:, :2].mean(axis=1)


def _whole(found: Any) -> Any:
    return list(found.values())[-1] if isinstance(found, dict) else found


def _map(before: int) -> Callable[[Any], Any]:
    def cut(found: Any) -> Any:
        found = np.asarray(found)[:, before:]
        side = round(found.shape[1] ** 0.5)
        return found.reshape(len(found), side, side, -1)

    return cut


VIT = {name: value for name, value in TOWER.items() if name != "intermediate_dim"}
PRESETS: dict[str, Made] = {
    "vit": ("ViTBackbone", VIT | {"mlp_dim": 64}, _token),
    "deit": ("DeiTBackbone", TOWER, _tokens),
    "dinov2": ("DINOV2Backbone", TOWER | {"position_embedding_shape": (64, 64)}, _token),
    "siglip": ("SigLIPVisionEncoder", TOWER, _whole),
    "dinov3": ("DINOV3Backbone", TOWER, _map(5)),
    "swin": ("SwinTransformerBackbone", SQUARE | SWIN, _map(0)),
    "hgnetv2": ("HGNetV2Backbone", HGNET, _whole),
    "mobilenet": ("MobileNetBackbone", SQUARE | MOBILE, _whole),
    "mobilenetv5": ("MobileNetV5Backbone", SQUARE | MOBILE5, _whole),
    "efficientnet": ("EfficientNetBackbone", EFFICIENT, _whole),
    "resnet": ("ResNetBackbone", RESNET | {"block_type": "basic_block"}, _whole),
    "resnetv2": (
        "ResNetBackbone",
        RESNET | {"block_type": "basic_block", "use_pre_activation": True},
        _whole,
    ),
    "densenet": ("DenseNetBackbone", {"stackwise_num_repeats": [2, 2], "growth_rate": 8}, _whole),
    "cspnet": ("CSPNetBackbone", CSP, _whole),
    "vgg": (
        "VGGBackbone",
        SQUARE | {"stackwise_num_repeats": [1, 1], "stackwise_num_filters": [8, 16]},
        _whole,
    ),
    "xception": (
        "XceptionBackbone",
        {"stackwise_conv_filters": [[8, 16], [16, 32]], "stackwise_pooling": [True, False]},
        _whole,
    ),
    "mit": ("MiTBackbone", MIT, _whole),
}
TOWERS = {
    "clip": ("CLIPVisionEncoder", "CLIPTextEncoder", "CLIPBackbone"),
    "metaclip2": ("MetaCLIP2VisionEncoder", "MetaCLIP2TextEncoder", "MetaCLIP2Backbone"),
}


def write_presets(folder: Path, only: str) -> None:
    """Write the presets whose name holds a word into a folder."""
    import keras_hub

    for name, (kind, arguments, take) in PRESETS.items():
        target = folder / f"hub-{name}"
        if only in target.name and not target.exists():
            _write(target, getattr(keras_hub.models, kind)(**arguments), take)
    for name, kinds in TOWERS.items():
        target = folder / f"hub-{name}"
        if only in target.name and not target.exists():
            vision, text, both = (getattr(keras_hub.models, kind) for kind in kinds)
            made = both(
                vision_encoder=vision(**TOWER), text_encoder=text(**TEXT), projection_dim=16
            )
            _write(target, made, _token)


def _write(target: Path, made: Any, take: Callable[[Any], Any]) -> None:
    """Give every weight other numbers, save the preset, keep what it answers once it is loaded."""
    import keras_hub

    random = np.random.default_rng(0)
    for weight in made.weights:
        if weight.path.endswith("position_ids"):  # zeros in a fresh CLIP
            weight.assign(np.arange(weight.shape[-1])[None])
        elif "float" in str(weight.dtype):
            noise = random.normal(0, 0.1, weight.shape)
            weight.assign_add(np.abs(noise) if "variance" in weight.path else noise)
    made.save_to_preset(str(target))
    loaded = keras_hub.models.Backbone.from_preset(str(target))
    network = getattr(loaded, "vision_encoder", loaded)
    pixels = random.normal(size=(3, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    is_named = isinstance(network.input, dict)
    given = dict.fromkeys(network.input, pixels) if is_named else pixels
    features = take(network(given, training=False))
    norm = getattr(loaded, "vision_post_layer_norm", None)  # of MetaCLIP 2, behind its tower
    features = np.asarray(features if norm is None else norm(features))
    np.savez(target / "answers.npz", images=pixels, features=features)
