"""What a network comes in: checkpoints of others, and our own model file."""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from tests.fuzz.parser import Parser, with_file
from tests.train.networks.tiny_vit import AUGREG, DINOV2, write_timm


def read_torch(data: bytes) -> None:
    from components.train.networks.files.torch_weights import read_torch_weights

    with_file(read_torch_weights, "weights.pth")(data)


def seed_torch() -> list[bytes]:
    from components.train.networks.files.torch_weights import MAGIC

    # Of protocol 2, as PyTorch writes it: a tensor of two numbers in a storage of two.
    tensor = (
        b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02"
        b"((X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05"
        b"X\x03\x00\x00\x00cpuq\x06K\x02Ntq\x07QK\x00K\x02\x85q\x08K\x01\x85q\x09\x89ccollections\n"
        b"OrderedDict\nq\n)Rq\x0btq\x0cRq\rs."
    )
    parts = [MAGIC, 1001, {"little_endian": True}]
    head = b"".join(pickle.dumps(part, protocol=2) for part in parts)
    storage = (2).to_bytes(8, "little") + np.array([1, 2], "<f4").tobytes()
    return [head + tensor + pickle.dumps(["0"], protocol=2) + storage]


def read_checkpoint(data: bytes) -> None:
    """The bytes: config.json, a line break, a file of safetensors."""
    from components.train.networks.published.checkpoints import read_checkpoint as read

    config, _, weights = data.partition(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_bytes(config)
        (Path(folder) / "model.safetensors").write_bytes(weights)
        read(Path(folder)).read_tensors()


def seed_checkpoints() -> list[bytes]:
    found = []
    for kind in (AUGREG, DINOV2):
        with tempfile.TemporaryDirectory() as folder:
            write_timm(Path(folder) / "net", kind)
            parts = [Path(folder, "net", name) for name in ("config.json", "model.safetensors")]
            found.append(b"\n".join(part.read_bytes() for part in parts))
    return found


def read_card(data: bytes) -> None:
    from components.common.artifacts.model import read_card as read

    with_file(read, "model.keras")(data)


def seed_cards() -> list[bytes]:
    form = {"size_px": 8, "resize": "crop", "background": "#ffffff"}
    card = {"class_names": ["cat"], "form": form, "backbone": "b", "weights": "", "phase": "probe"}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("darkroom.json", json.dumps(card | {"temperature": 1.0}))
    return [stream.getvalue()]


PARSERS = {
    "torch": Parser(read_torch, seed_torch),
    "checkpoint": Parser(read_checkpoint, seed_checkpoints),
    "card": Parser(read_card, seed_cards),
}
