"""Folders with a checkpoint of Hugging Face or timm: config.json and safetensors, no code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.errors import DarkroomError
from components.train.networks.files.tensors import read_shapes, read_tensors
from components.train.networks.published.nearest import suggest_nearest
from components.train.networks.published.vit_weights import (
    TIMM,
    TOWERS,
    TRANSFORMERS,
    Rules,
    find_fault,
    rename,
)
from components.train.networks.scaling import (
    CLIP,
    IMAGENET,
    SYMMETRIC,
    Scaling,
    create_scaling,
)
from components.train.networks.vit import Vit

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
# What timm's configs leave to its code: attention heads by width, and the names that differ.
HEADS = {
    64: 2, 192: 3, 256: 4, 320: 5, 384: 6, 512: 8, 640: 10, 768: 12, 832: 13, 896: 14, 1024: 16,
    1152: 16, 1280: 16, 1408: 16, 1536: 24, 1664: 16,
}  # fmt: skip
SIXTEEN_HEADS = ("vit_base_patch16_gap_224", "vit_giantopt_")
GELU_TANH = re.compile("large.*siglip.*_512$|patch32_siglip|(so400m|giantopt)_patch16_siglip")
# Same tensors as a plain transformer, and other arithmetic.
NOT_PLAIN = re.compile("_rpn_|18x2|aimv2|_xp_|^beit|^eva02")
ACTIVATIONS = {
    "gelu": "gelu", "gelu_python": "gelu", "gelu_tanh": "gelu_tanh", "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_accurate": "gelu_tanh",
    "quick_gelu": "quick_gelu", "quickgelu": "quick_gelu",
    "silu": "gelu",  # of the gated blocks, whose gate is a silu whatever is said here
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """What configs of a kind of transformers' models leave out, and their scaling."""

    rules: Rules
    scaling: Scaling
    patch_px: int = 16
    epsilon: float = 1e-12
    activation: str = "gelu"


FAMILIES = {
    "vit": Family(TRANSFORMERS, SYMMETRIC),
    "deit": Family(TRANSFORMERS, IMAGENET),
    "dinov2": Family(TRANSFORMERS, IMAGENET, 14, 1e-6),
    "dinov2_with_registers": Family(TRANSFORMERS, IMAGENET, 16, 1e-6),
    "clip": Family(TOWERS, CLIP, 32, 1e-5, "quick_gelu"),
    "metaclip_2": Family(TOWERS, CLIP, 32, 1e-5, "quick_gelu"),
    "siglip": Family(TOWERS, SYMMETRIC, 16, 1e-6, "gelu_pytorch_tanh"),
}
# What KerasHub converts beside those.
HUB_TRANSFORMERS = ("dinov3_vit", "swin")
# Those of timm whose answers and saved models were seen equal (benchmarks/networks.py). DenseNet
# and HGNetV2 answered differently there, EfficientNetV2 of the kind `rw` as well, and of
# EfficientNet-EdgeTPU it writes down too little to be loaded again; the others it refuses itself.
HUB_TIMM = re.compile(
    r"resnet(18|26|34|50|101|152)|resnetv2_(50|101|152)|mobilenetv3_(small_050|small_100|large_100)"
    r"|vgg1[1369]|efficientnet_(b[0-5]|lite0)|(csp)?darknet53|cspresne(t|xt)50"
)
# How the kernel of the patches is called, by which the wanted tower is found.
PATCHES = {
    TIMM: "patch_embed.proj.weight",
    TRANSFORMERS: "embeddings.patch_embeddings.projection.weight",
    TOWERS: "embeddings.patch_embedding.weight",
}


