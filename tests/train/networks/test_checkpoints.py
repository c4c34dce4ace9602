"""Checkpoints of timm and transformers from a folder, against NumPy; and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.errors import DarkroomError
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.catalogue import CATALOGUE
from components.train.networks.network import create_network
from components.train.networks.published.checkpoints import is_converted_by_hub, read_checkpoint
from components.train.networks.vit import resize_positions
from tests.train.networks.tiny_vit import (
    AUGREG,
    CLIP,
    DINOV2,
    HEADS,
    HIDDEN,
    MEAN,
    PATCH_PX,
    SIGLIP,
    STD,
    WIDTH,
    Kind,
    answer,
    create_tensors,
    write_timm,
)

IMAGES = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)


def load(folder: Path, size_px: int = 32) -> Any:
    return create_body(find_backbone(str(folder)), "imagenet", size_px)


@pytest.mark.parametrize("kind", [AUGREG, DINOV2, CLIP, SIGLIP], ids=lambda kind: kind.architecture)
def test_features_of_timm_are_those_of_numpy(kind: Kind, tmp_path: Path) -> None:
    tensors = write_timm(tmp_path / "net", kind)
    body = load(tmp_path / "net")
    assert np.asarray(body(IMAGES)) == pytest.approx(answer(kind, tensors, IMAGES), abs=1e-4)
    numbers = sum(tensor.size for name, tensor in tensors.items() if not name.startswith("head."))
    assert find_backbone(str(tmp_path / "net")).parameters == numbers


def write_siglip(folder: Path) -> dict[str, np.ndarray]:
    """Write the same tensors as transformers names and joins them, with a text tower beside."""
    from safetensors.numpy import save_file

    own = create_tensors(SIGLIP)
    found = {"text_model.embeddings.token_embedding.weight": np.zeros((5, 4), np.float32)}
    for name, tensor in own.items():
        head = re.sub(r"^blocks\.(\d)\.norm", r"encoder.layers.\1.layer_norm", name)
        head = re.sub(r"^blocks\.(\d)\.attn\.proj", r"encoder.layers.\1.self_attn.out_proj", head)
        head = re.sub(r"^blocks\.(\d)\.mlp", r"encoder.layers.\1.mlp", head)
        head = head.replace("patch_embed.proj", "embeddings.patch_embedding")
        head = re.sub("^norm", "post_layernorm", head)
        head = re.sub(r"attn_pool\.(norm)", "head.layernorm", head)
        head = re.sub(r"attn_pool\.(mlp)", r"head.\1", head)
        head = head.replace("attn_pool.proj", "head.attention.out_proj")
        if "qkv" in name:
            layer, kind = name.split(".")[1], name.split(".")[-1]
            for part, piece in zip("qkv", np.split(tensor, 3), strict=True):
                found[f"vision_model.encoder.layers.{layer}.self_attn.{part}_proj.{kind}"] = piece
        elif not re.match(r"attn_pool\.(q|kv)\.|pos_embed|head\.|attn_pool\.latent", name):
            found[f"vision_model.{head}"] = tensor
    for kind in ("weight", "bias"):
        joined = np.concatenate([own[f"attn_pool.q.{kind}"], own[f"attn_pool.kv.{kind}"]])
        found[f"vision_model.head.attention.in_proj_{kind}"] = joined
    found["vision_model.head.probe"] = own["attn_pool.latent"]
    found["vision_model.embeddings.position_embedding.weight"] = own["pos_embed"][0]
    folder.mkdir()
    save_file({k: np.ascontiguousarray(v) for k, v in found.items()}, folder / "model.safetensors")
    vision = {"num_attention_heads": HEADS, "image_size": 32, "hidden_act": "gelu"}
    (folder / "config.json").write_text(
        json.dumps({"model_type": "siglip", "vision_config": vision})
    )
    said = {"image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return own


def test_features_of_transformers_are_those_of_numpy(tmp_path: Path) -> None:
    tensors = write_siglip(tmp_path / "net")
    expected = answer(SIGLIP, tensors, IMAGES)
    assert np.asarray(load(tmp_path / "net")(IMAGES)) == pytest.approx(expected, abs=1e-4)


def test_pixels_are_scaled_as_the_publisher_says_and_the_map_is_of_patches(tmp_path: Path) -> None:
    from components.common.backend import keras
    from components.evaluate.checks.gradcam import GradCam

    tensors = write_timm(tmp_path / "net", DINOV2)
    backbone = find_backbone(str(tmp_path / "net"))
    network = create_network(backbone, load(tmp_path / "net"), ["a", "b"], size_px=32, dropout=0.0)
    pixels = np.random.default_rng(2).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    features = keras.Model(network.input, network.get_layer("features").output)(pixels)
    scaled = ((pixels / 255 - MEAN) / STD).astype(np.float32)
    assert np.asarray(features) == pytest.approx(answer(DINOV2, tensors, scaled), abs=1e-4)

    # The mean slope of a channel is what the logit gains when the channel rises everywhere.
    explained = GradCam(network)
    classes = np.array([0, 1] * 3)
    places, prefix = (np.asarray(one) for one in explained._body(pixels))
    assert places.shape == (6, 4, 4, WIDTH)
    weights = np.empty((6, WIDTH))
    for channel in range(WIDTH):
        step = np.zeros(WIDTH, np.float32)
        step[channel] = 0.02
        sides = [np.asarray(explained._head([places + s, prefix])) for s in (step, -step)]
        weights[:, channel] = (sides[0] - sides[1])[range(6), classes] / 0.04
    cam = np.maximum((weights[:, None, None] * places).sum(axis=3), 0)
    expected = cam / np.maximum(cam.max(axis=(1, 2), keepdims=True), 1e-30)
    maps = explained.compute_maps(pixels, classes)
    assert maps.max() == 1
    assert maps == pytest.approx(expected, abs=0.02)


def test_other_sizes_stretch_the_positions(tmp_path: Path) -> None:
    grid = np.linspace(-1, 1, 4)  # bicubic keeps what is linear, away from the rim
    flat = np.broadcast_to(np.add.outer(grid, 2 * grid)[..., None], (4, 4, WIDTH))
    positions = flat.reshape(1, 16, WIDTH).astype(np.float32)
    write_timm(tmp_path / "net", DINOV2, pos_embed=positions)
    found = np.asarray(load(tmp_path / "net", 64).get_layer("embedding.position").kernel)
    fine = (np.arange(8) + 0.5) / 8 * 4 - 0.5  # centres of the new patches among the old
    expected = np.add.outer(np.interp(fine, range(4), grid), 2 * np.interp(fine, range(4), grid))
    assert found.reshape(8, 8, WIDTH)[2:6, 2:6, 0] == pytest.approx(expected[2:6, 2:6], abs=0.1)
    with pytest.raises(DarkroomError, match="multiple of it, such as 48; got 44"):
        load(tmp_path / "net", 44)
    assert PATCH_PX == 8


@pytest.mark.parametrize("side", [3, 5, 9])
def test_positions_without_antialiasing_are_those_of_onnx(side: int) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra `dev`")
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra `dev`")
    helper, old, width = onnx.helper, 7, 4
    options = {"mode": "cubic", "cubic_coeff_a": -0.75}  # as PyTorch exports its own
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **options)
    sizes = helper.make_tensor("sizes", onnx.TensorProto.INT64, [4], [1, width, side, side])
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    graph = helper.make_graph([node], "resize", ends[:1], ends[1:], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    positions = np.random.default_rng(0).normal(size=(old * old, width)).astype(np.float32)
    grid = positions.reshape(1, old, old, width).transpose(0, 3, 1, 2)
    (found,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"x": grid})
    expected = found[0].transpose(1, 2, 0).reshape(side * side, width)
    assert resize_positions(positions, side, antialias=False) == pytest.approx(expected, abs=1e-5)


def test_what_is_no_such_network_is_refused(tmp_path: Path) -> None:
    extra = {f"blocks.{n}.attn.q_norm.weight": np.zeros(4, np.float32) for n in range(2)}
    write_timm(tmp_path / "extra", AUGREG, **extra)
    with pytest.raises(DarkroomError, match=r"q_norm\.weight and 1 more tensors have no place"):
        load(tmp_path / "extra")
    write_timm(tmp_path / "other", AUGREG, **{"rope.freqs": np.zeros(4, np.float32)})
    with pytest.raises(
        DarkroomError, match=r"it has rope\.freqs and 0 more .* another architecture"
    ):
        find_backbone(str(tmp_path / "other"))
    write_timm(tmp_path / "wide", AUGREG, **{"norm.weight": np.zeros(WIDTH + 1, np.float32)})
    with pytest.raises(DarkroomError, match=r"layer blocks\.1\.norm"):
        load(tmp_path / "wide")
    for folder, config, nearest in (
        ("eva", {"architecture": "eva02_base_patch14_224"}, "DINOv2"),
        ("next", {"model_type": "convnextv2"}, "ConvNeXtTiny"),
        ("max", {"model_type": "maxvit"}, "swin_base_patch4_window7_224"),
        ("res", {"model_type": "resnet"}, "ResNet152V2"),
        ("alt", {"model_type": "altclip"}, "vit_base_patch16_clip_224"),
        ("form", {"model_type": "segformer"}, "mit_b2"),
        ("bert", {"model_type": "bert"}, r"docs/training\.md.*Swin"),
    ):
        write_timm(tmp_path / folder, AUGREG)
        (tmp_path / folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(DarkroomError, match=f"none that Darkroom reads; .*{nearest}"):
            find_backbone(str(tmp_path / folder))
    assert HIDDEN > WIDTH


def write_config(folder: Path, **changes: Any) -> None:
    """Change what the configuration of a SigLIP of transformers says of its images' tower."""
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"] |= changes
    (folder / "config.json").write_text(json.dumps(config))


