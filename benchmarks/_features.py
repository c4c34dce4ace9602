"""Features of whole sets by the default backbone, for benchmarks that need no more."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks._flags import existing
from benchmarks.recipe_sets import Picture, read_archive, read_digits

CACHE = Path(__file__).parent / ".features"  # which git does not take
BACKBONE = "EfficientNetLite0"
SIZES = {"digits": 32, "clothing": 224, "signs": 112}  # px, of the long-known three sets
BATCH = 32


@dataclass(frozen=True)
class Set:
    """All images of a set, as the frozen network sees them."""

    name: str
    features: np.ndarray  # float32 (images, channels)
    labels: np.ndarray  # (images,), 0, 1, …
    groups: np.ndarray  # (images,): equal files share a number
    class_names: list[str]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add what :func:`read_sets` is given."""
    parser.add_argument("--clothing", type=existing, help="archive of clothing photos")
    parser.add_argument("--signs", type=existing, help="archive of hand signs in class folders")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of features")


def read_sets(
    clothing: Path | None, signs: Path | None, cache: Path, wanted: list[str] | None = None
) -> list[Set]:
    """Return the digits of scikit-learn, and the sets whose archives are given; or some of them."""
    archives = {"digits": Path(), "clothing": clothing, "signs": signs}
    return [
        read_set(name, file, cache)
        for name, file in archives.items()
        if file is not None and name in (wanted or archives)
    ]


def read_set(name: str, archive: Path, cache: Path) -> Set:
    """Return a set; its features are extracted once and kept in a folder."""
    file = cache / f"{name}-{BACKBONE}-{SIZES[name]}.npz"
    if not file.is_file():
        pictures = read_digits() if name == "digits" else read_archive(archive)
        digests = [hashlib.sha256(one.data).hexdigest() for one in pictures]
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            features=extract(pictures, SIZES[name]),
            labels=np.array([one.label for one in pictures]),
            groups=np.unique(digests, return_inverse=True)[1],
        )
    found = np.load(file)
    names, labels = np.unique(found["labels"], return_inverse=True)
    return Set(name, found["features"], labels, found["groups"], names.tolist())


def extract(pictures: list[Picture], size_px: int) -> np.ndarray:
    """Return float32 (images, channels)."""
    from components.common.backend import keras
    from components.common.images.pixels import ImageForm, read_pixels
    from components.train.networks.backbones import create_body, find_backbone
    from components.train.networks.network import HEAD_INPUT, create_network

    form = ImageForm(size_px, "crop", "#ffffff")
    backbone = find_backbone(BACKBONE)
    body = create_body(backbone, "imagenet", size_px)
    network = create_network(backbone, body, ["a", "b"], size_px=size_px, dropout=0.0)
    part = keras.Model(network.input, network.get_layer(HEAD_INPUT).output)
    found = []
    for start in range(0, len(pictures), BATCH):
        some = pictures[start : start + BATCH]
        pixels = [read_pixels(one.data, form) for one in some]
        found.append(np.asarray(part.predict_on_batch(np.stack(pixels)), np.float32))
    return np.concatenate(found)