@dataclass(frozen=True)
class Checkpoint:
    """A vision transformer on disk."""

    folder: Path
    architecture: str  # in its publisher's words
    vit: Vit
    scaling: Scaling
    names: Mapping[str, str]  # of its tensors → ours
    parameters: int

    def read_tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors of the tower under our names, float32."""
        return read_tensors(self.folder, self.names)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read what a folder holds, without its weights.

    Raises:
        DarkroomError: if it is no checkpoint of a vision transformer that Darkroom knows.
    """
    config = read_config(folder)
    shapes = read_shapes(folder)
    architecture = str(config.get("architecture") or config.get("model_type") or "")
    kind = architecture.removesuffix("_vision_model")
    if isinstance(config.get("architecture"), str):
        family = Family(TIMM, SYMMETRIC)
    elif kind in FAMILIES:
        family = FAMILIES[kind]
    else:
        raise _refuse(folder, architecture)
    key = PATCHES[family.rules]
    prefix = next((name.removesuffix(key) for name in shapes if name.endswith(key)), None)
    if prefix is None or NOT_PLAIN.search(architecture):
        raise _refuse(folder, architecture)
    try:
        names = rename(shapes, family.rules, prefix)
        ours = {names[name]: shape for name, shape in shapes.items() if name in names}
        is_timm = family.rules is TIMM
        make, scaling = (
            (describe_timm(config, ours), _scale_timm(config))
            if is_timm
            else (_describe_transformers(config, family, ours), _scale(folder, family))
        )
        vit = describe(ours, **make)
        fault = find_fault(vit, ours)
    except KeyError as error:
        raise _refuse(folder, architecture, f"it says nothing of {error}") from None
    except NotImplementedError as error:
        raise _refuse(folder, architecture, str(error)) from None
    except (TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise DarkroomError(
            f"train.backbone: {folder}: {CONFIG} or the sizes of the tensors are none of such a "
            f"network ({error}); get them again"
        ) from None
    if fault:
        raise DarkroomError(f"train.backbone: {folder}: {fault}; get its files again")
    numbers = sum(int(np.prod(shape)) for shape in ours.values())
    return Checkpoint(folder, architecture, vit, scaling, names, numbers)


def is_converted_by_hub(config: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is of a family that KerasHub converts and Darkroom does not."""
    if "architecture" in config and "model_type" not in config:  # with it, it is of transformers
        return bool(HUB_TIMM.fullmatch(str(config["architecture"])))
    return config.get("model_type") in HUB_TRANSFORMERS


def read_scaling(folder: Path) -> Scaling:
    """Return how images are scaled for a checkpoint of timm or transformers."""
    config = read_config(folder)
    try:
        if "architecture" in config:
            return _scale_timm(config)
        return _scale(folder, Family((), IMAGENET))
    except (KeyError, TypeError, ValueError) as error:
        raise DarkroomError(
            f"train.backbone: {folder}: it does not say how images are scaled ({error}); get its "
            "files again"
        ) from None


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config.json of a folder."""
    if not (folder / CONFIG).exists():
        raise DarkroomError(
            f"train.backbone: {folder}: no {CONFIG} there; a checkpoint is a folder with "
            f"{CONFIG} and *.safetensors, a KerasHub preset one with {CONFIG} and *.weights.h5"
        )
    return read_object(folder / CONFIG)


def read_object(file: Path) -> dict[str, Any]:
    """Return a JSON file of a checkpoint, which holds an object."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DarkroomError(f"train.backbone: {file}: not readable ({error})") from None
    if not isinstance(found, dict):
        raise DarkroomError(f"train.backbone: {file}: not readable (it holds no object of JSON)")
    return found


def describe(
    shapes: Mapping[str, tuple[int, ...]], *, heads: int, size_px: int, **others: Any
) -> Vit:
    """Return the transformer whose tensors have these shapes; what shapes do not say is given."""
    width, _, patch_px, _ = shapes["embedding.patch.weight"]
    blocks = {int(found[1]) for name in shapes if (found := re.match(r"blocks\.(\d+)\.", name))}
    hidden, _ = shapes["blocks.0.mlp.fc1.weight"]
    tokens = {
        name: shapes[name] for name in ("class_token", "distillation_token") if name in shapes
    }
    registers = shapes.get("registers", (0, 0))
    count = len(tokens) + int(registers[-2])
    positions = shapes["position"][-2]
    return Vit(
        size_px=size_px,
        patch_px=patch_px,
        width=width,
        depth=len(blocks),
        heads=heads,
        hidden=hidden,
        gated=shapes["blocks.0.mlp.fc2.weight"][1] * 2 == hidden,
        tokens=count,
        placed=positions - (size_px // patch_px) ** 2,
        norm_first="embedding.norm_pre.weight" in shapes,
        layer_scale="blocks.0.ls1.weight" in shapes,
        classes=len(tokens) or 1,
        **others,
    )


def describe_timm(config: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return what :func:`describe` asks for of a transformer of timm, by its config and name."""
    name = config["architecture"]
    given = config.get("model_args") or {}
    width = shapes["embedding.patch.weight"][0]
    usual = 16 if name.startswith(SIXTEEN_HEADS) else HEADS.get(width)
    heads = given.get("num_heads", usual)
    if heads is None:
        raise KeyError("the attention heads of a transformer of that width")
    act = "quick_gelu" if "quickgelu" in name else "gelu_tanh" if GELU_TANH.search(name) else "gelu"
    pool = given.get("global_pool") or config.get("global_pool")
    pool = pool or ("token" if "class_token" in shapes else "avg")
    if "pool.token.weight" in shapes:
        pool = "map"
    return {
        "heads": heads,
        "size_px": config["pretrained_cfg"]["input_size"][-1],
        "activation": _find_activation(given.get("act_layer", act)),
        "epsilon": 1e-5 if "embedding.norm_pre.weight" in shapes else 1e-6,
        "pool": {"token": "token", "avg": "mean", "map": "attention"}[pool],
        "norm_last": "blocks.last.fc_norm.weight" in shapes,
    }


def _describe_transformers(
    config: dict[str, Any], family: Family, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    own = config.get("vision_config") or config
    depth = len({found[1] for name in shapes if (found := re.match(r"blocks\.(\d+)\.", name))})
    if own.get("num_hidden_layers", depth) != depth:
        raise ValueError(f"{depth} of its {own['num_hidden_layers']} blocks are there")
    return {
        "heads": own.get("num_attention_heads", 12),
        "size_px": _find_side(own.get("image_size", 224)),
        "activation": _find_activation(own.get("hidden_act", family.activation)),
        "epsilon": own.get("layer_norm_eps", family.epsilon),
        "pool": "attention" if "siglip" in str(config["model_type"]) else "token",
        "antialias": config["model_type"] == "dinov2_with_registers",
    }


def _find_activation(name: Any) -> str:
    if name not in ACTIVATIONS:
        raise NotImplementedError(f"its activation is {name}; known is GELU in its forms")
    return ACTIVATIONS[name]


def _find_side(said: Any) -> int:
    """Return the side of images that a config gives as a number, or as height and width."""
    sides = set(said) if isinstance(said, list | tuple) else {said}
    if len(sides) != 1:
        raise NotImplementedError(f"its images are {said} px, and not square")
    return int(sides.pop())


def _scale_timm(config: dict[str, Any]) -> Scaling:
    given = config["pretrained_cfg"]
    return create_scaling(given["mean"], given["std"], 255)


def _scale(folder: Path, family: Family) -> Scaling:
    """Return what the preprocessor of the folder does, or else its family's."""
    file = folder / PROCESSOR
    given = read_object(file) if file.is_file() else {}
    if "image_mean" not in given or "image_std" not in given:
        return family.scaling
    factor = 255 if given.get("do_rescale", True) else 1
    return create_scaling(given["image_mean"], given["image_std"], factor)


def _refuse(folder: Path, architecture: str, why: str = "") -> DarkroomError:
    return DarkroomError(
        f"train.backbone: {folder}: {architecture or 'a model without a name'} is none that "
        f"Darkroom reads{f' ({why})' if why else ''}; {suggest_nearest(architecture)}"
    )
