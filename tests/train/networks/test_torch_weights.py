"""The reader of PyTorch checkpoints: layouts, and files that are damaged or mean harm."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.errors import DarkroomError
from components.train.networks.files.torch_weights import MAGIC, read_torch_weights

MACHINE = {"protocol_version": 1001, "little_endian": True}


class _Global:
    """Pickles as a name of a module that need not be installed."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Call:
    """Pickles as a call of a global with arguments."""

    def __init__(self, function: _Global, arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments


class _Storage:
    """Pickles as a persistent id, as torch.save writes a storage."""

    def __init__(self, key: str, kind: str, size: int) -> None:
        self.pid = ("storage", _Global("torch", kind), key, "cpu", size, None)


class _Pickler(pickle._Pickler):  # the one in Python, whose steps can be written by hand
    def persistent_id(self, value: Any) -> Any:
        return value.pid if isinstance(value, _Storage) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, _Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


def write_checkpoint(
    file: Path, tensors: dict[str, np.ndarray], strides: dict[str, tuple[int, ...]] | None = None
) -> None:
    """Write a checkpoint in PyTorch's legacy form; strides count elements of the flat storage."""
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    state = OrderedDict()
    for name, array in tensors.items():
        storage = _Storage(name, "FloatStorage", array.size)
        step = (strides or {}).get(name) or tuple(s // array.itemsize for s in array.strides)
        arguments = (storage, 0, array.shape, step, False, OrderedDict())
        state[name] = _Call(rebuild, arguments)
    with file.open("wb") as stream:
        for value in (MAGIC, 1001, MACHINE, state, sorted(tensors)):
            _Pickler(stream, protocol=2).dump(value)
        for name in sorted(tensors):
            stream.write(tensors[name].size.to_bytes(8, "little"))
            stream.write(tensors[name].tobytes())


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"conv.weight": (4, 3, 2, 2), "bias": (5,), "one": ()}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_tensors_come_back(tensors: dict[str, np.ndarray], tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "weights.pth", tensors)
    found = read_torch_weights(tmp_path / "weights.pth")
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert np.array_equal(found[name], array)


def test_strides_are_followed(tmp_path: Path) -> None:
    # A kernel that is stored channels last: reading it in row order would mix its numbers.
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)  # (out, in, high, wide)
    stored = kernel.transpose(0, 2, 3, 1).copy()  # (out, high, wide, in)
    file = tmp_path / "weights.pth"
    write_checkpoint(file, {"k": stored.reshape(kernel.shape)}, {"k": (12, 1, 6, 3)})
    assert np.array_equal(read_torch_weights(file)["k"], kernel)


class _Harm:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("position", range(5))
def test_a_file_that_would_run_something_is_refused(position: int, tmp_path: Path) -> None:
    file, made = tmp_path / "harm.pth", tmp_path / "made"
    values: list[Any] = [MAGIC, 1001, MACHINE, OrderedDict(), []]
    values[position] = _Harm(made)
    file.write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in values))
    with pytest.raises(DarkroomError, match=r"refuses posix\.mkdir|refuses nt\.mkdir"):
        read_torch_weights(file)
    assert not made.exists()
    # Python's own unpickler would have obeyed.
    pickle.loads(pickle.dumps(values[position], protocol=2))
    assert made.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("torch", "load"), ("collections", "Counter"), ("torch._utils", "x")],
)
def test_only_three_names_are_known(module: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    with file.open("wb") as stream:
        _Pickler(stream, protocol=2).dump(_Call(_Global(module, name), ()))
    with pytest.raises(DarkroomError, match=rf"refuses {module}\.{name}"):
        read_torch_weights(file)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_is_refused(
    share: float, tensors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    write_checkpoint(file, tensors)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DarkroomError) as error:
        read_torch_weights(file)
    assert str(error.value).startswith(f"{file}: not a legacy PyTorch checkpoint")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_read_or_refused(
    seed: int, tensors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Whatever byte is wrong: an array of some numbers, or one clear error, and no crash."""
    file = tmp_path / "weights.pth"
    write_checkpoint(file, tensors)
    content = bytearray(file.read_bytes())
    random = np.random.default_rng(seed)
    for place in random.integers(0, len(content), 3):
        content[place] = int(random.integers(0, 256))
    file.write_bytes(content)
    found: dict[str, np.ndarray] = {}
    with contextlib.suppress(DarkroomError):  # any other error fails the test
        found = read_torch_weights(file)
    assert all(isinstance(array, np.ndarray) for array in found.values())


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    write_checkpoint(file, {"k": np.zeros((2, 2), np.float32)}, {"k": (1000, 1)})
    with pytest.raises(DarkroomError, match="reaches beyond its storage"):
        read_torch_weights(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="cannot read the weights"):
        read_torch_weights(tmp_path / "none.pth")
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04 as PyTorch writes since 1.6")
    with pytest.raises(DarkroomError, match="not a legacy PyTorch checkpoint"):
        read_torch_weights(tmp_path / "zip.pth")
