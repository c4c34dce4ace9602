"""Read the tensors of a legacy PyTorch checkpoint without PyTorch and without running it.

A checkpoint of PyTorch before 1.6 is a row of pickles: magic number, protocol version, machine
facts, the state dict, the list of storage keys; then, per storage, an int64 count and the raw
numbers. A pickle may call anything, so the unpickler here knows three harmless names and refuses
every other.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from components.common.errors import DarkroomError

MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
MEMO = ("PUT", "BINPUT", "LONG_BINPUT")  # codes of a pickle that keep what was read under a number
MOST_PLACES = 10_000_000  # a state dict of a thousand tensors has some ten thousand
DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8", "HalfStorage": "<f2", "DoubleStorage": "<f8"}


@dataclass(frozen=True)
class _Tensor:
    """A view into a storage that is read later: strides count elements."""

    storage: tuple[str, ...]  # ("storage", type, key, device, elements, view)
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Restricted(pickle.Unpickler):
    """Knows ordered dicts, tensors and storages; refuses whatever else a pickle asks for."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            )
        if module == "torch" and name in DTYPES:
            return name
        raise pickle.UnpicklingError(f"refuses {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return pid


def read_torch_weights(file: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict by name, each with the shape and layout PyTorch gives it.

    Raises:
        DarkroomError: if the file is missing, damaged, or asks to run something.
    """
    try:
        with file.open("rb") as stream:
            return _read(stream)
    except OSError as error:
        raise DarkroomError(f"{file}: cannot read the weights ({error.strerror})") from None
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        IndexError,
        OverflowError,
        MemoryError,  # a length that no file has
        RecursionError,
    ) as error:
        raise DarkroomError(
            f"{file}: not a legacy PyTorch checkpoint of plain tensors ({error}); "
            "give the file that the weights package ships"
        ) from None


def _read(stream: BinaryIO) -> dict[str, np.ndarray]:
    magic, _protocol, machine = (_load(stream) for _ in range(3))
    if magic != MAGIC or not machine.get("little_endian"):
        raise ValueError("wrong magic number")
    tensors: dict[str, _Tensor] = _load(stream)
    keys: list[str] = _load(stream)
    kinds = {tensor.storage[2]: tensor.storage[1] for tensor in tensors.values()}
    storages = {key: _read_storage(stream, kinds[key]) for key in keys}
    return {name: _view(storages[tensor.storage[2]], tensor) for name, tensor in tensors.items()}


def _load(stream: BinaryIO) -> Any:
    """Return the next pickle, after a look at it: a place of its memo may be anywhere.

    Python makes room for all places before it, so five bytes can ask for gigabytes.
    """
    start = stream.tell()
    for code, place, _ in pickletools.genops(stream):
        if code.name in MEMO and place is not None and int(place) > MOST_PLACES:
            raise pickle.UnpicklingError(f"a memo of {place:,} places")
    stream.seek(start)
    return _Restricted(stream).load()


def _read_storage(stream: BinaryIO, kind: str) -> np.ndarray:
    count = int.from_bytes(stream.read(8), "little")
    dtype = np.dtype(DTYPES[kind])
    if count * dtype.itemsize > os.fstat(stream.fileno()).st_size:
        raise EOFError("a storage is longer than the file")
    data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise EOFError("the file ends early")
    return np.frombuffer(data, dtype)


def _view(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """Return a copy of the tensor; its strides matter, kernels are stored permuted."""
    last = tensor.offset + sum(
        (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min((tensor.offset, *tensor.shape, *tensor.strides, 0)) < 0 or last >= storage.size:
        raise ValueError("a tensor reaches beyond its storage")
    if math.prod(tensor.shape) > storage.size:  # strides of 0 make terabytes of one number
        raise ValueError("a tensor has more numbers than its storage")
    strides = [step * storage.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides)
    return np.array(view)
