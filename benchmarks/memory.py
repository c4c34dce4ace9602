"""What a training step takes of memory, beside what the preflight reckoned, network by network.

python benchmarks/memory.py                                     # some of each kind, a few minutes
python benchmarks/memory.py --networks VGG16:4,8 vit:16,32 vit+remat:32,64
python benchmarks/memory.py --networks vit_large:2,4 vit_large+remat:4,8 vit_large+remat+lora:8,16

Each case, a network with so many images at once, has a process of its own: random weights and noise
at the network's size, the preflight and some steps. Taken is the most that was resident from there
on, less what was before; reckoned is what the preflight's rule says. Two cases of a network give
what each further image takes. `vit` is a transformer of 12 blocks and width 192 at 224 px,
`vit_base` and `vit_large` are the published sizes; `+lora` trains updates of rank 8.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

NETWORKS = [
    "EfficientNetLite0:16,32",
    "MobileNetV2:16,32",
    "MobileNetV3Large:16,32",
    "EfficientNetB0:8,16",
    "EfficientNetV2B0:8,16",
    "ResNet50:8,16",
    "ResNet50V2:8,16",
    "DenseNet121:8,16",
    "Xception:4,8",
    "VGG16:4,8",
    "ConvNeXtTiny:4,8",
    "vit:16,32",
    "vit+remat:32,64",
]
VITS = {"vit": (192, 12, 3), "vit_base": (768, 12, 12), "vit_large": (1024, 24, 16)}
REMAT, LORA = "+remat", "+lora"
RANK = 8
STEPS = 4
CLASSES = 10
PEAK, RESET = Path("/proc/self/clear_refs"), "5"  # of Linux: begins to count the peak anew


@dataclass(frozen=True)
class Memory:
    """Bytes of one case."""

    images: int
    reckoned: int
    fixed: int  # of it, whatever the number of images
    taken: int


def main() -> None:
    """Print a line for each case, and one for what a further image takes."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME:IMAGES,IMAGES")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # one case, in this process
    flags = parser.parse_args()
    if flags.measure:
        name, _, images = flags.measure.partition(":")
        print(json.dumps(asdict(measure(name, int(images)))))
        return
    print(f"{'network':<24}{'images':>8}{'reckoned':>12}{'taken':>10}{'difference':>12}")
    for one in flags.networks:
        name, _, counts = one.partition(":")
        found = [ask(name, count) for count in counts.split(",")]
        for case in found:
            print(
                f"{name:<24}{case.images:>8}{_mb(case.reckoned):>12}{_mb(case.taken):>10}"
                f"{_mb(case.taken - case.reckoned):>12}",
                flush=True,
            )
        first, last = found[0], found[-1]
        if last.images > first.images:
            more = last.images - first.images
            said, seen = (last.reckoned - first.reckoned) / more, (last.taken - first.taken) / more
            print(
                f"{'':<24}{'each':>8}{_mb(said):>12}{_mb(seen):>10}    {said / seen:.2f} of it "
                f"reckoned; at no image {_mb(first.taken - first.images * seen)} taken, "
                f"{_mb(first.fixed)} reckoned",
                flush=True,
            )


def ask(name: str, images: str) -> Memory:
    """Measure a case in a process of its own."""
    command = [sys.executable, __file__, "--measure", f"{name}:{images}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, images: int) -> Memory:
    """Train some steps, with the preflight before them, and return what it took."""
    import psutil

    from components.common.backend import tf
    from components.common.shards.examples import Examples
    from components.train.feed.material import Material
    from components.train.feed.recipe import Recipe
    from components.train.finetuning.fitting import Progress
    from components.train.finetuning.memory import estimate_need
    from components.train.finetuning.preflight import start_phase
    from components.train.finetuning.remat import create_trained
    from components.train.networks.network import unfreeze
    from components.train.spec import Augment, Finetune

    tf.config.experimental.enable_op_determinism()  # as train has it
    network, size_px = create(name.partition("+")[0])
    remat, rank = REMAT in name, RANK if LORA in name else 0
    unfreeze(network, "all", lora_rank=rank)
    count = images * STEPS
    noise = np.random.default_rng(0).integers(0, 256, (count, size_px, size_px, 3), np.uint8)
    photos = Examples(noise, np.arange(count) % CLASSES, [""] * count, [""] * count)
    few = Examples(noise[:8], photos.labels[:8], [""] * 8, [""] * 8)
    settings = Finetune(batch_size=images, learning_rate=1e-6, remat=remat, lora_rank=rank)
    recipe = Recipe(settings, Augment(), flip=True, seed=0, classes=CLASSES)
    need = estimate_need(create_trained(network, remat), settings)
    before = psutil.Process().memory_info().rss
    PEAK.write_text(RESET)
    phase = start_phase(network, Material(photos, few, recipe), Progress(1))
    phase.fit(range(STEPS))
    return Memory(images, need.count(images), need.fixed, read_peak() - before)


def create(name: str) -> tuple[object, int]:
    """Return a network with random weights, and the side of its images."""
    from components.train.networks.backbones import create_body, find_backbone
    from components.train.networks.catalogue import Backbone
    from components.train.networks.network import create_network
    from components.train.networks.scaling import SYMMETRIC
    from components.train.networks.vit import Vit, create_vit

    names = [str(number) for number in range(CLASSES)]
    if name in VITS:
        width, depth, heads = VITS[name]
        vit = Vit(size_px=224, patch_px=16, width=width, depth=depth, heads=heads, hidden=4 * width)
        backbone = Backbone(name, 224, 1, 1, None, SYMMETRIC, False)
        body = create_vit(vit, 224, name)
    else:
        backbone = find_backbone(name)
        body = create_body(backbone, "none", backbone.size_px)
    size = backbone.size_px
    return create_network(backbone, body, names, size_px=size, dropout=0.0), size


def read_peak() -> int:
    """Return the most bytes of this process that were resident since the count began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    words = next(line for line in lines if line.startswith("VmHWM")).split()
    return int(words[1]) * 1024


def _mb(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()
