"""A real server process on a registry of its own, and clients of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.common.files.writing import compute_sha256
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run, start_recorded_run
from components.common.tracking.tags import MODEL_DIGEST, UNSURE_BELOW
from components.predict import spec
from components.promote.registry.registry import Registry
from tests.predict.conftest import CLASSES
from tests.tiny_model import SIZE_PX, make_card, make_model

ROOT = Path(spec.__file__).parents[2]
# Small limits, so that little has to be sent to pass them.
LIMITS = {"max_images": 6, "max_request_mb": 1.5, "max_waiting_mb": 4, "max_megapixels": 6}
HABITS = {"receive_seconds": 3, "refresh_seconds": 0.3, "log_mb": 0.02}


@dataclass
class Server:
    """A process that serves `models:/darkroom@champion`."""

    process: subprocess.Popen[bytes]
    address: str
    registry: Registry
    models: list[Path]  # of versions 1 and 2
    folder: Path

    def post(
        self, path: str, body: object, kind: str | None = "application/json", **headers: str
    ) -> tuple[int, Any]:
        """Return status and content of an answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.address}{path}", data, known)
        if kind is not None:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> Any:
        """Return the content of an answer."""
        with urllib.request.urlopen(f"{self.address}{path}", timeout=60) as answer:
            return json.load(answer)

    def read_peak_mb(self) -> float:
        """Return the largest memory it ever had, MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1000


@pytest.fixture(scope="module")
def server(mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    text = (ROOT / "params.yaml").read_text()
    for name, value in {**LIMITS, **HABITS}.items():
        text = re.sub(rf"(?m)^(    {name}:) \S+", rf"\1 {value}", text)
    (folder / "params.yaml").write_text(text)
    models = [
        make_model(folder / f"{seed}/model.keras", make_card(CLASSES), seed) for seed in (0, 1)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        with start_recorded_run(Mlflow(), folder / "run.json"):
            pass
        with continue_run(Mlflow(), folder / "run.json") as mlflow:
            registry = Registry(mlflow, "darkroom")
            registry.create_model()
            for model in models:
                tags = {MODEL_DIGEST: compute_sha256(model), UNSURE_BELOW: "0.45"}
                registry.register(model, make_card(CLASSES), tags, {}, 0.45)
            registry.set_alias("champion", "1")
        command = [sys.executable, "-m", "components.predict", "serve", "--port", "0"]
        command += ["--model", "models:/darkroom@champion", "--log", "requests.jsonl"]
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            cwd=folder,
        )
        try:
            yield Server(process, _wait(process), registry, models, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def _wait(process: subprocess.Popen[bytes]) -> str:
    """Return the address, when it says it."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line.decode())
        if found := re.search(r"http://\S+", lines[-1]):
            return found[0]
    raise AssertionError("".join(lines))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight readable images of the model's own size."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    files = [folder / f"{number}.png" for number in range(8)]
    for file in files:
        Image.fromarray(random.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)).save(file)
    return files
