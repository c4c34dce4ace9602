"""What the model costs: parameters, bytes, floating-point operations; and time for an answer.

What is counted is the same each time and stands in metrics.json. What is timed differs from run to
run and from machine to machine, and stands in latency.json.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.common.host import count_cores

WARM_UP = 2  # passes that are not timed: the first compiles


@dataclass(frozen=True)
class Cost:
    """What it takes to keep the model and to ask it, on any machine."""

    parameters: int
    bytes: int  # of model.keras
    flops: int | None  # of one image, a multiplication and an addition are two; None: not known


@dataclass(frozen=True)
class Latency:
    """How long an answer takes on this machine."""

    device: str
    latency_ms: float  # median, one image of ready pixels
    latency_p95_ms: float
    batch_size: int
    batch_ms: float  # median, a batch of that size
    batch_p95_ms: float

    @property
    def images_per_second(self) -> float:
        """Images a second in batches."""
        return 1000 * self.batch_size / self.batch_ms


def count_cost(network: Any, file: Path) -> Cost:
    """Count what a network, pixels → probabilities, is made of."""
    return Cost(
        parameters=int(network.count_params()),
        bytes=file.stat().st_size,
        flops=count_flops(network),
    )


def measure_latency(network: Any, batch_size: int, runs: int) -> Latency:
    """Time a network, pixels → probabilities, as it answers now."""
    side = network.input_shape[1]
    one = time_passes(network, np.zeros((1, side, side, 3), np.uint8), runs)
    many = time_passes(network, np.zeros((batch_size, side, side, 3), np.uint8), runs)
    return Latency(
        device=describe_device(),
        latency_ms=float(np.median(one)),
        latency_p95_ms=float(np.percentile(one, 95)),
        batch_size=batch_size,
        batch_ms=float(np.median(many)),
        batch_p95_ms=float(np.percentile(many, 95)),
    )


def time_passes(network: Any, pixels: np.ndarray, runs: int) -> np.ndarray:
    """Return the milliseconds of each of some forward passes over the same pixels, (runs,)."""
    found = []
    for i in range(WARM_UP + runs):
        start = time.perf_counter()
        network.predict_on_batch(pixels)
        if i >= WARM_UP:
            found.append(1000 * (time.perf_counter() - start))
    return np.array(found)


def count_flops(network: Any) -> int | None:
    """Return the operations of convolutions and dense layers for one image.

    They are counted from the layers' shapes, so any backend will do. Everything else (activations,
    normalisation, pooling) is a few percent and left out. None if nothing of that kind is found.
    """
    total = sum(_count_layer(layer) for layer in network._flatten_layers(include_self=False))
    return total or None


def _count_layer(layer: Any) -> int:
    kernel = getattr(layer, "kernel", None)
    kernels = [kernel] if kernel is not None else []
    if type(layer).__name__ == "SeparableConv2D":
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    if not kernels:
        return 0
    try:
        if type(layer).__name__ == "EinsumDense":
            return _count_einsum(layer)
        shape = layer.output.shape
    except (AttributeError, ValueError):  # not part of a graph of layers
        return 0
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    spatial = shape[1:-1] if channels_last else shape[2:]
    places = int(np.prod([side or 1 for side in spatial], dtype=np.int64)) if len(shape) > 2 else 1
    # Each number of a kernel is used once at each place of the output, for each input it sees.
    return 2 * places * sum(int(np.prod(one.shape, dtype=np.int64)) for one in kernels)


def _count_einsum(layer: Any) -> int:
    """Count by the letters of the equation: all that are not the batch, multiplied."""
    given, kernel, _ = layer.equation.replace("->", ",").split(",")
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    sizes |= dict(zip(given[1:], layer.input.shape[1:], strict=True))
    return 2 * int(np.prod([size or 1 for size in sizes.values()], dtype=np.int64))


def describe_device() -> str:
    """Return what the network runs on, in words."""
    import platform

    from components.common.backend import tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        about = tf.config.experimental.get_device_details(gpus[0])
        return str(about.get("device_name", "GPU"))
    return f"{count_cores()} cores of {platform.machine()}, no GPU"