def test_configs_that_say_it_in_other_words_are_understood_or_told_of(tmp_path: Path) -> None:
    write_siglip(tmp_path / "net")
    write_config(tmp_path / "net", image_size=[32, 32], hidden_act="gelu_fast")
    found = find_backbone(str(tmp_path / "net"))
    assert found.size_px == 32
    for changes, told in (
        ({"image_size": [32, 48]}, r"its images are \[32, 48\] px, and not square"),
        ({"image_size": 32, "hidden_act": "relu"}, "its activation is relu; known is GELU"),
    ):
        write_config(tmp_path / "net", **changes)
        with pytest.raises(
            DarkroomError, match=rf"siglip is none that.*\({told}.*the nearest|lists"
        ):
            find_backbone(str(tmp_path / "net"))


def test_the_gelu_of_a_siglip_is_that_of_its_name(tmp_path: Path) -> None:
    # As timm 1.0.31 makes them; its configs do not say it.
    for name, activation in {
        "vit_base_patch16_siglip_512": "gelu",
        "vit_base_patch16_siglip_gap_512": "gelu",
        "vit_large_patch16_siglip_512": "gelu_tanh",
        "vit_large_patch16_siglip_384": "gelu",
        "vit_base_patch32_siglip_256": "gelu_tanh",
        "vit_so400m_patch14_siglip_384": "gelu",
        "vit_so400m_patch16_siglip_gap_384": "gelu_tanh",
        "vit_giantopt_patch16_siglip_256": "gelu_tanh",
    }.items():
        write_timm(tmp_path / name, replace(SIGLIP, architecture=name))
        assert read_checkpoint(tmp_path / name).vit.activation == activation, name


