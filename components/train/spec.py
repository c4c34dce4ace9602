"""Fine-tune a pretrained network: shards → model, history and an MLflow run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from components.common.spec import Between, Mlflow, param, path, section, shared


@dataclass(frozen=True)
class Inputs:
    """What train reads."""

    shards: Path = path("folder of TFRecord shards and dataset.json")


@dataclass(frozen=True)
class Outputs:
    """What train writes."""

    model: Path = path("the best model, model.keras, with class names and calibration inside")
    history: Path = path("CSV file, one row per epoch of both phases")
    label_issues: Path = path("CSV file: images that are probably labelled wrongly, worst first")
    run: Path = path("JSON file: the MLflow run that later stages go on with")


@dataclass(frozen=True)
class Finetune:
    """Second phase: the whole network or a part of it is trained, from the probe on."""

    epochs: Annotated[int, Between(0, 1000)] = param(
        8, "passes over the training split; 0: probe only"
    )
    batch_size: Annotated[int, Between(1, 4096)] = param(32, "images in one step")
    optimizer: Literal["adamw", "adam", "sgd"] = param("adamw", "optimizer; sgd has momentum 0.9")
    learning_rate: Annotated[float, Between(1e-8, 10)] = param(2e-4, "highest learning rate")
    warmup_fraction: Annotated[float, Between(0, 0.5)] = param(0.1, "share of steps that it rises")
    weight_decay: Annotated[float, Between(0, 1)] = param(
        0.05, "decoupled weight decay (adamw only)"
    )
    label_smoothing: Annotated[float, Between(0, 0.5)] = param(0.1, "share spread over all classes")
    ema_momentum: Annotated[float, Between(0, 0.9999)] = param(
        0.98,
        "the weights that are judged and kept are a running mean over about 1 / (1 - this) steps",
    )
    dropout: Annotated[float, Between(0, 0.9)] = param(
        0.2, "share of features dropped before the head"
    )
    unfreeze: Annotated[int, Between(0)] | Literal["all"] = param(
        "all", "layers that train, counted from the top of the backbone; all, or 0: the head alone"
    )


@dataclass(frozen=True)
class Augment:
    """Random changes of training images, one warp an image; validation and test never see them."""

    flip: Literal["auto", "always", "never"] = param(
        "auto", "mirror half the images; auto: if they look like images of this kind"
    )
    rotation_degrees: Annotated[float, Between(0, 180)] = param(
        8, "largest turn, either way, degrees"
    )
    shear_degrees: Annotated[float, Between(0, 45)] = param(4, "largest shear, either way, degrees")
    zoom: Annotated[float, Between(0, 0.9)] = param(
        0.15, "largest zoom in or out, share of the side"
    )
    shift: Annotated[float, Between(0, 0.5)] = param(0.05, "largest shift, share of the side")


@dataclass(frozen=True)
class Params:
    """Section `train` of params.yaml."""

    backbone: str = param(
        "EfficientNetLite0", "a name that `python -m components.train --list-backbones` prints"
    )
    weights: str = param(
        "imagenet", "imagenet, none (random), or the path of a weights file of that backbone"
    )
    seed: Annotated[int, Between(0, 2**31 - 1)] = param(0, "seed of all that is random")
    probe_batch_size: Annotated[int, Between(1, 4096)] = param(64, "images in one forward pass")
    finetune: Finetune = section(Finetune, "second phase, from the probe on")
    augment: Augment = section(Augment, "random changes of the training images in the second phase")
    mlflow: Mlflow = shared(Mlflow)
