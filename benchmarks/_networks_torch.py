"""Tiny random networks of timm and transformers, for benchmarks/networks.py.

It needs PyTorch, timm, transformers and safetensors, in an environment of its own: a folder for
each network, with its checkpoint as the library saves it and, in answers.npz, what it answers to
some pixels: images (images, high, wide, 3), as the network takes them, and features.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import transformers
from timm.models._hub import save_for_hf

SIZE_PX, PATCH_PX = 64, 16
SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 4, "img_size": SIZE_PX}
# Architectures of timm: what stands for what, and how each is made small.
TIMM: dict[str, dict[str, Any]] = {
    "vit_base_patch16_224": SMALL,  # AugReg and ImageNet-21k
    "vit_base_patch32_224": SMALL | {"qkv_bias": False},
    "deit_base_distilled_patch16_224": SMALL,
    "deit3_base_patch16_224": SMALL,
    "vit_base_patch14_dinov2": SMALL | {"img_size": 70},
    "vit_base_patch14_reg4_dinov2": SMALL | {"img_size": 70},
    "vit_giant_patch14_reg4_dinov2": SMALL | {"img_size": 70},  # SwiGLU
    "vit_base_patch16_clip_224": SMALL,
    "vit_base_patch16_clip_quickgelu_224": SMALL,
    "vit_base_patch16_siglip_224": SMALL,
    "vit_base_patch16_siglip_512": SMALL,
    "vit_large_patch16_siglip_512": SMALL,  # GELU by tanh, as the next
    "vit_so400m_patch16_siglip_256": SMALL,
    "vit_base_patch16_siglip_gap_224": SMALL,
    "vit_medium_patch16_reg4_gap_256": SMALL,
    "vit_base_patch16_reg4_gap_256": SMALL,
    "vit_so150m_patch16_reg4_map_256": SMALL,
    "flexivit_base": SMALL,
}
# Whole networks that KerasHub converts, which cannot be made small by their arguments; of each
# family one, and those that are made in another way.
MAPS = (
    "resnet18",
    "resnet50",
    "resnetv2_50",
    "mobilenetv3_small_050",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "efficientnet_lite0",
    "vgg11",
    "cspresnet50",
    "cspresnext50",
    "cspdarknet53",
    "darknet53",
)
CONFIG = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": SIZE_PX,
    "patch_size": PATCH_PX,
}
TEXT = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64,
    "vocab_size": 50, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def main() -> None:
    """Write all networks into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.manual_seed(0)
    transformers.utils.logging.set_verbosity_error()
    for name, changes in TIMM.items():
        write_timm(folder / f"timm-{name}", name, changes)
    for name in MAPS:
        model = shake(timm.create_model(name, num_classes=10), 0.01).eval()
        target = folder / f"timm-{name}"
        save_for_hf(model, target, safe_serialization=True)
        keep_answers(target, 64, lambda x, m=model: m.forward_features(x).permute(0, 2, 3, 1))
    for name, make in TRANSFORMERS.items():
        model, answer = make()
        model = shake(model).eval()
        target = folder / f"transformers-{name}"
        model.save_pretrained(target)
        keep_answers(target, SIZE_PX, lambda x, m=model, a=answer: a(m, x))
    (folder / "names.json").write_text(json.dumps(describe_all()))
    versions = {lib.__name__: lib.__version__ for lib in (torch, timm, transformers)}
    (folder / "versions.json").write_text(json.dumps(versions))


def describe_all() -> dict[str, dict[str, Any]]:
    """Return what timm makes of each name of a plain vision transformer, without its weights."""
    found = {}
    for name in timm.list_models(module="vision_transformer"):
        with torch.device("meta"):
            model = timm.create_model(name)
        blocks = getattr(model, "blocks", [None])
        if type(model).__name__ != "VisionTransformer" or not hasattr(blocks[0], "mlp"):
            continue
        found[name] = {
            "heads": blocks[0].attn.num_heads,
            "activation": repr(blocks[0].mlp.act),
            "epsilon": blocks[0].norm1.eps,
            "pool": model.global_pool,
            "input_size": model.pretrained_cfg["input_size"],
            "shapes": {key: tuple(value.shape) for key, value in model.state_dict().items()},
        }
    return found


