"""How KerasHub names the variables of plain vision transformers, and we them."""

from __future__ import annotations

from collections.abc import Mapping

from components.train.networks.published.vit_weights import Rules
from components.train.networks.vit import QKV

_ATTENTION = (
    (r"attention_output/kernel", "proj.weight"),
    (r"attention_output/bias", "proj.bias"),
    *(
        (f"{part}/{kind}", f"{part}.{ours}")
        for part in QKV
        for kind, ours in (("kernel", "weight"), ("bias", "bias"))
    ),
)
_DENSE = (("kernel|gamma", "weight"), ("bias|beta", "bias"))


def _each(start: str, ours: str, ends: tuple[tuple[str, str], ...]) -> Rules:
    return tuple((f"(?:{start})/(?:{end})$", f"{ours}.{one}") for end, one in ends)


def _blocks(start: str, attention: str, parts: Mapping[str, str]) -> Rules:
    """Return the rules of blocks: their attention, then norms, scales and dense layers."""
    rules = _each(f"{start}/{attention}", r"blocks.\1.attn", _ATTENTION)
    for theirs, ours in parts.items():
        rules += _each(f"{start}/{theirs}", rf"blocks.\1.{ours}", _DENSE)
    return rules


def _patches(start: str, patches: str, last: str) -> Rules:
    """Return the rules of what lies before the blocks and behind them."""
    return (
        *_each(rf"{start}/{patches}", "embedding.patch", _DENSE),
        (rf"{start}/(?:class_token|cls_token|class_embedding)$", "class_token"),
        (rf"{start}/distillation_token$", "distillation_token"),
        (rf"{start}/register_tokens$", "registers"),
        (rf"{start}/position_embeddings?(?:/embeddings)?$", "position"),
        *_each(last, "blocks.last.norm", _DENSE),
    )


_NORMS = {"ln_1": "norm1", "ln_2": "norm2"}
_FEED = {"mlp/dense_1": "mlp.fc1", "mlp/dense_2": "mlp.fc2"}
# From paths of variables, without their kind's prefix, to ours.
RULES: dict[str, Rules] = {
    "ViTBackbone": _patches("vit_patching_and_embedding", "patch_embedding", "vit_encoder/ln")
    + _blocks(r"vit_encoder/transformer_block_(\d+)", "mha", _NORMS | _FEED),
    "DeiTBackbone": _patches("deit_patching_and_embedding", "patch_embedding", "deit_encoder/ln")
    + _blocks(
        r"deit_encoder/transformer_block_(\d+)",
        "mha",
        _NORMS | {"mlp/dense": "mlp.fc1", "output_layer/output": "mlp.fc2"},
    ),
    "DINOV2Backbone": _patches(r".*embeddings", "patch_embeddings/projection", ".*layernorm")
    + _blocks(
        r".*encoder/layers_(\d+)",
        "attention/attention",
        {
            **{name: name for name in ("norm1", "norm2")},
            **{f"mlp/{name}": f"mlp.{name}" for name in ("fc1", "fc2")},
            "mlp/weights_in": "mlp.fc1",
            "mlp/weights_out": "mlp.fc2",
        },
    )
    + ((r".*encoder/layers_(\d+)/layer_scale(\d)/lambda1$", r"blocks.\1.ls\2.weight"),),
    "SigLIPVisionEncoder": _patches(
        r".*_embedding", "patch_embedding", ".*_post_layer_norm"
    )
    + _blocks(
        r".*encoder_block_(\d+)",
        "self_attn",
        {"layer_norm1": "norm1", "layer_norm2": "norm2"}
        | {f"mlp/{name}": f"mlp.{name}" for name in ("fc1", "fc2")},
    )
    + _each(".*head/attention", "pool", _ATTENTION)
    + _each(".*head/layernorm", "pool.norm", _DENSE)
    + _each(".*head/mlp/fc1", "pool.mlp.fc1", _DENSE)
    + _each(".*head/mlp/fc2", "pool.mlp.fc2", _DENSE)
    + ((r".*head/(?:variable(?:_\d+)?|probe)$", "pool.token.weight"),),
    "CLIPVisionEncoder": _each(".*pre_layer_norm", "embedding.norm_pre", _DENSE)
    + _patches(r".*embedding", "patch_embedding", r".*encoder_layer_norm|vision_post_layer_norm")
    + _blocks(
        r".*encoder_block_(\d+)",
        "attention",
        {"layer_norm_1": "norm1", "layer_norm_2": "norm2"}
        | {f"dense_{number}": f"mlp.fc{number}" for number in (1, 2)},
    ),
}  # fmt: skip
RULES["MetaCLIP2VisionEncoder"] = RULES["CLIPVisionEncoder"]
