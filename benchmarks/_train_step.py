"""Training steps by real input, from memory, and in PyTorch: called by benchmarks/train.py step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.dataset import read_dataset
from components.common.backend import keras, tf
from components.common.errors import DarkroomError
from components.common.host import count_cores
from components.common.shards.examples import Examples, read_split
from components.common.shards.stored import open_split
from components.train.feed.batches import create_batches
from components.train.feed.material import Material
from components.train.feed.recipe import Recipe
from components.train.finetuning.fitting import Finetuning, Progress
from components.train.networks.backbones import create_body, find_backbone
from components.train.networks.network import create_network, unfreeze
from components.train.runtime.devices import set_precision
from components.train.spec import Augment, Finetune

CLASSES = 10
Cost = tuple[float, float]  # seconds and CPU seconds of one step
Costs = dict[str, list[Cost]]
# The same batch again and again; images that are in memory, as they are where they fit, and images
# that are read one by one from their shards, as those that do not.
MEMORY, REAL, STORED = "from memory", "by real input", "by input from shards"


def compare_steps(backbone: str, flags: Any) -> None:
    """Print what a step costs each way, and the ratios."""
    examples = read_examples(flags.shards, flags.size_px)
    precision = set_precision(flags.precision)
    phase = create_phase(backbone, examples, flags.batch_size)
    size, recipe = phase.material.batch_size, phase.material.recipe
    batch = next(iter(create_batches(examples, recipe, 1)))
    memory = tf.data.Dataset.from_tensors(batch)
    once = range(min(flags.steps, phase.steps))

    def feed(images: Examples) -> None:
        # One pipeline, as an epoch has it; short epochs are repeated.
        batches = create_batches(images, recipe, 1, once)
        fit(phase, batches.repeat().take(flags.steps))

    ways: dict[str, Callable[[], None]] = {
        MEMORY: lambda: fit(phase, memory.repeat(flags.steps)),
        REAL: lambda: feed(examples),
    }
    if flags.size_px is None:
        stored = open_split(flags.shards, "train", read_dataset(flags.shards))
        ways[STORED] = lambda: feed(stored)
    costs: Costs = {name: [] for name in ways}
    with start_torch(backbone, size, examples.pixels.shape[1], flags) as ask_torch:
        feed(examples)  # compiles
        with watch_gpu() as read_gpu:
            for _ in range(flags.repeats):
                for name, work in ways.items():  # in turns: a disturbance hits all of them
                    costs[name].append(measure(work, flags.steps))
                for name, cost in ask_torch().items():
                    costs.setdefault(name, []).append(cost)
                last = {name: f"{1000 * own[-1][0]:.0f}" for name, own in costs.items()}
                print("ms:", ", ".join(f"{name} {ms}" for name, ms in last.items()), flush=True)
    print(f"\n{backbone}, {size} images a step, {precision}")
    report(costs, size, read_gpu())


def report(costs: Costs, size: int, gpu: list[float]) -> None:
    """Print a row for each way of making a step, then the ratios."""
    best = {name: (min(c[0] for c in own), min(c[1] for c in own)) for name, own in costs.items()}
    for name, (seconds, cpu) in best.items():
        middle = float(np.median([cost[0] for cost in costs[name]]))
        print(
            f"  {name:<24}{size / seconds:8.1f} images/s{1000 * seconds:9.1f} ms, "
            f"median {1000 * middle:.1f}, of CPU {1000 * cpu:.1f}"
        )
    (real, real_cpu), (memory, memory_cpu) = best[REAL], best[MEMORY]
    for name in best.keys() & {REAL, STORED}:
        seconds, cpu = best[name]
        print(f"  a step {name} takes {seconds / memory:.3f} times one from memory,", end="")
        print(f" {cpu / memory_cpu:.3f} times its CPU")
    print(f"  share of time that waits for input: {max(0.0, 1 - memory / real):.1%}", end="")
    if gpu:
        print(f"; the GPU is busy {np.mean(gpu):.0f} % of the time")
    else:
        print(f"; {real_cpu / real / count_cores():.0%} of the cores are busy")
    for name in best.keys() - {REAL, STORED, MEMORY}:
        print(f"  images/s by those of {name}: {best[name][0] / memory:.2f}")


def read_examples(shards: Path, size_px: int | None) -> Examples:
    """Return the training split, or noise of some size."""
    if size_px is None:
        return read_split(shards, "train")
    random = np.random.default_rng(0)
    count = 1024
    pixels = random.integers(0, 256, (count, size_px, size_px, 3), np.uint8)
    return Examples(pixels, np.arange(count) % CLASSES, [""] * count, [""] * count)


def create_phase(backbone: str, train: Examples, batch_size: int) -> Finetuning:
    """Return the second phase with its default settings; weights do not matter for its speed."""
    tf.config.experimental.enable_op_determinism()  # as train has it
    keras.utils.clear_session()
    settings, size = Finetune(batch_size=batch_size, learning_rate=1e-6), train.pixels.shape[1]
    known = find_backbone(backbone)
    classes = int(train.labels.max()) + 1
    network = create_network(
        known,
        create_body(known, "none", size),
        [str(number) for number in range(classes)],
        size_px=size,
        dropout=settings.dropout,
    )
    unfreeze(network, settings.unfreeze)
    recipe = Recipe(settings, Augment(), flip=True, seed=0, classes=classes)
    few = Examples(train.pixels[:8], train.labels[:8], train.paths[:8], train.sha256[:8])
    return Finetuning(network, Material(train, few, recipe), Progress(8))


def fit(phase: Finetuning, batches: Any) -> None:
    """Train on some batches."""
    phase.model.fit(batches, epochs=1, shuffle=False, verbose=0)


def measure(work: Callable[[], None], steps: int) -> Cost:
    """Return the seconds and CPU seconds of one step of this process."""
    before, start = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - start, os.times()
    return seconds / steps, (sum(after[:2]) - sum(before[:2])) / steps


@contextmanager
def start_torch(
    backbone: str, batch_size: int, size_px: int, flags: Any
) -> Iterator[Callable[[], dict[str, Cost]]]:
    """Yield a function that lets PyTorch do some steps, each way that it knows."""
    if flags.torch_python is None:
        yield dict
        return
    command = [flags.torch_python, Path(__file__).with_name("_train_torch.py")]
    command += ["--backbone", backbone, "--batch-size", batch_size, "--size-px", size_px]
    command += ["--steps", flags.steps]
    command += ["--bfloat16"] if keras.mixed_precision.dtype_policy().name != "float32" else []
    command += ["--compile"] if flags.torch_compile else []
    with subprocess.Popen(  # noqa: S603
        [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def read() -> Any:
            line = process.stdout.readline()
            if not line:
                raise DarkroomError(f"{flags.torch_python}: PyTorch ended before it answered")
            return json.loads(line)

        about = read()
        print(f"PyTorch {about['version']} on {about['device']}")

        def ask() -> dict[str, Cost]:
            process.stdin.write("\n")
            process.stdin.flush()
            return {f"PyTorch, {name}": tuple(cost) for name, cost in read().items()}

        yield ask
        process.stdin.close()


@contextmanager
def watch_gpu() -> Iterator[Callable[[], list[float]]]:
    """Yield a function that says how busy the GPU was, percent, five times a second."""
    if shutil.which("nvidia-smi") is None:
        yield list
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    seen: list[float] = []
    process = subprocess.Popen([*command, "-lms", "200"], stdout=subprocess.PIPE, text=True)  # noqa: S603
    yield lambda: seen
    process.terminate()
    for line in process.communicate()[0].splitlines():
        with suppress(ValueError):
            seen.append(float(line))
