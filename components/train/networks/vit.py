"""The vision transformer (Dosovitskiy et al. 2021) and its kin, of plain Keras layers.

One network for AugReg, DeiT, DINOv2 with and without registers, CLIP, MetaCLIP and SigLIP: they
differ in tokens beside the patches, norms and pooling. No layer is ours, so a saved model loads
with Keras alone. Layers are named as timm names their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from components.common.artifacts.model import PLACES, PREFIX
from components.common.backend import keras

EMBEDDING, POOL = "embedding", "pool"  # beginnings of the names of layers, beside `blocks.N`
QKV = ("query", "key", "value")


@dataclass(frozen=True)
class Vit:
    """What a vision transformer is made of."""

    size_px: int  # side of the images of pretraining
    patch_px: int
    width: int
    depth: int
    heads: int
    hidden: int  # width inside the two dense layers of a block
    activation: Literal["gelu", "gelu_tanh", "quick_gelu"] = "gelu"
    gated: bool = False  # SwiGLU instead: half of `hidden` gates the other
    tokens: int = 1  # learnt tokens before the patches: class token, distillation token, registers
    placed: int = 1  # of these, how many the position embedding covers as well
    norm_first: bool = False  # one before the blocks, as CLIP has
    layer_scale: bool = False
    epsilon: float = 1e-6  # of layer normalisation
    pool: Literal["token", "mean", "attention"] = "token"  # from tokens to features
    classes: int = 1  # class tokens, the first, of which the pool `token` takes the mean
    norm_last: bool = False  # the last norm is of the mean, not of the tokens
    antialias: bool = True  # when positions are resized

    @property
    def side(self) -> int:
        """Patches on a side, in pretraining."""
        return self.size_px // self.patch_px


def create_vit(vit: Vit, size_px: int, name: str) -> keras.Model:
    """Return a transformer: (size_px, size_px, 3) → features (width,).

    Before its last block the patches pass as a map of places, PLACES: (side, side, width), and the
    other tokens beside it, PREFIX. What explains answers cuts there.
    """
    layers = keras.layers
    side = size_px // vit.patch_px
    pixels = keras.Input((size_px, size_px, 3))
    x = layers.Conv2D(vit.width, vit.patch_px, vit.patch_px, name="embedding.patch")(pixels)
    x = layers.Reshape((side * side, vit.width), name="embedding.patches")(x)
    x = _embed(x, vit, side)
    if vit.norm_first:
        x = _normalise(x, vit, "embedding.norm_pre")
    for number in range(vit.depth):
        if number == vit.depth - 1:
            x = _show_places(x, vit, side)
        x = _block(x, vit, f"blocks.{number}")
    return keras.Model(pixels, _pool(x, vit), name=name)


def count_mega_macs(vit: Vit, size_px: int) -> int:
    """Return million multiply-adds of a transformer for one image."""
    patches = (size_px // vit.patch_px) ** 2
    tokens, width = patches + vit.tokens, vit.width
    inner = vit.hidden // 2 if vit.gated else vit.hidden
    block = tokens * (4 * width**2 + width * (vit.hidden + inner)) + 2 * tokens**2 * width
    return round((patches * 3 * vit.patch_px**2 * width + vit.depth * block) / 1e6)


def fold_tokens(tokens: np.ndarray, positions: np.ndarray, vit: Vit) -> np.ndarray:
    """Return what stands before the patches: tokens (n, width) with the positions they have."""
    folded = tokens.copy()  # what depends on no image can be added once and for all
    folded[: vit.placed] += positions[: vit.placed]
    return folded


def resize_positions(positions: np.ndarray, side: int, antialias: bool = True) -> np.ndarray:
    """Return position embeddings (n * n, width) of other images: (side * side, width).

    Bicubic, with antialiasing as timm does it, or without as transformers mostly does.
    """
    old = round(len(positions) ** 0.5)
    if old == side:
        return positions
    grid = positions.reshape(old, old, -1)
    if antialias:
        resized = keras.ops.image.resize(grid[None], (side, side), "bicubic", antialias=True)
    else:
        weights = _weigh_neighbours(old, side)
        resized = np.einsum("ab,cd,bdw->acw", weights, weights, grid)
    return np.asarray(resized, np.float32).reshape(side * side, -1)


def _weigh_neighbours(old: int, new: int) -> np.ndarray:
    """Return the weights (new, old) of bicubic interpolation without antialiasing.

    Keys 1981 with a = -0.75, which PyTorch has there; Keras would take -0.5.
    """
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres).astype(int)
    weights = np.zeros((new, old))
    a = -0.75
    for step in range(-1, 3):
        far = np.abs(centres - first - step)
        near = ((a + 2) * far - (a + 3)) * far**2 + 1
        wide = ((far - 5) * far + 8) * far * a - 4 * a
        place = np.clip(first + step, 0, old - 1)
        np.add.at(weights, (np.arange(new), place), np.where(far <= 1, near, wide))
    return weights


def _embed(x: Any, vit: Vit, side: int) -> Any:
    """Add the positions, and put the learnt tokens before the patches."""
    layers = keras.layers
    # A constant 1, made of the input, since a layer of Keras's own learns only kernels of inputs.
    one = keras.ops.ones_like(x[:, 0, :1])  # (1,)
    shape = (side * side, vit.width)
    x = x + layers.EinsumDense("ba,acd->bcd", shape, name="embedding.position")(one)
    if not vit.tokens:
        return x
    shape = (vit.tokens, vit.width)
    tokens = layers.EinsumDense("ba,acd->bcd", shape, name="embedding.token")(one)
    return layers.Concatenate(axis=1, name="embedding.all")([tokens, x])


def _show_places(x: Any, vit: Vit, side: int) -> Any:
    """Pass the patches on as a map of places; what comes in goes out."""
    layers = keras.layers
    if not vit.tokens:
        places = layers.Reshape((side, side, vit.width), name=PLACES)(x)
        return layers.Reshape((side * side, vit.width), name="places_back")(places)
    prefix = layers.Cropping1D((0, side * side), name=PREFIX)(x)
    patches = layers.Cropping1D((vit.tokens, 0), name="places_alone")(x)
    places = layers.Reshape((side, side, vit.width), name=PLACES)(patches)
    back = layers.Reshape((side * side, vit.width), name="places_back")(places)
    return layers.Concatenate(axis=1, name="places_all")([prefix, back])


def _block(x: Any, vit: Vit, name: str) -> Any:
    attended = _attend(_normalise(x, vit, f"{name}.norm1"), vit, f"{name}.attn")
    x = x + _scale(attended, vit, f"{name}.ls1")
    made = _mix(_normalise(x, vit, f"{name}.norm2"), vit, f"{name}.mlp")
    return x + _scale(made, vit, f"{name}.ls2")


def _attend(x: Any, vit: Vit, name: str, asking: Any = None) -> Any:
    """Attention of all tokens to all, or of `asking` to all."""
    shape = (-1, vit.heads, vit.width // vit.heads)  # (tokens, heads, width of a head)
    parts = []
    for part in QKV:
        given = x if asking is None or part != "query" else asking
        dense = keras.layers.Dense(vit.width, name=f"{name}.{part}")(given)
        parts.append(keras.layers.Reshape(shape, name=f"{name}.{part}_heads")(dense))
    found = keras.ops.dot_product_attention(*parts)
    found = keras.layers.Reshape((-1, vit.width), name=f"{name}.joined")(found)
    return keras.layers.Dense(vit.width, name=f"{name}.proj")(found)


def _mix(x: Any, vit: Vit, name: str) -> Any:
    """Two dense layers at every token alone."""
    hidden = keras.layers.Dense(vit.hidden, name=f"{name}.fc1")(x)
    if vit.gated:
        half = vit.hidden // 2
        hidden = keras.ops.silu(hidden[:, :, :half]) * hidden[:, :, half:]
    elif vit.activation == "quick_gelu":
        hidden = hidden * keras.ops.sigmoid(1.702 * hidden)
    elif vit.activation == "gelu_tanh":
        hidden = keras.ops.gelu(hidden, approximate=True)
    else:  # as Keras's exact one, of functions that ONNX has as well
        hidden = 0.5 * hidden * (1.0 + keras.ops.erf(hidden * 0.5**0.5))
    return keras.layers.Dense(vit.width, name=f"{name}.fc2")(hidden)


def _scale(x: Any, vit: Vit, name: str) -> Any:
    """Scale each channel, where the network has learnt by how much."""
    if not vit.layer_scale:
        return x
    # As the positions are made; a layer that scales by itself is none that LiteRT can hold.
    one = keras.ops.ones_like(x[:, 0, :1])
    return x * keras.layers.EinsumDense("ba,acd->bcd", (1, vit.width), name=name)(one)


def _normalise(x: Any, vit: Vit, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=vit.epsilon, name=name)(x)


def _pool(x: Any, vit: Vit) -> Any:
    """Return the features (width,) of the tokens."""
    last = f"blocks.{vit.depth - 1}"
    if not vit.norm_last:
        x = _normalise(x, vit, f"{last}.norm")
    if vit.pool == "token":
        return x[:, 0] if vit.classes == 1 else keras.ops.mean(x[:, : vit.classes], axis=1)
    if vit.pool == "mean":
        mean = keras.layers.GlobalAveragePooling1D(name="pool.mean")(x[:, vit.tokens :])
        return _normalise(mean, vit, f"{last}.fc_norm") if vit.norm_last else mean
    one = keras.ops.ones_like(x[:, 0, :1])
    asking = keras.layers.EinsumDense("ba,acd->bcd", (1, vit.width), name="pool.token")(one)
    found = _attend(x[:, vit.tokens :], vit, POOL, asking)  # (1, width)
    found = found + _mix(_normalise(found, vit, "pool.norm"), vit, "pool.mlp")
    return found[:, 0]
