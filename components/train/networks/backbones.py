"""The catalogue of pretrained networks, to choose from by size, speed and quality.

Top-1 accuracies on ImageNet are those that Keras publishes beside its weights (Keras Applications),
for MobileNetV3 those of its docstring, for EfficientNet-Lite those of its authors. Parameters and
multiply-adds are counted without the ImageNet classifier: that is what is downloaded, kept and
fine-tuned; tests/train counts them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.settings.params import suggest
from components.train.networks.scaling import CAFFE, IMAGENET, LITE, SYMMETRIC, Scaling


@dataclass(frozen=True)
class Backbone:
    """One network of the catalogue."""

    name: str  # of the function in keras.applications, or one of SHIPPED
    size_px: int  # side of the images it was pretrained on
    parameters: int  # without classifier
    mega_macs: int  # million multiply-adds for one image of that side
    top1: float  # published ImageNet accuracy, share
    scaling: Scaling | None  # None: the network scales inside
    rectified: bool  # its last layer is a ReLU, so features are never negative
    min_size_px: int = 32

    @property
    def size_mb(self) -> float:
        """Size of its float32 weights, MB."""
        return self.parameters * 4 / 1e6


CATALOGUE = {
    backbone.name: backbone
    for backbone in (
        Backbone("EfficientNetLite0", 224, 3_413_024, 384, 0.751, LITE, True),
        Backbone("EfficientNetLite1", 240, 4_189_344, 599, 0.767, LITE, True),
        Backbone("EfficientNetLite2", 260, 4_869_168, 858, 0.776, LITE, True),
        Backbone("MobileNet", 224, 3_228_864, 568, 0.704, SYMMETRIC, True),
        Backbone("MobileNetV2", 224, 2_257_984, 299, 0.713, SYMMETRIC, True),
        Backbone("MobileNetV3Small", 224, 939_120, 55, 0.681, None, False),
        Backbone("MobileNetV3Large", 224, 2_996_352, 214, 0.756, None, False),
        Backbone("NASNetMobile", 224, 4_269_716, 563, 0.744, SYMMETRIC, True),
        Backbone("NASNetLarge", 331, 84_916_818, 23_779, 0.825, SYMMETRIC, True),
        Backbone("EfficientNetB0", 224, 4_049_571, 385, 0.771, None, False),
        Backbone("EfficientNetB1", 240, 6_575_239, 686, 0.791, None, False),
        Backbone("EfficientNetB2", 260, 7_768_569, 992, 0.801, None, False),
        Backbone("EfficientNetB3", 300, 10_783_535, 1_826, 0.816, None, False),
        Backbone("EfficientNetB4", 380, 17_673_823, 4_392, 0.829, None, False),
        Backbone("EfficientNetB5", 456, 28_513_527, 10_264, 0.836, None, False),
        Backbone("EfficientNetB6", 528, 40_960_143, 19_065, 0.840, None, False),
        Backbone("EfficientNetB7", 600, 64_097_687, 37_743, 0.843, None, False),
        Backbone("EfficientNetV2B0", 224, 5_919_312, 717, 0.787, None, False),
        Backbone("EfficientNetV2B1", 240, 6_931_124, 1_196, 0.798, None, False),
        Backbone("EfficientNetV2B2", 260, 8_769_374, 1_696, 0.805, None, False),
        Backbone("EfficientNetV2B3", 300, 12_930_622, 3_010, 0.820, None, False),
        Backbone("EfficientNetV2S", 384, 20_331_360, 8_364, 0.839, None, False),
        Backbone("EfficientNetV2M", 480, 53_150_388, 24_581, 0.853, None, False),
        Backbone("EfficientNetV2L", 480, 117_746_848, 56_078, 0.857, None, False),
        Backbone("DenseNet121", 224, 7_037_504, 2_833, 0.750, IMAGENET, True),
        Backbone("DenseNet169", 224, 12_642_880, 3_358, 0.762, IMAGENET, True),
        Backbone("DenseNet201", 224, 18_321_984, 4_289, 0.773, IMAGENET, True),
        Backbone("ResNet50", 224, 23_587_712, 3_856, 0.749, CAFFE, True),
        Backbone("ResNet101", 224, 42_658_176, 7_568, 0.764, CAFFE, True),
        Backbone("ResNet152", 224, 58_370_944, 11_280, 0.766, CAFFE, True),
        Backbone("ResNet50V2", 224, 23_564_800, 3_480, 0.760, SYMMETRIC, True),
        Backbone("ResNet101V2", 224, 42_626_560, 7_192, 0.772, SYMMETRIC, True),
        Backbone("ResNet152V2", 224, 58_331_648, 10_905, 0.780, SYMMETRIC, True),
        Backbone("InceptionV3", 299, 21_802_784, 5_711, 0.779, SYMMETRIC, True, 75),
        Backbone(
            "InceptionResNetV2", 299, 54_336_736, 13_154, 0.803, SYMMETRIC, True, min_size_px=75
        ),
        Backbone("Xception", 299, 20_861_480, 8_355, 0.790, SYMMETRIC, True, 71),
        Backbone("VGG16", 224, 14_714_688, 15_347, 0.713, CAFFE, True),
        Backbone("VGG19", 224, 20_024_384, 19_508, 0.713, CAFFE, True),
        Backbone("ConvNeXtTiny", 224, 27_820_128, 4_455, 0.813, None, False),
        Backbone("ConvNeXtSmall", 224, 49_454_688, 8_683, 0.823, None, False),
        Backbone("ConvNeXtBase", 224, 87_566_464, 15_354, 0.853, None, False),
        Backbone("ConvNeXtLarge", 224, 196_230_336, 34_360, 0.863, None, False),
        Backbone("ConvNeXtXLarge", 224, 348_147_968, 60_919, 0.867, None, False),
    )
}
SHIPPED = ("EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2")  # weights are installed
IMAGENET_WEIGHTS, NO_WEIGHTS = "imagenet", "none"


def find_backbone(name: str) -> Backbone:
    """Return a network of the catalogue by its name, or raise DarkroomError with the nearest."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    raise DarkroomError(
        f"train.backbone: no backbone {name!r}; {suggest(name, CATALOGUE, cutoff=0.4)}"
        "`python -m components.train --list-backbones` prints all names"
    )


