"""Put the tensors of a published vision transformer into ours, under whatever names they come.

Every tensor of the file must find its place, and every weight its tensor: what is left over or
missing means another architecture, and is refused rather than loaded in part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from components.common.backend import keras
from components.common.errors import DarkroomError
from components.train.networks.vit import QKV, Vit, fold_tokens, resize_positions

TOKENS = ("class_token", "distillation_token", "registers")  # in their order before the patches
# From names of tensors to those of layers. Each line is tried from the beginning of a name.
Rules = tuple[tuple[str, str], ...]
TIMM: Rules = (
    (r"patch_embed\.proj\.", "embedding.patch."),
    (r"cls_token$", "class_token"),
    (r"dist_token$", "distillation_token"),
    (r"reg_token$", "registers"),
    (r"pos_embed$", "position"),
    (r"norm_pre\.", "embedding.norm_pre."),
    (r"blocks\.(\d+)\.ls(\d)\.gamma$", r"blocks.\1.ls\2.weight"),
    (r"blocks\.", "blocks."),
    (r"(fc_norm|norm)\.", r"blocks.last.\1."),
    (r"attn_pool\.latent$", "pool.token.weight"),
    (r"attn_pool\.q\.", "pool.query."),
    (r"attn_pool\.", "pool."),
)


def _encoder(layers: str, parts: dict[str, str]) -> Rules:
    """Return the rules of blocks, whose parts are named as in the dictionary: theirs → ours."""
    return tuple(
        (rf"encoder\.{layers}\.(\d+)\.{theirs}\.", rf"blocks.\1.{ours}.")
        for theirs, ours in parts.items()
    )


# Of ViT, DeiT, DINOv2 in transformers …
TRANSFORMERS: Rules = (
    (r"embeddings\.patch_embeddings\.projection\.", "embedding.patch."),
    (r"embeddings\.cls_token$", "class_token"),
    (r"embeddings\.distillation_token$", "distillation_token"),
    (r"embeddings\.register_tokens$", "registers"),
    (r"embeddings\.position_embeddings$", "position"),
    (r"encoder\.layer\.(\d+)\.layer_scale(\d)\.lambda1$", r"blocks.\1.ls\2.weight"),
    *_encoder(
        "layer",
        {
            r"attention\.attention\.(\w+)": r"attn.\2",
            r"attention\.output\.dense": "attn.proj",
            "(?:layernorm_before|norm1)": "norm1",
            "(?:layernorm_after|norm2)": "norm2",
            r"(?:intermediate\.dense|mlp\.fc1|mlp\.weights_in)": "mlp.fc1",
            r"(?:output\.dense|mlp\.fc2|mlp\.weights_out)": "mlp.fc2",
        },
    ),
    (r"layernorm\.", "blocks.last.norm."),
)
# … and of the towers of CLIP, MetaCLIP 2 and SigLIP.
TOWERS: Rules = (
    (r"embeddings\.patch_embedding\.", "embedding.patch."),
    (r"embeddings\.class_embedding$", "class_token"),
    (r"embeddings\.position_embedding\.weight$", "position"),
    (r"pre_layrnorm\.", "embedding.norm_pre."),
    *_encoder(
        "layers",
        {
            r"self_attn\.q_proj": "attn.query",
            r"self_attn\.k_proj": "attn.key",
            r"self_attn\.v_proj": "attn.value",
            r"self_attn\.out_proj": "attn.proj",
            r"layer_norm(\d)": r"norm\2",
            r"mlp\.(fc\d)": r"mlp.\2",
        },
    ),
    (r"post_layernorm\.", "blocks.last.norm."),
    (r"head\.probe$", "pool.token.weight"),
    (r"head\.attention\.in_proj_", "pool.qkv."),
    (r"head\.attention\.out_proj\.", "pool.proj."),
    (r"head\.layernorm\.", "pool.norm."),
    (r"head\.mlp\.", "pool.mlp."),
)
# What belongs to pretraining and not to the features.
LEFT = re.compile(
    r"(head|head_dist|classifier|cls_classifier|distillation_classifier|pooler|visual_projection)\."
    r"|(embeddings\.)?mask_token$|embeddings\.position_ids$"
)
# How fused kernels are cut, along their outputs.
FUSED = {"qkv": QKV, "kv": ("key", "value")}


def rename(names: Iterable[str], rules: Rules, prefix: str) -> dict[str, str]:
    """Return names of tensors → names of ours; those of other towers and of heads are left out.

    Args:
        names: in the file.
        rules: for what follows the prefix.
        prefix: of the wanted tower's names, such as `vision_model.`.

    Raises:
        DarkroomError: if a name of the tower is none that the rules know.
    """
    found, unknown = {}, []
    for name in names:
        if not name.startswith(prefix):
            continue
        own = name.removeprefix(prefix)
        ours = next((re.sub("^" + a, b, own) for a, b in rules if re.match(a, own)), None)
        if ours is not None:
            found[name] = ours
        elif not LEFT.match(own):
            unknown.append(name)
    if unknown:
        raise DarkroomError(
            f"train.backbone: it has {unknown[0]} and {len(unknown) - 1} more tensors that the "
            "vision transformers Darkroom knows have not: it is another architecture"
        )
    return found


def find_fault(vit: Vit, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return what of a transformer, as config and tensors describe it, cannot be; else nothing.

    What is missing or too much in one block alone, and what the tokens before the patches are, no
    later step would notice: biases count as 0 where there are none.
    """
    if vit.heads < 1 or vit.width % vit.heads:
        return f"{vit.heads} attention heads do not share out a width of {vit.width}"
    if not 0 < vit.epsilon < 1:
        return f"the small number of its norms is {vit.epsilon}"
    if not 0 <= vit.placed <= vit.tokens or (vit.pool == "token" and not vit.tokens):
        places = vit.side**2
        return (
            f"it has positions for {places + vit.placed} tokens; images of {vit.size_px} px make "
            f"{places} patches of {vit.patch_px} px, with {vit.tokens} tokens beside them"
        )
    blocks: list[set[str]] = [set() for _ in range(vit.depth)]
    for name in shapes:
        if (found := re.match(r"blocks\.(\d+)\.(.*)", name)) and int(found[1]) < vit.depth:
            blocks[int(found[1])].add(found[2])
    for number, block in enumerate(blocks):
        if block != blocks[0]:
            odd = min(block ^ blocks[0])
            with_it, without = (0, number) if odd in blocks[0] else (number, 0)
            return f"block {with_it} of {vit.depth} has {odd}, block {without} has it not"
    return ""


