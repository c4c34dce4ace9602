"""From the name of a network, or a folder with one, to a Keras model with its weights."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.params import suggest
from components.train.networks.catalogue import CATALOGUE, SHIPPED, Backbone

IMAGENET_WEIGHTS, NO_WEIGHTS = "imagenet", "none"
MODEL_SUFFIX = ".keras"  # of a model that Darkroom trained, whose backbone another goes on from


def find_backbone(name: str) -> Backbone:
    """Return a network by its name in the catalogue, or that of a folder with a checkpoint.

    Raises:
        DarkroomError: if there is none, with the nearest name; or if nobody can read the folder.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if is_folder(name):
        return read_folder(Path(name))
    fetch = f"`python -m components.train weights fetch {name}`"
    if "/" in name:
        raise DarkroomError(
            f"train.backbone: no folder {name}, and none was fetched by it: {fetch}"
        )
    raise DarkroomError(
        f"train.backbone: no backbone {name!r}; {suggest(name, CATALOGUE, cutoff=0.4)}"
        "`python -m components.train --list-backbones` prints all names; a preset of KerasHub is "
        f"fetched first: {fetch}"
    )


def compare_sides(name: str, weights: str, size_px: int) -> float:
    """Return the side of images, by that of those that a network's weights know.

    It is known of published weights only: what went on from a model of one's own has seen images
    as it was given them, and random weights have seen none. Then it is 1.
    """
    return size_px / find_backbone(name).size_px if weights == IMAGENET_WEIGHTS else 1.0


def is_folder(name: str) -> bool:
    """Whether a name is the path of a folder; what cannot be a path is none."""
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def read_folder(folder: Path) -> Backbone:
    """Return what is known of the network in a folder, without its weights.

    Raises:
        DarkroomError: if it is none that Darkroom reads.
    """
    from components.train.networks.published.checkpoints import (
        read_checkpoint,
        read_config,
        read_scaling,
    )
    from components.train.networks.vit import count_mega_macs

    if _is_hubs(folder):
        from components.train.networks.published.hub import is_hub_folder, read_hub

        config = read_config(folder)
        return read_hub(folder, None if is_hub_folder(config) else read_scaling(folder))
    found = read_checkpoint(folder)
    vit = found.vit
    return Backbone(
        folder.name,
        vit.size_px,
        found.parameters,
        count_mega_macs(vit, vit.size_px),
        None,
        found.scaling,
        rectified=False,
        min_size_px=vit.patch_px,
        patch_px=vit.patch_px,
        folder=folder,
    )


def create_body(backbone: Backbone, weights: str, size_px: int, *, download: bool = False) -> Any:
    """Return a network without classifier, with its weights.

    Args:
        backbone: of the catalogue or of a folder.
        weights: `imagenet` (those it was published with), `none` (random), or the path of a weights
            file of this very network, or of a model that Darkroom trained from it: its classes may
            be others.
        size_px: side of the images.
        download: ImageNet weights that neither an installed package nor Keras's cache holds.

    Returns:
        A Keras model: (size_px, size_px, 3) → a map (high, wide, channels), or of a network that
        pools by itself, such as a transformer, → features (channels,).

    Raises:
        DarkroomError: if the images are too small, or the weights cannot be had or are another
            network's.
    """
    if size_px < backbone.min_size_px:
        raise DarkroomError(
            f"preprocess.size_px: {backbone.name} needs images of {backbone.min_size_px} px or "
            f"more, got {size_px}"
        )
    if size_px % backbone.patch_px:
        near = max(1, round(size_px / backbone.patch_px)) * backbone.patch_px
        raise DarkroomError(
            f"preprocess.size_px: {backbone.name} cuts images into patches of {backbone.patch_px} "
            f"px, so their side is a multiple of it, such as {near}; got {size_px}"
        )
    if weights.endswith(MODEL_SUFFIX):
        body = create_body(backbone, NO_WEIGHTS, size_px)
        _take_over(body, backbone, _find_file(weights), size_px)
        return body
    if backbone.folder is not None:
        body = _create_folder_body(backbone.folder, size_px, pretrained=weights == IMAGENET_WEIGHTS)
        if weights not in (IMAGENET_WEIGHTS, NO_WEIGHTS):
            _load_keras_weights(body, backbone.name, _find_file(weights))
        return body
    if backbone.name in SHIPPED:
        return _create_lite(backbone.name, weights, size_px)
    from components.common.backend import keras

    create = getattr(keras.applications, backbone.name)
    shape = (size_px, size_px, 3)
    if weights == IMAGENET_WEIGHTS:
        try:
            with contextlib.nullcontext() if download else _without_downloads():
                return create(include_top=False, weights="imagenet", input_shape=shape)
        except _NotHereError:
            raise DarkroomError(
                f"train.weights: the ImageNet weights of {backbone.name} are not on this machine, "
                "and training asks nobody for them: `python -m components.train weights fetch "
                f"{backbone.name}` brings them and says how they are used; or choose {SHIPPED[-1]},"
                " whose weights are installed"
            ) from None
        except Exception as error:  # urllib, http and Keras raise many kinds here
            raise DarkroomError(
                f"train.weights: cannot download the ImageNet weights of {backbone.name} "
                f"({error}); set train.weights to "
                "the path of a weights file without classifier (…_notop.h5), "
                f"or choose {SHIPPED[-1]}, whose weights are installed"
            ) from None
    body = create(include_top=False, weights=None, input_shape=shape)
    if weights != NO_WEIGHTS:
        _load_keras_weights(body, backbone.name, _find_file(weights))
    return body


