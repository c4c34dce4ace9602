"""The catalogue of pretrained networks, to choose from by size, speed and quality.

Top-1 accuracies on ImageNet are those that Keras publishes beside its weights (Keras Applications),
for MobileNetV3 those of its docstring, for EfficientNet-Lite those of its authors. Parameters and
multiply-adds are counted without the ImageNet classifier: that is what is downloaded, kept and
fine-tuned; tests/train counts them anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.train.networks.scaling import CAFFE, IMAGENET, LITE, SYMMETRIC, Scaling


@dataclass(frozen=True)
class Backbone:
    """One pretrained network: of the catalogue, or of a folder."""

    name: str  # of the function in keras.applications, one of SHIPPED, or of the folder
    size_px: int  # side of the images it was pretrained on
    parameters: int  # without classifier
    mega_macs: int | None  # million multiply-adds for one image of that side
    top1: float | None  # published ImageNet accuracy, share
    scaling: Scaling | None  # None: the network scales inside
    rectified: bool  # its last layer is a ReLU, so features are never negative
    min_size_px: int = 32
    patch_px: int = 1  # the side of an image is a multiple of it
    folder: Path | None = None  # where its config and weights lie; None: in the catalogue
    needs: tuple[str, ...] = ()  # libraries, beside Keras, that a model made of it needs
    licence: str = ""  # of its weights, as their publishers say it; empty: they were not asked

    @property
    def size_mb(self) -> float:
        """Size of its float32 weights, MB."""
        return self.parameters * 4 / 1e6


# Licences of the weights by the beginnings of names, as the page of keras.io/applications said them
# up to Keras 2.3 (it says none today). Younger ones are of the repositories that published them:
# MobileNetV3 of tensorflow/models, EfficientNet of tensorflow/tpu and google/automl, ConvNeXt of
# facebookresearch/ConvNeXt; Hugging Face lists copies of the last as Apache-2.0.
LICENCES = {
    "EfficientNet": "Apache-2.0",
    "MobileNet": "Apache-2.0",
    "NASNet": "Apache-2.0",
    "Inception": "Apache-2.0",
    "DenseNet": "BSD-3-Clause",
    "ResNet": "MIT",
    "Xception": "MIT",
    "ConvNeXt": "MIT",
    "VGG": "CC-BY-4.0",
}


def find_licence(name: str) -> str:
    """Return the licence of the weights of a network of the catalogue."""
    if name.startswith("ResNet") and name.endswith("V2"):  # Facebook's, not Kaiming He's
        return "BSD-3-Clause"
    return next(licence for begin, licence in LICENCES.items() if name.startswith(begin))


CATALOGUE = {
    backbone.name: replace(backbone, licence=find_licence(backbone.name))
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


def filter_backbones(
    fetched: Sequence[Backbone] = (),
    max_gmacs: float | None = None,
    max_mb: float | None = None,
    family: str = "",
    licence: str = "",
) -> list[Backbone]:
    """Return networks of the catalogue, and some that were fetched, smallest first.

    Args:
        fetched: others, such as from folders, named by their path.
        max_gmacs: leaves out what multiplies more for an image, in thousand millions, or nobody
            knows how much.
        max_mb: leaves out what is larger, in float32.
        family: part of the names that are wanted, in any case.
        licence: part of the licences that are wanted, in any case; unknown ones are left out.
    """
    found = [
        one
        for one in (*CATALOGUE.values(), *fetched)
        if family.lower() in one.name.lower()
        and licence.lower() in one.licence.lower()
        and (max_mb is None or one.size_mb <= max_mb)
        and (max_gmacs is None or (one.mega_macs or math.inf) / 1e3 <= max_gmacs)
    ]
    return sorted(found, key=lambda one: one.parameters)


def print_backbones(rows: Sequence[Backbone]) -> None:
    """Print networks as a table."""
    wide = max([20, *(len(one.name) + 2 for one in rows)])
    print(
        f"{'backbone':<{wide}}{'parameters':>11}{'size':>11}{'input':>10}{'multiply-adds':>16}"
        f"{'ImageNet top-1':>17}  {'licence':<14}weights"
    )
    for one in rows:
        macs = "–" if one.mega_macs is None else f"{one.mega_macs / 1e3:.2f} G"
        top1 = "–" if one.top1 is None else f"{one.top1:.1%}"
        where = "installed" if one.name in SHIPPED else "fetch"
        where = "here" if one.folder else where
        print(
            f"{one.name:<{wide}}{one.parameters / 1e6:>9.1f} M{one.size_mb:>8.0f} MB"
            f"{one.size_px or '–':>7} px{macs:>16}{top1:>17}  {one.licence or '–':<14}{where}"
        )
    if not rows:
        print("none: let the filters through more")
    print(
        "\nParameters, size (float32) and multiply-adds (of one image of that input) are those of\n"
        "the network without its ImageNet classifier; top-1 is the accuracy its publishers give.\n"
        "Weights are installed with Darkroom, or `weights fetch NAME` brings them, and those of\n"
        "ViT, DeiT, DINOv2, CLIP, SigLIP, Swin and what else timm, Hugging Face or KerasHub have;\n"
        "--hub names the latter's, of CLIP and SigLIP with the numbers of both towers.\n"
        "--minutes names the best that trains in that time on this machine."
    )
