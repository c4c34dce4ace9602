"""`train.recipe: auto`: what follows from counts and the probe, each choice with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from components.train.spec import AUTO, Finetune, Params

# Steps that small sets want, however few their images: hand signs, 200 images, went from 0.915 with
# 56 steps of 32 to 0.977 with 280; clothing, 1,002 images, has 256 in eight epochs.
STEPS = 280
EPOCHS = 8
# From so many images on, the number of passes falls, by a power of their number.
MANY, POWER, LEAST_EPOCHS = 2000, 0.3, 2
# Highest learning rates, the first one first; the next is tried if it gains nothing. Networks with
# BatchNorm were pretrained at high rates and bear them; what has LayerNorm instead does not.
RATES, GENTLE_RATES = (5e-4, 1.25e-4), (1e-4, 2.5e-5)
# Images of half the side that a network was pretrained at, or less, are new to it, and it has more
# to learn: docs/recipe.md has the sets. Known of networks with BatchNorm.
SMALL, SMALL_FACTOR = 0.5, 2
# Low-rank updates begin at 0 and want tenfold: 4e-4 to 5e-4 where Hu et al. 2022 give 1e-5 to 5e-5
# for the same networks trained whole.
LORA_FACTOR = 10
# A probe as good as this leaves nothing that a validation split could show.
GOOD_ENOUGH = 0.99
# If it does not owe that to a class that nearly all images are of: of the other classes' images it
# may name so many wrongly. Of 500 images of one class and 3 of another, who knows but the first
# names 99.4 %.
MISSED = 0.5


@dataclass(frozen=True)
class Choice:
    """A setting that was chosen, and why."""

    setting: str  # dotted key, or a word for what has none
    value: Any
    reason: str

    def describe(self) -> str:
        """Return it as a line."""
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.setting}: {value} ({self.reason})"


@dataclass(frozen=True)
class Plan:
    """How the second phase goes."""

    finetune: Finetune  # with numbers in it
    passes: int = 1  # over the training images in one epoch
    rates: tuple[float, ...] = ()  # learning rates to try, the first first
    may_stop: bool = False  # as soon as nothing is to be gained
    blends: bool = False  # the outcome with the probe, if that is better
    choices: tuple[Choice, ...] = ()


def plan_finetuning(
    params: Params,
    *,
    images: int,
    batch_size: int,
    accuracy: float,
    common: float,
    has_batchnorm: bool,
    scale: float = 1.0,
) -> Plan:
    """Return how the second phase goes: as set, and where that is `auto` as it follows.

    Whoever sets `finetune.epochs` gets them: then nothing is stopped, tried or blended.

    Args:
        params: of the room.
        images: of the training split.
        batch_size: images in one step.
        accuracy: of the probe, on images that it was not fitted to.
        common: share of the images that are of the most common class.
        has_batchnorm: whether the backbone has BatchNorm.
        scale: side of the images, by that of the images that the weights know.
    """
    own = params.finetune
    rates: tuple[float, ...] = RATES if has_batchnorm else GENTLE_RATES
    is_small = scale <= SMALL and has_batchnorm and not own.lora_rank and params.recipe == AUTO
    if is_small:
        rates = tuple(SMALL_FACTOR * rate for rate in rates)
    if own.lora_rank:
        rates = tuple(LORA_FACTOR * rate for rate in GENTLE_RATES)
    if params.recipe != AUTO or own.epochs != AUTO:
        rate = own.learning_rate if own.learning_rate != AUTO else rates[0]
        fixed = replace(own, epochs=EPOCHS if own.epochs == AUTO else own.epochs)
        return Plan(replace(fixed, learning_rate=rate), rates=(float(rate),))
    if accuracy >= GOOD_ENOUGH and 1 - accuracy <= MISSED * (1 - common):
        reason = f"the probe has {accuracy:.1%}: no validation split could show a gain"
        choice = Choice("train.finetune.epochs", 0, reason)
        return Plan(replace(own, epochs=0, learning_rate=rates[0]), choices=(choice,))
    epochs, passes, reason = choose_length(images, batch_size)
    choices = [Choice("train.finetune.epochs", epochs, reason)]
    if own.learning_rate == AUTO:
        kind = "has BatchNorm" if has_batchnorm else "has no BatchNorm and bears less"
        kind = "learns low-rank updates, which want more" if own.lora_rank else kind
        kind += f", and it knows images of {1 / scale:.2g} times the side" if is_small else ""
        reason = f"the backbone {kind}; {rates[1]:g} if two epochs of it gain nothing"
        choices.append(Choice("train.finetune.learning_rate", rates[0], reason))
    else:
        rates = (float(own.learning_rate),)
    return Plan(
        replace(own, epochs=epochs, learning_rate=rates[0]),
        passes=passes,
        rates=rates,
        may_stop=True,
        blends=True,
        choices=tuple(choices),
    )


def choose_length(images: int, batch_size: int) -> tuple[int, int, str]:
    """Return epochs, passes over the images in each, and why."""
    steps = -(-images // batch_size)  # of one pass
    if images > MANY:
        epochs = max(LEAST_EPOCHS, round(EPOCHS * (MANY / images) ** POWER))
        return epochs, 1, f"{epochs * steps:,} steps; the more images, the fewer passes"
    passes = max(1, round(STEPS / EPOCHS / steps))
    count = EPOCHS * passes * steps
    many = f", each {passes} times over the {images:,} images" if passes > 1 else ""
    return EPOCHS, passes, f"{count} steps{many}; small sets want some {STEPS}"
