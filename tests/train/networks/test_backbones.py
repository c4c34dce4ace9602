"""The catalogue against Keras: networks, counts, scalings, weights files."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from components.common.errors import DarkroomError
from components.train.networks.backbones import (
    CATALOGUE,
    SHIPPED,
    Backbone,
    compare_sides,
    create_body,
    find_backbone,
)

KERAS_NAMES = [name for name in CATALOGUE if name not in SHIPPED]
# Parameters with classifier and top-1 as keras.io/api/applications prints them.
PUBLISHED = {
    "Xception": (22_910_480, 0.790),
    "ResNet50": (25_636_712, 0.749),
    "ResNet101": (44_707_176, 0.764),
    "ResNet152": (60_419_944, 0.766),
    "ResNet50V2": (25_613_800, 0.760),
    "ResNet101V2": (44_675_560, 0.772),
    "ResNet152V2": (60_380_648, 0.780),
    "InceptionV3": (23_851_784, 0.779),
    "InceptionResNetV2": (55_873_736, 0.803),
    "MobileNet": (4_253_864, 0.704),
    "MobileNetV2": (3_538_984, 0.713),
    "DenseNet121": (8_062_504, 0.750),
    "DenseNet169": (14_307_880, 0.762),
    "DenseNet201": (20_242_984, 0.773),
    "NASNetMobile": (5_326_716, 0.744),
    "NASNetLarge": (88_949_818, 0.825),
    "EfficientNetB0": (5_330_571, 0.771),
    "EfficientNetB7": (66_658_687, 0.843),
}
# Multiply-adds that the papers give, in millions; with classifier, hence the tolerance.
PAPERS = {
    "MobileNet": 569,
    "MobileNetV2": 300,
    "MobileNetV3Large": 217,
    "EfficientNetB0": 390,
    "EfficientNetB7": 37_000,
    "ConvNeXtTiny": 4_500,
    "ConvNeXtXLarge": 60_900,
    "NASNetLarge": 23_800,
    "ResNet50": 3_800,
}
# Of the weights: keras.io/applications of Keras 2.3, the LICENSE of google/automl, timm's cards of
# what tensorflow/tpu and tensorflow/models published, the README of facebookresearch/ConvNeXt.
LICENCES = {
    "Xception": "MIT",
    "VGG16": "CC-BY-4.0",
    "VGG19": "CC-BY-4.0",
    "ResNet50": "MIT",
    "ResNet152": "MIT",
    "ResNet50V2": "BSD-3-Clause",
    "ResNet152V2": "BSD-3-Clause",
    "InceptionV3": "Apache-2.0",
    "InceptionResNetV2": "Apache-2.0",
    "MobileNet": "Apache-2.0",
    "MobileNetV2": "Apache-2.0",
    "MobileNetV3Small": "Apache-2.0",
    "DenseNet121": "BSD-3-Clause",
    "NASNetLarge": "Apache-2.0",
    "EfficientNetB0": "Apache-2.0",
    "EfficientNetV2S": "Apache-2.0",
    "EfficientNetLite0": "Apache-2.0",
    "ConvNeXtXLarge": "MIT",
}


@cache
def create_without_memory(backbone: Backbone) -> Any:
    """Build a network whose weights are never allocated: 348 M parameters in 0.2 s."""
    from keras.src.backend.common.stateless_scope import StatelessScope

    from components.common.backend import keras
    from components.train.networks.lite import create_lite

    size_px = backbone.size_px
    with StatelessScope(initialize_variables=False):
        if backbone.name in SHIPPED:
            return create_lite(backbone.name, size_px)
        return getattr(keras.applications, backbone.name)(
            include_top=False, weights=None, input_shape=(size_px, size_px, 3)
        )


def count_multiply_adds(network: Any) -> int:
    """Count them layer by layer: places of the output × numbers of the kernel."""
    from components.common.backend import keras

    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            total += count_multiply_adds(layer)
        elif isinstance(layer, keras.layers.SeparableConv2D):
            places = math.prod(layer.output.shape[1:3])
            total += places * math.prod(layer.depthwise_kernel.shape)
            total += places * math.prod(layer.pointwise_kernel.shape)
        elif hasattr(layer, "kernel"):  # Conv2D, DepthwiseConv2D, Dense
            total += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return total


def test_every_classifier_of_keras_is_in_the_catalogue() -> None:
    from components.common.backend import keras

    there = {name for name in dir(keras.applications) if name[0].isupper()}
    there.discard("Tiny")  # of tests/train/tiny_run.py, where that ran in this process
    assert there == set(KERAS_NAMES)


@pytest.mark.parametrize("name", sorted({*KERAS_NAMES, *SHIPPED}))
def test_counts_are_those_of_the_network_that_is_built(name: str) -> None:
    backbone = CATALOGUE[name]
    network = create_without_memory(backbone)
    assert backbone.parameters == sum(math.prod(v.shape) for v in network.weights)
    assert backbone.mega_macs == round(count_multiply_adds(network) / 1e6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_figures_are_those_that_keras_publishes(name: str) -> None:
    backbone = CATALOGUE[name]
    parameters, top1 = PUBLISHED[name]
    channels = create_without_memory(backbone).output_shape[-1]
    assert backbone.parameters + (channels + 1) * 1000 == parameters  # dense layer of 1,000 classes
    assert backbone.top1 == top1


def test_licences_are_those_of_the_publishers() -> None:
    assert {name: CATALOGUE[name].licence for name in LICENCES} == LICENCES
    own = (CATALOGUE[name].licence for name in (*KERAS_NAMES, *SHIPPED))
    assert set(own) == set(LICENCES.values())


@pytest.mark.parametrize("name", PAPERS)
def test_multiply_adds_are_those_of_the_papers(name: str) -> None:
    assert CATALOGUE[name].mega_macs == pytest.approx(PAPERS[name], rel=0.03)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "MobileNetV2", "VGG16", "InceptionV3"])
def test_networks_give_features(name: str) -> None:
    backbone = CATALOGUE[name]
    size = backbone.min_size_px
    body = create_body(backbone, "none", size)
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    maps = np.asarray(body(pixels, training=False))
    assert maps.ndim == 4
    assert np.isfinite(maps).all()
    assert (maps.min() >= 0) == backbone.rectified


@pytest.mark.parametrize(
    ("name", "weights", "share"),
    [
        ("EfficientNetLite0", "imagenet", 96 / 224),
        ("EfficientNetB2", "imagenet", 96 / 260),
        ("EfficientNetLite0", "none", 1),
        ("EfficientNetLite0", "models/model.keras", 1),  # of images that nobody knows the side of
    ],
)
def test_published_weights_know_images_of_one_side(name: str, weights: str, share: float) -> None:
    assert compare_sides(name, weights, 96) == pytest.approx(share)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(DarkroomError, match="InceptionV3 needs images of 75 px or more, got 74"):
        create_body(CATALOGUE["InceptionV3"], "none", 74)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ResNet-50", "ResNet50"),
        ("efficientnetb0", "EfficientNetB0"),
        ("VGG", "VGG1"),
        ("RESNET50", "ResNet50"),
    ],
)
def test_an_unknown_name_is_refused_with_a_near_one(name: str, near: str) -> None:
    with pytest.raises(DarkroomError, match=f"no backbone '{name}'; did you mean `{near}") as error:
        find_backbone(name)
    assert "--list-backbones" in str(error.value)


def save_weights(name: str, file: Path) -> Any:
    """Save random weights of a network in the format that the suffix asks for."""
    from keras.src.legacy.saving import legacy_h5_format

    from components.common.backend import keras

    network = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    if file.name.endswith(".weights.h5"):
        network.save_weights(file)
    else:  # the format of the files that Keras publishes
        with h5py.File(file, "w") as stream:
            legacy_h5_format.save_weights_to_hdf5_group(stream, network)
    return network


@pytest.mark.parametrize("suffix", [".weights.h5", "_notop.h5"])
def test_a_weights_file_comes_back_whole(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"small{suffix}"
    network = save_weights("MobileNetV3Small", file)
    body = create_body(CATALOGUE["MobileNetV3Small"], str(file), 64)
    for ours, theirs in zip(body.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("suffix", [".weights.h5", "_notop.h5"])
@pytest.mark.parametrize(
    # One that is cut short, one that goes on longer, one with other widths, the default.
    ("theirs", "ours"),
    [
        ("VGG16", "VGG19"),
        ("VGG19", "VGG16"),
        ("MobileNetV3Small", "MobileNetV2"),
        ("MobileNetV2", "EfficientNetLite0"),
    ],
)
def test_weights_of_another_network_are_refused(
    suffix: str, theirs: str, ours: str, tmp_path: Path
) -> None:
    file = tmp_path / f"other{suffix}"
    save_weights(theirs, file)
    with pytest.raises(DarkroomError, match=f"not the weights of {ours} without classifier"):
        create_body(CATALOGUE[ours], str(file), 32)


def test_weights_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    backbone = CATALOGUE["MobileNetV3Small"]
    with pytest.raises(DarkroomError, match=r"no file there\.h5; legal are imagenet, none, the"):
        create_body(backbone, "there.h5", 32)
    (tmp_path / "torn.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(DarkroomError, match=r"torn\.weights\.h5: not the weights of"):
        create_body(backbone, str(tmp_path / "torn.weights.h5"), 32)
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(DarkroomError, match="not a Keras weights file"):
        create_body(backbone, str(tmp_path / "weights.pt"), 32)


@pytest.mark.slow
def test_nothing_is_downloaded_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras.src.backend import config

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):  # nothing listens there
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    backbone = CATALOGUE["MobileNetV2"]
    with pytest.raises(DarkroomError, match="are not on this machine") as error:
        create_body(backbone, "imagenet", 224)
    assert "components.train weights fetch MobileNetV2` brings them" in str(error.value)
    assert "choose EfficientNetLite2, whose weights are installed" in str(error.value)
    assert capsys.readouterr().out == ""
    with pytest.raises(DarkroomError, match="cannot download the ImageNet weights of MobileNetV2"):
        create_body(backbone, "imagenet", 224, download=True)
    # What Keras has in its cache needs no network.
    cached = tmp_path / "models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    cached.parent.mkdir(exist_ok=True)
    made = save_weights("MobileNetV2", cached)
    found = create_body(backbone, "imagenet", 224)
    for ours, theirs in zip(found.get_weights(), made.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_the_list_answers_at_once() -> None:
    code = (
        "import sys; from components.common.cli import run_room; "
        "run_room('train', ['--list-backbones']); "
        "heavy = {'keras', 'tensorflow'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = {
        line.split()[0]: line.split() for line in done.stdout.splitlines() if line[:1].isalpha()
    }
    assert {*KERAS_NAMES, *SHIPPED} <= set(rows)
    figures = ["23.6", "M", "94", "MB", "224", "px", "3.86", "G", "74.9%"]
    assert rows["ResNet50"][1:] == [*figures, "MIT", "fetch"]
    assert rows["ResNet50V2"][-2:] == ["BSD-3-Clause", "fetch"]
    assert rows["EfficientNetLite0"][-2:] == ["Apache-2.0", "installed"]