def create_body(backbone: Backbone, weights: str, size_px: int) -> Any:
    """Return a network without classifier, with its weights.

    Args:
        backbone: of the catalogue.
        weights: `imagenet`, `none` (random), or the path of a weights file of this very network.
        size_px: side of the images.

    Returns:
        A Keras model: (size_px, size_px, 3) → (high, wide, channels).

    Raises:
        DarkroomError: if the images are too small, or the weights cannot be had or are another
            network's.
    """
    if size_px < backbone.min_size_px:
        raise DarkroomError(
            f"preprocess.size_px: {backbone.name} needs images of {backbone.min_size_px} px or "
            f"more, got {size_px}"
        )
    if backbone.name in SHIPPED:
        return _create_lite(backbone.name, weights, size_px)
    from components.common.backend import keras

    create = getattr(keras.applications, backbone.name)
    shape = (size_px, size_px, 3)
    if weights == IMAGENET_WEIGHTS:
        try:
            return create(include_top=False, weights="imagenet", input_shape=shape)
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


def print_catalogue() -> None:
    """Print the catalogue as a table, smallest network first."""
    print(
        f"{'backbone':<20}{'parameters':>11}{'size':>11}{'input':>10}{'multiply-adds':>16}"
        f"{'ImageNet top-1':>17}"
    )
    for backbone in sorted(CATALOGUE.values(), key=lambda b: b.parameters):
        print(
            f"{backbone.name:<20}{backbone.parameters / 1e6:>9.1f} M{backbone.size_mb:>8.0f} MB"
            f"{backbone.size_px:>7} px{backbone.mega_macs / 1e3:>14.2f} G{backbone.top1:>17.1%}"
        )
    print(
        "\nParameters, size (float32) and multiply-adds (of one image of that input) are those of\n"
        "the network without its ImageNet classifier; top-1 is the accuracy its publishers give.\n"
        "EfficientNetLite0, 1 and 2 are installed with Darkroom. The others' ImageNet weights are\n"
        "downloaded at first use, or read from a file: train.weights."
    )


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
            f"train.weights: no file {weights}; legal are imagenet, none, or the path of a "
            "weights file"
        )
    return file


def _load_keras_weights(body: Any, name: str, file: Path) -> None:
    """Load an .h5 file into a network; Keras compares names, order and shapes."""
    if file.suffix != ".h5":
        raise DarkroomError(
            f"train.weights: {file}: not a Keras weights file; give one that ends in .h5 or "
            ".weights.h5"
        )
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some hundred lines, then the error that counts
            body.load_weights(file)
    except (ValueError, OSError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise DarkroomError(
            f"train.weights: {file}: not the weights of {name} without classifier ({reason})"
        ) from None
