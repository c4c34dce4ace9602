"""What the network runs on: number format, several GPUs, several machines.

On the JAX backend of Keras one process a machine holds all its GPUs and the batch is split over
all of them. Each process is told by its environment, as Kubeflow's trainer does: the variables
JAX_COORDINATOR_ADDRESS (host:port of the first), JAX_NUM_PROCESSES and JAX_PROCESS_ID (from 0).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from components.common.backend import keras, tf
from components.common.errors import DarkroomError
from components.common.terminal import say
from components.train.spec import Outputs

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class Machines:
    """Where this process stands among those that train together."""

    process: int = 0
    processes: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes what the room writes."""
        return self.process == 0


def join_machines() -> Machines:
    """Connect to the other processes, if the environment names any, and spread over all GPUs.

    Raises:
        DarkroomError: if the environment is incomplete, or the backend cannot do it.
    """
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    found = [os.environ.get(name, "") for name in names]
    jax = keras.backend.backend() == "jax"
    if not any(found):
        if jax and len(keras.distribution.list_devices()) > 1:
            _split_batches()
        elif not jax and len(tf.config.list_physical_devices("GPU")) > 1:
            say("several GPUs, and TensorFlow uses one of them: KERAS_BACKEND=jax uses all")
        return Machines()
    address, count, number = found
    if not all(found) or not (count.isdigit() and number.isdigit() and int(number) < int(count)):
        raise DarkroomError(
            f"several machines need {names[0]}=host:port, {names[1]}=N and {names[2]}=0 to N-1; "
            f"got {address!r}, {count!r}, {number!r}"
        )
    if not jax:
        raise DarkroomError("several machines need the JAX backend: set KERAS_BACKEND=jax")
    import jax as backend

    # Without a GPU the processes talk through gloo.
    backend.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(address, int(count), int(number))
    _split_batches()
    return Machines(int(number), int(count))


@contextmanager
def only_first_writes(machines: Machines, outputs: Outputs) -> Iterator[Outputs]:
    """Yield where this process writes: the first as asked, others into a folder that goes away."""
    if machines.is_first:
        yield outputs
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = {field.name: getattr(outputs, field.name) for field in fields(outputs)}
        yield Outputs(**{name: Path(folder) / path.name for name, path in paths.items()})


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


def create_forward(model: keras.Model) -> Any:
    """Return a function from pixels (images, size, size, 3) to the model's answers, batch by batch.

    On several machines each computes all rows on its own, with its copy of the weights.
    """
    if keras.backend.backend() != "jax":
        return model.predict_on_batch
    import jax
    import numpy as np

    compute = jax.jit(lambda *state: model.stateless_call(*state, training=False)[0])
    trained = [np.asarray(variable.value) for variable in model.trainable_variables]
    others = [np.asarray(variable.value) for variable in model.non_trainable_variables]
    return lambda pixels: np.asarray(compute(trained, others, pixels))


def _split_batches() -> None:
    # Each process makes its own rows (batches.py): Keras must not shard the data again.
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
