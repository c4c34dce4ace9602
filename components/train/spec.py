"""Fine-tune a pretrained network: shards → model, history and an MLflow run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from components.common.settings.spec import Between, Mlflow, param, path, section, shared


@dataclass(frozen=True)
class Inputs:
    """What train reads."""

    shards: Path = path("folder of TFRecord shards and dataset.json")


@dataclass(frozen=True)
class Outputs:
    """What train writes."""

    model: Path = path("the best model, model.keras, with class names and calibration inside")
    history: Path = path("CSV file, one row per epoch of both phases")
    findings: Path = path(
        "folder of likely label errors, a learning curve, augmented images and the probe's answers",
        folder=True,
    )
    run: Path = path("JSON file: the MLflow run that later stages go on with")


AUTO = "auto"
SHELF = Path("data/weights")  # where networks that are fetched lie by default


@dataclass(frozen=True)
class Finetune:
    """Second phase: the whole network or a part of it is trained, from the probe on."""

    epochs: Annotated[int, Between(0, 1000)] | Literal["auto"] = param(
        "auto",
        "passes over the training split; 0: probe only; auto: as many steps as that many images "
        "want, and none that gain nothing",
    )
    patience: Annotated[int, Between(0, 1000)] = param(
        0, "stop after so many epochs without a better one; 0: never"
    )
    batch_size: Annotated[int, Between(1, 4096)] = param(
        32, "images in one step, of all machines together"
    )
    optimizer: Literal["adamw", "adam", "sgd"] = param("adamw", "optimizer; sgd has momentum 0.9")
    learning_rate: Annotated[float, Between(1e-8, 10)] | Literal["auto"] = param(
        "auto",
        "highest learning rate; auto: by the backbone and the size of images, lower if that gains "
        "nothing",
    )
    layer_decay: Annotated[float, Between(0.1, 1)] = param(
        1.0,
        "factor on the learning rate from a layer with a kernel, or a block, to the one below",
    )
    warmup_fraction: Annotated[float, Between(0, 0.5)] = param(0.1, "share of steps that it rises")
    weight_decay: Annotated[float, Between(0, 1)] = param(
        0.05,
        "decoupled weight decay (adamw only), slowed as layers are; kernels have it",
    )
    clip_norm: Annotated[float, Between(0, 1000)] = param(
        0.0, "largest norm of all gradients together; 0: no limit"
    )
    label_smoothing: Annotated[float, Between(0, 0.5)] = param(0.1, "share spread over all classes")
    balance: Literal["none", "weights", "sampling"] = param(
        "none", "rare classes count more: in the loss (weights), or are drawn as often (sampling)"
    )
    ema_momentum: Annotated[float, Between(0, 0.9999)] = param(
        0.98,
        "the weights that are judged and kept are a running mean over about 1 / (1 - this) steps, "
        "over fewer at the beginning",
    )
    dropout: Annotated[float, Between(0, 0.9)] = param(
        0.2, "share of features dropped before the head"
    )
    unfreeze: Annotated[int, Between(0)] | Literal["all"] = param(
        "all",
        "layers with a kernel, or blocks of a transformer, that train, counted from the top of the "
        "backbone; all, or 0: the head alone",
    )
    lora_rank: Annotated[int, Between(0, 1024)] = param(
        0,
        "rank of the updates that train in the place of a transformer's dense kernels, 4 to 64; 0: "
        "the kernels train",
    )
    remat: bool = param(
        False,
        "compute the activations of a transformer's blocks again instead of keeping them: less "
        "memory, a third more time",
    )

    @property
    def rate(self) -> float:
        """The learning rate as a number; where none was chosen, that of networks with BatchNorm."""
        return 5e-4 if isinstance(self.learning_rate, str) else self.learning_rate


@dataclass(frozen=True)
class Augment:
    """Random changes of training images, one warp an image; validation and test never see them."""

    flip: Literal["auto", "always", "never"] = param(
        "auto", "mirror half the images; auto: if mirrored images still look like their class"
    )
    rotation_degrees: Annotated[float, Between(0, 180)] = param(
        8, "largest turn, either way, degrees"
    )
    shear_degrees: Annotated[float, Between(0, 45)] = param(4, "largest shear, either way, degrees")
    zoom: Annotated[float, Between(0, 0.9)] = param(
        0.3, "largest zoom in or out, share of the side"
    )
    shift: Annotated[float, Between(0, 0.5)] = param(0.1, "largest shift, share of the side")
    crop: Annotated[float, Between(0, 0.9)] = param(
        0.3, "largest part cut away by a random crop, share of the side"
    )
    colour: Annotated[float, Between(0, 1)] = param(
        0.3, "largest change of brightness, contrast and saturation, share"
    )
    policy: Literal["none", "randaugment", "trivialaugment"] = param(
        "none", "a published set of random changes on top, by its name"
    )
    erase: Annotated[float, Between(0, 1)] = param(
        0.25, "share of images of which a random rectangle is blanked"
    )
    mixup: Annotated[float, Between(0, 10)] = param(
        0.0, "alpha of MixUp, which blends pairs of images; 0: off"
    )
    cutmix: Annotated[float, Between(0, 10)] = param(
        0.0, "alpha of CutMix, which pastes a part of another image; with mixup, half of steps each"
    )


@dataclass(frozen=True)
class Params:
    """Section `train` of params.yaml."""

    recipe: Literal["auto", "fixed"] = param(
        "auto",
        "auto: what is set to `auto` follows from images, probe and short trials, and what would "
        "harm is left out; fixed: eight epochs, as everything is set",
    )
    backbone: str = param(
        "EfficientNetLite0",
        "a name that `python -m components.train --list-backbones` prints, a folder with a "
        "checkpoint of timm or Hugging Face or a preset of KerasHub, or the name by which `weights "
        "fetch` brought one, such as dinov2_base or hf://timm/NAME",
    )
    weights: str = param(
        "imagenet",
        "imagenet (of a folder: those in it), none (random), or the path of a weights file of that "
        "backbone, or of a model.keras whose backbone training goes on from, or a version of the "
        "registry, models:/NAME@champion or models:/NAME/7",
    )
    seed: Annotated[int, Between(0, 2**31 - 1)] = param(0, "seed of all that is random")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = param(
        "auto", "numbers the network computes in; auto: what the device is fastest at"
    )
    budget_minutes: Annotated[float, Between(0, 100_000)] = param(
        0, "time of the stage, from its start: fine-tuning gets as many epochs as fit; 0: no limit"
    )
    curve_minutes: Annotated[float, Between(0, 10_000)] = param(
        0.0,
        "time that a learning curve of the fine-tuned network may take, after the training and on "
        "top of budget_minutes: trainings on parts of the images; 0: the probe's curve alone",
    )
    probe_batch_size: Annotated[int, Between(1, 4096)] = param(64, "images in one forward pass")
    probe_views: Annotated[int, Between(1, 32)] = param(
        1, "views of each training image that the probe learns: itself, then augmented ones"
    )
    calibration: Literal["temperature", "vector"] = param(
        "temperature", "one number for all logits, or two for each class, fitted on validation"
    )
    finetune: Finetune = section(Finetune, "second phase, from the probe on")
    augment: Augment = section(Augment, "random changes of the training images in the second phase")
    mlflow: Mlflow = shared(Mlflow)
