"""Which backbone of the catalogue is the best that a budget holds, on this machine.

Steps of training are timed, with random weights and noise for photos: neither changes the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.common.backend import keras
from components.common.shards.examples import Examples
from components.common.terminal import describe_seconds, say
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.finetuning.fitting import Finetuning, Progress
from components.train.finetuning.memory import Need, estimate_need
from components.train.finetuning.optimizers import has_batchnorm
from components.train.finetuning.preflight import FORWARD_SHARE, Speed, measure_speed
from components.train.networks.backbones import NO_WEIGHTS, create_body
from components.train.networks.catalogue import Backbone
from components.train.networks.network import create_network, unfreeze
from components.train.runtime.devices import set_precision
from components.train.selection.rules import GENTLE_RATES, RATES, choose_length
from components.train.spec import Augment, Finetune

BATCH = 8  # images of a timed step: large networks must not take minutes to be judged
CLASSES = 10  # of the head, which costs next to nothing
# What a multiply-add costs differs less than so many times between networks on a machine: measured
# on 2 cores, forward, VGG16 does 107 G a second, MobileNetV2 32 G.
SPREAD = 4.0
# Weights, their gradients, three arrays of the optimizer and a copy: what is larger than so many
# times its weights cannot fit and is not built.
LEAST_COPIES = 6


@dataclass(frozen=True)
class Budget:
    """What training may take."""

    minutes: float
    memory: float  # bytes
    images: int  # that are learnt from


def suggest_backbone(backbones: Sequence[Backbone], budget: Budget) -> Backbone | None:
    """Return the backbone of the best published accuracy that fits, and say what was measured.

    Args:
        backbones: to choose from; those without a published accuracy are left out.
        budget: counted with every photo as one to learn from, which is a little too many.

    Returns:
        None if none fits.
    """
    say(set_precision("auto"))
    known = [one for one in backbones if one.top1 is not None and one.mega_macs]
    known = [one for one in known if LEAST_COPIES * one.size_mb * 1e6 <= budget.memory]
    known.sort(key=lambda one: one.top1 or 0.0, reverse=True)
    measured: dict[str, tuple[Need, Speed]] = {}
    fastest = 0.0  # multiply-adds a second, of training steps
    if known:
        least = min(known, key=lambda one: one.mega_macs or 0)
        measured[least.name] = measure(least)
        fastest = measured[least.name][1].compute * 1e6 * (least.mega_macs or 0)
    for one in known:
        macs = 1e6 * (one.mega_macs or 0)
        if _count_seconds(SPREAD * fastest / macs, budget) > budget.minutes * 60:
            continue
        need, speed = measured.get(one.name) or measure(one)
        fastest = max(fastest, speed.compute * macs)
        seconds = _count_seconds(1 / _count_image_seconds(speed), budget)
        say(
            f"{one.name}: {one.top1:.1%} on ImageNet, {speed.compute:,.1f} images/s, about "
            f"{describe_seconds(seconds)}; {need.count(1) / 1e9:.1f} GB and "
            f"{need.image / 1e6:,.0f} MB for each further image at once"
        )
        if need.count(1) <= budget.memory and seconds <= budget.minutes * 60:
            return one
    return None


def measure(backbone: Backbone) -> tuple[Need, Speed]:
    """Return what training a backbone wants of memory, and how fast it goes, at its own size."""
    size = backbone.size_px
    names = [str(number) for number in range(CLASSES)]
    body = create_body(backbone, NO_WEIGHTS, size)
    network = create_network(backbone, body, names, size_px=size, dropout=0.0)
    unfreeze(network, "all")
    rate = (RATES if has_batchnorm(network) else GENTLE_RATES)[0]
    settings = replace(Finetune(), epochs=1, batch_size=BATCH, learning_rate=rate)
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    labels = np.arange(BATCH) % CLASSES
    photos = Examples(noise, labels, [""] * BATCH, [""] * BATCH)
    recipe = Recipe(settings, Augment(), flip=True, seed=0, classes=CLASSES)
    phase = Finetuning(network, Material(photos, photos, recipe), Progress(1))
    found = estimate_need(phase.model, settings), measure_speed(phase)
    keras.backend.clear_session()  # the next network is as large as the machine bears
    return found


def _count_image_seconds(speed: Speed) -> float:
    """Return the time of showing one image once."""
    return replace(speed, train_images=1, val_images=0).epoch_seconds


def _count_seconds(images_per_second: float, budget: Budget) -> float:
    """Return the time of a stage: the probe's look at each image, and the epochs of the recipe."""
    epochs, passes, _ = choose_length(budget.images, Finetune.batch_size)
    return budget.images * (epochs * passes + FORWARD_SHARE) / images_per_second