def test_of_timm_only_what_was_seen_equal_goes_to_keras_hub() -> None:
    for name in ("resnet50", "resnetv2_101", "vgg16", "efficientnet_b0", "cspresnext50"):
        assert is_converted_by_hub({"architecture": name}), name
        # As transformers keeps a network of timm, whose tensors have other names.
        assert not is_converted_by_hub({"architecture": name, "model_type": "timm_wrapper"})
    for name in ("resnet50d", "resnetv2_50x1_bit", "vgg16_bn", "efficientnet_es", "darknet17"):
        assert not is_converted_by_hub({"architecture": name}), name
    for name in ("efficientnetv2_rw_t", "mobilenetv4_conv_small", "densenet121", "hgnetv2_b0"):
        assert not is_converted_by_hub({"architecture": name}), name


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    write_timm(tmp_path / "net", AUGREG)
    (tmp_path / "net/model.safetensors").rename(tmp_path / "net/pytorch_model.bin")
    with pytest.raises(DarkroomError, match=r"pytorch_model\.bin is a pickle.*never loaded"):
        find_backbone(str(tmp_path / "net"))
    with pytest.raises(DarkroomError, match=r"no config\.json there"):
        find_backbone(str(tmp_path))
    with pytest.raises(
        DarkroomError, match=r"no folder weights/nowhere, and none was fetched .*weights fetch"
    ):
        find_backbone("weights/nowhere")
    assert "weights/nowhere" not in CATALOGUE


def test_shards_of_weights_are_read_and_may_not_lie_elsewhere(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = write_timm(tmp_path / "net", AUGREG)
    (tmp_path / "net/model.safetensors").unlink()
    parts = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(tensors)}
    for file in set(parts.values()):
        own = {name: tensors[name] for name in tensors if parts[name] == file}
        save_file(own, tmp_path / "net" / file)
    index = tmp_path / "net/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": parts}))
    expected = answer(AUGREG, tensors, IMAGES)
    assert np.asarray(load(tmp_path / "net")(IMAGES)) == pytest.approx(expected, abs=1e-4)
    index.write_text(json.dumps({"weight_map": {"norm.weight": "../part-0.safetensors"}}))
    with pytest.raises(DarkroomError, match="names files elsewhere"):
        find_backbone(str(tmp_path / "net"))
