"""Where a training run stands, on disk: after a SIGKILL the next one goes on from there."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.common.errors import DarkroomError
from components.common.files.writing import remove_written, writing
from components.train.runtime.machines import agree_on

META = "meta"  # member of a part that holds its JSON


class Checkpoint:
    """A folder beside the model; it is removed when the model is written.

    Each part is one file, written whole or not at all: a kill leaves the part before.
    """

    def __init__(self, model: Path, identity: Mapping[str, Any], writes: bool = True) -> None:
        """Find what an earlier run of the same identity left; of another, remove it.

        Args:
            model: file that the run will write.
            identity: all that decides the result: settings, digests, versions.
            writes: whether this process reads and writes; of several machines, the first.
        """
        self.writes = writes
        self.folder = model.with_name(f"{model.stem}.checkpoint")
        text = json.dumps(identity, sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        found = self.folder / "key"
        if not writes:
            return
        left: list[str] = []
        if not self._is_of(key, found):
            own = self._read("run")
            left = [*self.abandoned, *([str(own[0]["run_id"])] if own else [])]
            remove_written(self.folder)
            if self.folder.exists():
                raise DarkroomError(
                    f"{self.folder}: training keeps its checkpoint there, but it holds what "
                    "training did not write; nothing of that was touched: move it away"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        if not found.is_file():
            with writing(found) as temporary:
                temporary.write_text(key)
        if left:
            self.save("abandoned", {"run_ids": left}, {})

    def save(self, part: str, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write a part: numbers and words as JSON, and arrays."""
        if not self.writes:
            return
        packed = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        with writing(self.folder / f"{part}.npz", damaged=True) as temporary:
            members: dict[str, Any] = {META: packed, **arrays}
            np.savez(temporary, **members)

    def load(self, part: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Read a part; None if there is none, or a damaged one.

        Several machines get what the first reads, wherever it keeps it.
        """
        return agree_on(self._read(part) if self.writes else None)

    def _is_of(self, key: str, found: Path) -> bool:
        """Whether the folder holds a run of this identity, or nothing."""
        if not self.folder.is_dir():
            return not self.folder.exists()
        if found.is_file():
            return found.read_text() == key
        return not any(self.folder.iterdir())

    def _read(self, part: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        try:
            with np.load(self.folder / f"{part}.npz", allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return json.loads(arrays.pop(META).tobytes()), arrays
        except (FileNotFoundError, zipfile.BadZipFile, KeyError, ValueError, EOFError):
            return None

    @property
    def run_id(self) -> str:
        """The MLflow run of the training that was killed; empty if there is none."""
        found = self.load("run")
        return str(found[0]["run_id"]) if found else ""

    @property
    def abandoned(self) -> list[str]:
        """MLflow runs of trainings with other settings that were killed: nobody goes on with them.

        Of several machines, the first knows them.
        """
        found = self._read("abandoned") if self.writes else None
        return [str(run_id) for run_id in found[0]["run_ids"]] if found else []

    def keep_run(self, run_id: str) -> None:
        """Note the MLflow run, for whoever goes on."""
        self.save("run", {"run_id": str(run_id)}, {})

    def remove(self) -> None:
        """Remove the folder: the run is over."""
        if self.writes:
            remove_written(self.folder)
