"""What the network runs on: number format, GPUs of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from components.common.backend import keras, tf
from components.common.errors import DarkroomError
from components.common.terminal import say

Result = TypeVar("Result")

# How TensorFlow, XLA and Python say that memory is short.
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OOM when allocating", "out of memory")
TOO_LITTLE = (
    "train: the device has too little memory for one image at a time; choose a smaller "
    "train.backbone or preprocess.size_px"
)
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def set_precision(wanted: str) -> str:
    """Set the number format of new layers; return it in words, with the reason."""
    capability = find_compute_capability()
    if wanted != "auto":
        name, reason = wanted, "as set"
    elif capability is None:
        name, reason = "float32", "no GPU; others are slower on a CPU"
    elif capability >= (8, 0):
        name, reason = "bfloat16", f"GPU of compute capability {capability[0]}.{capability[1]}"
    elif capability >= (7, 0):
        name, reason = "float16", f"GPU of compute capability {capability[0]}.{capability[1]}"
    else:
        name, reason = "float32", "this GPU is no faster with shorter numbers"
    keras.mixed_precision.set_dtype_policy(POLICIES[name])
    return f"computing in {name} ({reason}), backend {keras.backend.backend()}"


def find_compute_capability() -> tuple[int, int] | None:
    """Return that of the first GPU; None without one."""
    if keras.backend.backend() == "jax":
        import jax

        found = getattr(jax.devices()[0], "compute_capability", None)
        parts = str(found).split(".") if found else []
        return (int(parts[0]), int(parts[1])) if len(parts) == 2 else None
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    major, minor = tf.config.experimental.get_device_details(gpus[0])["compute_capability"]
    return int(major), int(minor)


def within_memory(images: int, work: Callable[[int], Result]) -> Result:
    """Do work with so many images at once, or half as many until memory holds them.

    Raises:
        DarkroomError: if it does not hold one.
    """
    while True:
        try:
            return work(images)
        except Exception as error:  # each backend has its own exception for it
            if not is_out_of_memory(error):
                raise
        if images == 1:
            raise DarkroomError(TOO_LITTLE)
        say(f"out of memory with {images} images at once: going on with {images // 2}")
        images //= 2


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says so."""
    return any(words in f"{type(error).__name__} {error}" for words in OUT_OF_MEMORY)


def create_forward(model: keras.Model) -> Any:
    """Return a function from pixels (images, size, size, 3) to the model's answers, batch by batch.

    It takes the weights as they are then, and its answers may still be on their way. A batch is
    split over the GPUs of this machine; of several machines each computes on its own.
    """
    if keras.backend.backend() != "jax":
        return model.predict_on_batch
    import jax

    devices = jax.local_devices()
    mesh = jax.sharding.Mesh(np.array(devices), ("images",))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("images"))
    compute = jax.jit(lambda *state: model.stateless_call(*state, training=False)[0])

    known: list[Any] = []  # the values that `copies` were made of
    copies: list[Any] = []  # trainable weights and others, on each GPU of this machine

    def read() -> list[Any]:
        groups = (model.trainable_variables, model.non_trainable_variables)
        values = [variable.value for group in groups for variable in group]
        if len(values) != len(known) or any(a is not b for a, b in zip(values, known, strict=True)):
            known[:] = values
            copies[:] = [
                [jax.device_put(np.asarray(variable.value), whole) for variable in group]
                for group in groups
            ]
        return copies

    def forward(pixels: np.ndarray) -> Any:
        images = len(pixels)
        filled = np.resize(pixels, (-(-images // len(devices)) * len(devices), *pixels.shape[1:]))
        return compute(*read(), jax.device_put(filled, split))[:images]

    return forward