def load_vit_weights(model: keras.Model, vit: Vit, tensors: Mapping[str, np.ndarray]) -> None:
    """Put tensors, under our names and as PyTorch lays them out, into a model of `create_vit`.

    Raises:
        DarkroomError: if one is missing, left over or of another shape.
    """
    side = round(model.get_layer("embedding.position").kernel.shape[1] ** 0.5)
    try:
        ours = _assemble(_cut(tensors), vit, side)
    except (KeyError, ValueError) as error:
        raise DarkroomError(
            f"train.backbone: its weights are not those of {model.name}: {error}"
        ) from None
    for layer in model.layers:
        if not layer.weights:
            continue
        try:
            layer.set_weights(_take(layer, ours))
        except (KeyError, ValueError) as error:
            raise DarkroomError(
                f"train.backbone: its weights are not those of {model.name}: layer {layer.name}: "
                f"{error}"
            ) from None
    if ours:
        raise DarkroomError(
            f"train.backbone: {next(iter(ours))} and {len(ours) - 1} more tensors have no place in "
            f"{model.name}: it is another architecture"
        )


def _cut(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors with fused ones cut into theirs."""
    found = {}
    for name, tensor in tensors.items():
        head, _, kind = name.rpartition(".")
        parent, _, leaf = head.rpartition(".")
        parts = FUSED.get(leaf, ())
        for part, piece in zip(parts, np.split(tensor, len(parts)) if parts else (), strict=True):
            found[f"{parent}.{part}.{kind}"] = piece
        if not parts:
            found[name] = tensor
    return found


def _assemble(tensors: dict[str, np.ndarray], vit: Vit, side: int) -> dict[str, np.ndarray]:
    """Return tensors with learnt tokens and positions as our layers have them."""
    last = {k: k.replace(".last.", f".{vit.depth - 1}.") for k in tensors}
    ours = {last[name]: tensor for name, tensor in tensors.items()}
    positions = ours.pop("position").reshape(-1, vit.width)
    tokens = [ours.pop(name).reshape(-1, vit.width) for name in TOKENS if name in ours]
    if tokens:
        ours["embedding.token.weight"] = fold_tokens(np.concatenate(tokens), positions, vit)
    ours["embedding.position.weight"] = resize_positions(
        positions[vit.placed :], side, vit.antialias
    )
    return ours


def _take(layer: Any, tensors: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Take a layer's tensors out, in Keras's order and layout."""
    weight = np.asarray(tensors.pop(f"{layer.name}.weight"), np.float32)
    if isinstance(layer, keras.layers.EinsumDense):
        return [weight.reshape(layer.kernel.shape)]
    if isinstance(layer, keras.layers.Conv2D):
        weight = weight.transpose(2, 3, 1, 0)  # (out, in, high, wide) → (high, wide, in, out)
    elif isinstance(layer, keras.layers.Dense):
        weight = weight.T
    if isinstance(layer, keras.layers.LayerNormalization):  # one without offset is another norm
        return [weight, np.asarray(tensors.pop(f"{layer.name}.bias"), np.float32)]
    nothing = np.zeros(weight.shape[-1:], np.float32)
    return [weight, np.asarray(tensors.pop(f"{layer.name}.bias", nothing), np.float32)]
