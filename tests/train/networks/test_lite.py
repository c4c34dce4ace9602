"""The EfficientNet-Lites with the weights that installed packages ship."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression

from components.common.errors import DarkroomError
from components.train.networks.backbones import CATALOGUE, SHIPPED, create_body
from components.train.networks.files.torch_weights import read_torch_weights
from components.train.networks.lite import create_lite, find_shipped_weights, load_lite_weights
from tests.conftest import load_digits
from tests.train.networks.test_torch_weights import write_checkpoint

SIZE_PX = 64
PALACE, DAISY, HONEYCOMB = 698, 985, 599  # among the 1,000 classes of ImageNet


NAME = "EfficientNetLite0"  # where one of them tells enough


@pytest.fixture(
    scope="module",
    params=[
        NAME,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED if name != NAME),
    ],
)
def body(request: pytest.FixtureRequest) -> Any:
    return create_body(CATALOGUE[request.param], "imagenet", SIZE_PX)


def scale(pixels: np.ndarray) -> np.ndarray:
    return (pixels.astype(np.float32) - 127.0) / 128.0


def test_it_is_the_published_architecture(body: Any) -> None:
    tensors = read_torch_weights(find_shipped_weights(body.name))
    used = sum(int(np.prod(weights.shape)) for weights in body.weights)
    assert used == CATALOGUE[body.name].parameters
    # All tensors are used but the classifier and the counters of BatchNorm.
    left = {name: array.size for name, array in tensors.items() if "num_batches" not in name}
    assert sum(left.values()) - used == 1280 * 1000 + 1000
    assert body.output_shape == (None, SIZE_PX // 32, SIZE_PX // 32, 1280)


def test_every_layer_is_finite_and_alive(body: Any) -> None:
    from components.common.backend import keras

    pixels, _ = load_digits()
    digits = [
        Image.fromarray(image).convert("RGB").resize((SIZE_PX, SIZE_PX)) for image in pixels[:8]
    ]
    outputs = [layer.output for layer in body.layers[1:]]
    found = keras.Model(body.input, outputs)(scale(np.stack([np.asarray(d) for d in digits])))
    for layer, tensor in zip(body.layers[1:], found, strict=True):
        values = np.asarray(tensor)
        assert np.isfinite(values).all(), layer.name
        assert values.std() > 1e-4, layer.name
        assert np.abs(values).max() < 1e3, layer.name


@pytest.mark.parametrize(
    # The flower is a dahlia, which ImageNet lacks; its petals are cells.
    ("name", "flower"),
    zip(SHIPPED, (DAISY, DAISY, HONEYCOMB), strict=True),
)
def test_it_knows_what_is_on_photographs(name: str, flower: int) -> None:
    """The published classifier on top names photographs, so each kernel lies as it should.

    Kernels read in row order instead of by their strides, or another scaling, would not.
    """
    from scipy.special import softmax

    tensors = read_torch_weights(find_shipped_weights(name))
    network = create_body(CATALOGUE[name], "imagenet", 224)
    photographs = []
    for photograph in load_sample_images().images:  # the Summer Palace in Beijing, a flower
        image = Image.fromarray(photograph)
        side = min(image.size)
        left = (image.width - side) // 2
        square = image.crop((left, 0, left + side, side)).resize((224, 224), Image.BICUBIC)
        photographs.append(np.asarray(square))
    features = np.asarray(network(scale(np.stack(photographs)), training=False)).mean(axis=(1, 2))
    logits = features @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    probabilities = softmax(logits, axis=1)
    assert probabilities.argmax(axis=1).tolist() == [PALACE, flower]


@pytest.mark.slow
def test_its_features_beat_pixels_and_random_weights(body: Any) -> None:
    pixels, labels = load_digits()
    rows = np.random.default_rng(0).permutation(len(labels))[:300]
    images = np.stack(
        [
            np.asarray(Image.fromarray(image).convert("RGB").resize((SIZE_PX, SIZE_PX)))
            for image in pixels[rows]
        ]
    )

    def probe(network: Any) -> float:
        maps = network.predict(scale(images), batch_size=50, verbose=0)
        features = np.sqrt(maps.mean(axis=(1, 2)) + 0.01)
        head = LogisticRegression(C=1.0, max_iter=500).fit(features[:200], labels[rows][:200])
        return float(head.score(features[200:], labels[rows][200:]))

    pretrained, random = probe(body), probe(create_lite(body.name, SIZE_PX))
    assert pretrained >= 0.85
    assert pretrained >= random + 0.2


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    tensors = read_torch_weights(find_shipped_weights(NAME))
    network = create_lite(NAME, 32)
    file = tmp_path / "other.pth"
    write_checkpoint(file, {"conv.weight": np.zeros((3, 3), np.float32)})
    with pytest.raises(DarkroomError, match=r"not the weights of EfficientNetLite0: layer _conv"):
        load_lite_weights(network, file)
    wider = {n: np.ascontiguousarray(a) for n, a in tensors.items() if a.dtype == np.float32}
    wider["_conv_stem.weight"] = np.zeros((40, 3, 3, 3), np.float32)
    write_checkpoint(file, wider)
    with pytest.raises(DarkroomError, match="layer _conv_stem"):
        load_lite_weights(network, file)


@pytest.mark.parametrize(("name", "other"), itertools.permutations(SHIPPED, 2))
def test_the_checkpoint_of_another_size_is_refused(name: str, other: str) -> None:
    with pytest.raises(DarkroomError, match=f"not the weights of {name}"):
        load_lite_weights(create_lite(name, 32), find_shipped_weights(other))


def test_its_weights_survive_kerass_own_format(body: Any, tmp_path: Path) -> None:
    file = tmp_path / "lite.weights.h5"
    body.save_weights(file)
    again = create_body(CATALOGUE[body.name], str(file), 96)
    for ours, theirs in zip(again.get_weights(), body.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