class _NotHereError(Exception):
    """Keras would download now."""


@contextlib.contextmanager
def _without_downloads() -> Iterator[None]:
    """Let Keras use its cache and, inside, download nothing: it has no setting for that."""
    from keras.src.utils import file_utils

    def refuse(*_: Any) -> None:
        raise _NotHereError

    retrieve, file_utils.urlretrieve = file_utils.urlretrieve, refuse
    printed = io.StringIO()  # "Downloading data from …" would be wrong
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        file_utils.urlretrieve = retrieve


def _create_folder_body(folder: Path, size_px: int, pretrained: bool = True) -> Any:
    """Return the network in a folder, as :func:`create_body` does."""
    from components.train.networks.published.checkpoints import read_checkpoint
    from components.train.networks.published.vit_weights import load_vit_weights
    from components.train.networks.vit import create_vit

    if _is_hubs(folder):
        from components.train.networks.published.hub import create_hub_body

        return create_hub_body(folder, size_px, pretrained)
    found = read_checkpoint(folder)
    body = create_vit(found.vit, size_px, folder.name)
    if pretrained:
        load_vit_weights(body, found.vit, found.read_tensors())
    return body


def _is_hubs(folder: Path) -> bool:
    """Whether KerasHub reads a folder, and not Darkroom by itself."""
    from components.train.networks.published.checkpoints import is_converted_by_hub, read_config

    config = read_config(folder)
    return "registered_name" in config or is_converted_by_hub(config)


def _create_lite(name: str, weights: str, size_px: int) -> Any:
    from components.train.networks.lite import create_lite, find_shipped_weights, load_lite_weights

    body = create_lite(name, size_px)
    if weights == NO_WEIGHTS:
        return body
    file = find_shipped_weights(name) if weights == IMAGENET_WEIGHTS else _find_file(weights)
    if file.suffix == ".h5":
        _load_keras_weights(body, name, file)
    else:
        load_lite_weights(body, file)
    return body


def _find_file(weights: str) -> Path:
    file = Path(weights)
    if not file.is_file():
        raise DarkroomError(
            f"train.weights: no file {weights}; legal are imagenet, none, the path of a weights "
            "file or of a model.keras, or models:/NAME@champion"
        )
    return file


def _take_over(body: Any, backbone: Backbone, file: Path, size_px: int) -> None:
    """Give a network the weights that it has in a model which Darkroom trained."""
    from components.common.artifacts.model import load_model, read_card
    from components.common.backend import keras

    card, model = read_card(file), load_model(file)
    own = Path(card.backbone).name
    theirs = [w for layer in model.layers if isinstance(layer, keras.Model) for w in layer.weights]
    shapes = [tuple(weight.shape) for weight in body.weights]
    if own != backbone.name or [tuple(weight.shape) for weight in theirs] != shapes:
        raise DarkroomError(
            f"train.weights: {file} is a model of {own} for {card.form.size_px} px images; "
            f"here it is {backbone.name} for {size_px} px, and all weights must be of the same size"
        )
    for to, weight in zip(body.weights, theirs, strict=True):
        to.assign(keras.ops.convert_to_numpy(weight))


def _load_keras_weights(body: Any, name: str, file: Path) -> None:
    """Load an .h5 file into a network; Keras compares names, order and shapes."""
    if file.suffix != ".h5":
        raise DarkroomError(
            f"train.weights: {file}: not a Keras weights file; give one that ends in .h5 or "
            ".weights.h5"
        )
    import warnings

    from components.common.artifacts.model import check_growth

    check_growth(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some hundred lines, then the error that counts
            body.load_weights(file)
    except (ValueError, OSError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise DarkroomError(
            f"train.weights: {file}: not the weights of {name} without classifier ({reason})"
        ) from None
