"""What stands in the place of a network that cannot be read; of names alone."""

from __future__ import annotations

import re

# The first that an architecture's name matches; catalogue, KerasHub and timm have them by these.
NEAREST = (
    ("convnext", "ConvNeXtTiny to ConvNeXtXLarge of the catalogue"),
    ("siglip2|naflex", "the SigLIP 2 of fixed size, such as vit_base_patch16_siglip_224 of timm"),
    ("dinov3", "dinov3_vit_base_lvd1689m of KerasHub"),
    ("aimv2|_xp_|rope", "vit_base_patch16_siglip_224 of timm"),
    ("clip", "a CLIP of the same size, such as vit_base_patch16_clip_224 of timm"),
    (
        "^eva|beit|mae|mim|data2vec|jepa|msn",
        "a DINOv2 of the same size, such as vit_base_patch14_reg4_dinov2 of timm",
    ),
    ("maxvit|maxxvit|coatnet|swin|hiera|samvit", "swin_base_patch4_window7_224 of KerasHub"),
    ("segformer|pvt", "mit_b2_ade20k_512 of KerasHub"),
    ("densenet", "DenseNet121 to DenseNet201 of the catalogue"),
    ("hgnet", "hgnetv2_b4_ssld_stage2_ft_in1k of KerasHub"),
    ("mobilenetv5", "mobilenetv5_300m_enc_gemma3n of KerasHub"),
    ("efficientnet_lite", "EfficientNetLite0 to EfficientNetLite2 of the catalogue"),
    ("efficientnet", "EfficientNetB0 to B7 and EfficientNetV2B0 to L of the catalogue"),
    ("mobile|mnas|ghost|levit|fastvit|efficientvit", "MobileNetV3Large of the catalogue"),
    ("vgg", "VGG16 of the catalogue"),
    ("dark|csp|cs3", "cspdarknet53 of timm"),
    ("xception|inception|nasnet", "Xception, InceptionV3 and NASNetLarge of the catalogue"),
    ("res|regnet|senet", "ResNet50 to ResNet152V2 of the catalogue"),
)


def suggest_nearest(architecture: str) -> str:
    """Return what is there in the place of an architecture that is not, as half a sentence."""
    for pattern, nearest in NEAREST:
        if re.search(pattern, architecture, re.IGNORECASE):
            return f"the nearest that is there: {nearest}"
    return (
        'docs/training.md, "Networks beyond the catalogue", lists the families that are, such as '
        "ViT, DINOv2, CLIP, SigLIP and Swin"
    )