def write_timm(target: Path, name: str, changes: dict[str, Any]) -> None:
    """Save a small one as timm saves its own on the hub."""
    model = shake(timm.create_model(name, **changes, num_classes=10)).eval()
    config = {"input_size": (3, changes["img_size"], changes["img_size"])}
    save_for_hf(model, target, safe_serialization=True, model_args=changes, data_config=config)

    def answer(pixels: torch.Tensor) -> torch.Tensor:
        return model.forward_head(model.forward_features(pixels), pre_logits=True)

    keep_answers(target, changes["img_size"], answer)


def shake(model: torch.nn.Module, size: float = 0.1) -> torch.nn.Module:
    """Give every number others: fresh biases, class tokens and means are 0, norms are 1."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * size)
        for name, buffer in model.named_buffers():  # of BatchNorm
            if name.endswith("running_mean"):
                buffer.add_(torch.randn_like(buffer) * size)
            elif name.endswith("running_var"):
                buffer.mul_(1 + torch.rand_like(buffer))
    return model


def keep_answers(
    target: Path, size_px: int, answer: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Write pixels and the features that a network makes of them."""
    pixels = torch.randn(3, 3, size_px, size_px)
    with torch.no_grad():
        features = answer(pixels)
    images = pixels.permute(0, 2, 3, 1).numpy()
    np.savez(target / "answers.npz", images=images, features=features.numpy())


def class_token(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return the first token of the last layer."""
    return model(pixel_values=pixels).last_hidden_state[:, 0]


def class_tokens(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return the mean of class and distillation token."""
    return model.deit(pixel_values=pixels).last_hidden_state[:, :2].mean(dim=1)


def pooled(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return what the tower pools by itself."""
    return model(pixel_values=pixels).pooler_output


def tower(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return what the vision tower of a model of two towers pools."""
    return model.vision_model(pixel_values=pixels).pooler_output


def patches(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return the patches of the last layer, without the five tokens before them, as a map."""
    found = model(pixel_values=pixels).last_hidden_state[:, 5:]
    side = round(found.shape[1] ** 0.5)
    return found.reshape(len(found), side, side, -1)


def places(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return all tokens of the last layer as a map."""
    found = model(pixel_values=pixels).last_hidden_state
    side = round(found.shape[1] ** 0.5)
    return found.reshape(len(found), side, side, -1)


Made = tuple[Any, Callable[[Any, torch.Tensor], torch.Tensor]]
T = transformers
TRANSFORMERS: dict[str, Callable[[], Made]] = {
    "vit": lambda: (T.ViTModel(T.ViTConfig(**CONFIG)), class_token),
    "vit-classifier": lambda: (
        T.ViTForImageClassification(T.ViTConfig(**CONFIG)),
        lambda model, pixels: class_token(model.vit, pixels),
    ),
    "deit": lambda: (
        T.DeiTForImageClassificationWithTeacher(T.DeiTConfig(**CONFIG)),
        class_tokens,
    ),
    "dinov2": lambda: (T.Dinov2Model(T.Dinov2Config(**CONFIG)), class_token),
    "dinov2-registers": lambda: (
        T.Dinov2WithRegistersModel(T.Dinov2WithRegistersConfig(**CONFIG)),
        class_token,
    ),
    "dinov2-giant": lambda: (
        T.Dinov2WithRegistersModel(T.Dinov2WithRegistersConfig(**CONFIG, use_swiglu_ffn=True)),
        class_token,
    ),
    "dinov3": lambda: (
        T.DINOv3ViTModel(T.DINOv3ViTConfig(**CONFIG, num_register_tokens=4)),
        patches,
    ),
    "swin": lambda: (
        T.SwinModel(
            T.SwinConfig(
                image_size=SIZE_PX, embed_dim=16, depths=[2, 1], num_heads=[2, 2], window_size=4
            )
        ),
        places,
    ),
    "clip": lambda: (
        T.CLIPModel(T.CLIPConfig(vision_config=CONFIG, text_config=TEXT, projection_dim=16)),
        tower,
    ),
    "clip-tower": lambda: (T.CLIPVisionModel(T.CLIPVisionConfig(**CONFIG)), pooled),
    "metaclip2": lambda: (
        T.MetaClip2Model(
            T.MetaClip2Config(vision_config=CONFIG, text_config=TEXT, projection_dim=16)
        ),
        tower,
    ),
    "siglip": lambda: (
        T.SiglipModel(T.SiglipConfig(vision_config=CONFIG, text_config=TEXT)),
        tower,
    ),
    "siglip-tower": lambda: (T.SiglipVisionModel(T.SiglipVisionConfig(**CONFIG)), pooled),
}


if __name__ == "__main__":
    main()
