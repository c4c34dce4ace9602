"""Tiny vision transformers: random tensors, their checkpoints, and what NumPy says they answer.

The arithmetic here is written from the papers, without Keras or PyTorch; that it is theirs as well
is shown against timm and transformers by benchmarks/networks.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import erf, expit, softmax

WIDTH, HEADS, HIDDEN, DEPTH, PATCH_PX = 16, 4, 24, 2, 8
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


@dataclass(frozen=True)
class Kind:
    """What makes one kind of transformer."""

    architecture: str  # in timm
    class_token: bool = True
    registers: int = 0
    placed: bool = True  # the class token has a position
    layer_scale: bool = False
    norm_pre: bool = False
    pool: str = "token"
    activation: str = "gelu"
    epsilon: float = 1e-6


AUGREG = Kind("vit_base_patch16_224")
DINOV2 = Kind("vit_base_patch14_reg4_dinov2", registers=4, placed=False, layer_scale=True)
CLIP = Kind(
    "vit_base_patch16_clip_quickgelu_224", norm_pre=True, activation="quick_gelu", epsilon=1e-5
)
SIGLIP = Kind("vit_base_patch16_siglip_224", class_token=False, pool="map")


def create_tensors(kind: Kind, size_px: int = 32, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random tensors under timm's names."""
    random = np.random.default_rng(seed)

    def take(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    def linear(name: str, out: int, into: int) -> dict[str, np.ndarray]:
        return {f"{name}.weight": take(out, into), f"{name}.bias": take(out)}

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": 1 + take(WIDTH), f"{name}.bias": take(WIDTH)}

    places = (size_px // PATCH_PX) ** 2
    found = {"patch_embed.proj.weight": take(WIDTH, 3, PATCH_PX, PATCH_PX) / 8}
    if kind.norm_pre:
        found |= norm("norm_pre")
    else:
        found["patch_embed.proj.bias"] = take(WIDTH)
    if kind.class_token:
        found["cls_token"] = take(1, 1, WIDTH)
    if kind.registers:
        found["reg_token"] = take(1, kind.registers, WIDTH)
    found["pos_embed"] = take(1, places + (kind.class_token and kind.placed), WIDTH)
    for block in (f"blocks.{number}" for number in range(DEPTH)):
        found |= norm(f"{block}.norm1") | norm(f"{block}.norm2")
        found |= linear(f"{block}.attn.qkv", 3 * WIDTH, WIDTH)
        found |= linear(f"{block}.attn.proj", WIDTH, WIDTH)
        found |= linear(f"{block}.mlp.fc1", HIDDEN, WIDTH)
        found |= linear(f"{block}.mlp.fc2", WIDTH, HIDDEN)
        if kind.layer_scale:
            found |= {f"{block}.ls1.gamma": take(WIDTH), f"{block}.ls2.gamma": take(WIDTH)}
    found |= norm("norm") | linear("head", 5, WIDTH)
    if kind.pool == "map":
        found["attn_pool.latent"] = take(1, 1, WIDTH)
        found |= linear("attn_pool.q", WIDTH, WIDTH) | linear("attn_pool.kv", 2 * WIDTH, WIDTH)
        found |= linear("attn_pool.proj", WIDTH, WIDTH) | norm("attn_pool.norm")
        found |= linear("attn_pool.mlp.fc1", HIDDEN, WIDTH)
        found |= linear("attn_pool.mlp.fc2", WIDTH, HIDDEN)
    return found


def write_timm(folder: Path, kind: Kind, size_px: int = 32, **tensors: Any) -> dict[str, Any]:
    """Write a checkpoint as timm publishes its own; return its tensors."""
    from safetensors.numpy import save_file

    found = create_tensors(kind, size_px) | tensors
    folder.mkdir(parents=True)
    given = {"input_size": [3, size_px, size_px], "mean": MEAN, "std": STD}
    config = {"architecture": kind.architecture, "model_args": {"num_heads": HEADS}}
    (folder / "config.json").write_text(json.dumps(config | {"pretrained_cfg": given}))
    save_file(
        {name: np.ascontiguousarray(t) for name, t in found.items()}, folder / "model.safetensors"
    )
    return found


def answer(kind: Kind, t: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Return the features (images, WIDTH) of images (images, side, side, 3), already scaled."""
    count, side = len(images), images.shape[1] // PATCH_PX
    cut = images.reshape(count, side, PATCH_PX, side, PATCH_PX, 3)
    x = np.einsum("nhpwqc,dcpq->nhwd", cut, t["patch_embed.proj.weight"])
    x = x.reshape(count, side * side, WIDTH) + t.get("patch_embed.proj.bias", 0)
    before = [np.repeat(t[name], count, 0) for name in ("cls_token", "reg_token") if name in t]
    if kind.placed:
        x = np.concatenate([*before, x], 1) + t["pos_embed"]
    else:
        x = np.concatenate([*before, x + t["pos_embed"]], 1)
    if kind.norm_pre:
        x = _norm(x, t, "norm_pre", kind)
    for block in (f"blocks.{number}" for number in range(DEPTH)):
        qkv = _linear(_norm(x, t, f"{block}.norm1", kind), t, f"{block}.attn.qkv")
        attended = _linear(_attend(*np.split(qkv, 3, 2)), t, f"{block}.attn.proj")
        x = x + attended * t.get(f"{block}.ls1.gamma", 1)
        x = x + _mix(_norm(x, t, f"{block}.norm2", kind), t, f"{block}.mlp", kind) * t.get(
            f"{block}.ls2.gamma", 1
        )
    x = _norm(x, t, "norm", kind)
    if kind.pool == "token":
        return x[:, 0]
    asked = _linear(np.repeat(t["attn_pool.latent"], count, 0), t, "attn_pool.q")
    found = _linear(
        _attend(asked, *np.split(_linear(x, t, "attn_pool.kv"), 2, 2)), t, "attn_pool.proj"
    )
    found = found + _mix(_norm(found, t, "attn_pool.norm", kind), t, "attn_pool.mlp", kind)
    return found[:, 0]


def _linear(x: np.ndarray, t: dict[str, np.ndarray], name: str) -> np.ndarray:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def _norm(x: np.ndarray, t: dict[str, np.ndarray], name: str, kind: Kind) -> np.ndarray:
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + kind.epsilon)
    return scaled * t[f"{name}.weight"] + t[f"{name}.bias"]


def _attend(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    q, k, v = (one.reshape(*one.shape[:2], HEADS, -1) for one in (query, key, value))
    scores = np.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(q.shape[-1])
    return np.einsum("nhqk,nkhd->nqhd", softmax(scores, -1), v).reshape(query.shape)


def _mix(x: np.ndarray, t: dict[str, np.ndarray], name: str, kind: Kind) -> np.ndarray:
    x = _linear(x, t, f"{name}.fc1")
    x = x * expit(1.702 * x) if kind.activation == "quick_gelu" else x * (1 + erf(x / 2**0.5)) / 2
    return _linear(x, t, f"{name}.fc2")
