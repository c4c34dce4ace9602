"""Several machines that train as one, on the JAX backend of Keras.

One process a machine holds all its GPUs, and the batch is split over all of them. Each process is
told by its environment, as Kubeflow's trainer does: the variables JAX_COORDINATOR_ADDRESS
(host:port of the first), JAX_NUM_PROCESSES and JAX_PROCESS_ID (from 0).

Gradients are averaged over all, so the weights stay equal by themselves. What each computes on its
own, and what decides how training goes on, is taken from the first (:func:`agree`): other
processors may differ in the last digit, and machines that decide differently wait for each other.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from components.common.backend import keras, tf
from components.common.errors import DarkroomError
from components.common.terminal import say
from components.train.spec import Outputs

# A machine that is silent for so long is gone, and the others end too.
SILENT_SECONDS = 60
# How gloo and NCCL say that somebody hung up.
LOST = ("Gloo", "NCCL", "UNAVAILABLE")


@dataclass(frozen=True)
class Machines:
    """Where this process stands among those that train together."""

    process: int = 0
    processes: int = 1
    devices: int = 1  # that a batch is split over, of all machines together

    @property
    def is_first(self) -> bool:
        """Whether this process writes what the room writes."""
        return self.process == 0


def join_machines(seed: int) -> Machines:
    """Connect to the other processes, if the environment names any, and spread over all GPUs.

    Args:
        seed: of all that is random, the same on each machine.

    Raises:
        DarkroomError: if the environment is incomplete, or the backend cannot do it.
    """
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    found = [os.environ.get(name, "") for name in names]
    jax = keras.backend.backend() == "jax"
    if not any(found):
        devices = len(keras.distribution.list_devices()) if jax else 1
        if devices > 1:
            _split_batches()
        elif not jax and len(tf.config.list_physical_devices("GPU")) > 1:
            say("several GPUs, and TensorFlow uses one of them: KERAS_BACKEND=jax uses all")
        return Machines(devices=devices)
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
    say(f"machine {int(number) + 1} of {count}: waiting for the others at {address}")
    try:
        backend.distributed.initialize(
            address, int(count), int(number), heartbeat_timeout_seconds=SILENT_SECONDS
        )
    except RuntimeError as error:
        raise DarkroomError(
            f"the machines did not find each other at {address} ({str(error).splitlines()[0]}); "
            "see that all run, and that this address reaches the first"
        ) from None
    keras.utils.set_random_seed(seed)
    _split_batches()
    return Machines(int(number), int(count), int(backend.device_count()))


def is_alone() -> bool:
    """Whether no other process trains along."""
    if keras.backend.backend() != "jax":
        return True
    import jax

    return int(jax.process_count()) == 1


def agree(value: Any) -> np.ndarray:
    """Return what the first machine has, to the bit; all call it, with numbers of one form."""
    value = np.asarray(value)
    if is_alone():
        return value
    from jax.experimental import multihost_utils

    own = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
    told = np.asarray(multihost_utils.broadcast_one_to_all(own))
    return np.frombuffer(told.tobytes(), value.dtype).reshape(value.shape).copy()


def agree_on(
    found: tuple[Mapping[str, Any], Mapping[str, np.ndarray]] | None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Return the numbers, words and arrays that the first machine has; None if it has none."""
    if is_alone():
        return None if found is None else (dict(found[0]), dict(found[1]))
    forms = {} if found is None else {k: (a.dtype.str, a.shape) for k, a in found[1].items()}
    own = json.dumps([None if found is None else found[0], forms]).encode()
    length = int(agree(np.int64(len(own))))
    told = agree(np.frombuffer(own.ljust(length)[:length], np.uint8))
    meta, forms = json.loads(told.tobytes())
    if meta is None:
        return None
    arrays = dict(found[1]) if found else {}
    for name, (kind, shape) in forms.items():
        array = arrays.get(name)
        fits = array is not None and array.dtype.str == kind and list(array.shape) == list(shape)
        arrays[name] = agree(array if array is not None and fits else np.zeros(shape, kind))
    return meta, {name: arrays[name] for name in forms}


def share(count: int) -> np.ndarray:
    """Return which of so many rows this machine works on: as many as every other, from 0 again."""
    if is_alone():
        return np.arange(count)
    import jax

    each = -(-count // jax.process_count())
    return (np.arange(each) + jax.process_index() * each) % count


def gather(rows: np.ndarray) -> np.ndarray:
    """Return the rows of all machines one after another; each has as many: (n, …) → (all, …)."""
    if is_alone():
        return rows
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(rows, tiled=True))


def any_of(flag: bool) -> bool:
    """Whether a machine says yes."""
    if is_alone():
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array([flag], np.int32))))


@contextmanager
def only_first_writes(machines: Machines, outputs: Outputs) -> Iterator[Outputs]:
    """Yield where this process writes: the first as asked, others into a folder that goes away.

    Raises:
        DarkroomError: if another machine was lost.
    """
    if machines.processes == 1:
        yield outputs
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = {field.name: getattr(outputs, field.name) for field in fields(outputs)}
        own = Outputs(**{name: Path(folder) / path.name for name, path in paths.items()})
        try:
            yield outputs if machines.is_first else own
        except Exception as error:  # JAX has several types for it
            if isinstance(error, DarkroomError) or not any(word in str(error) for word in LOST):
                raise
            raise DarkroomError(
                f"another machine was lost ({str(error).splitlines()[0]}); start all of them "
                "again, and training goes on from its last checkpoint"
            ) from None


def _split_batches() -> None:
    # Each process makes its own rows (batches.py): Keras must not shard the data again.
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
