"""The served form: loaded in a fresh process far from this repository, and over HTTP."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.common.serving import classifier
from components.common.serving.classifier import Classifier
from components.promote.registry.registry import Registry
from tests.predict.conftest import CLASSES

QUESTION = """
import json, sys
from pathlib import Path
import mlflow, pandas as pd

model = mlflow.pyfunc.load_model("models:/darkroom@champion")
images = [Path(name).read_bytes() for name in sys.argv[1:]]
answers = model.predict(pd.DataFrame({"image": images}))
import components
print(json.dumps([Path(components.__file__).parts[-3], answers.to_dict("records")]))
mixed = model.predict(pd.DataFrame({"image": [images[0], b"junk"]}))
print(json.dumps(mixed.to_dict("records")))
"""


def surroundings(store: Path) -> dict[str, str]:
    """Nothing of this repository on the path."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(store),
        "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def expect(model: Path, files: list[Path], answers: list[dict[str, Any]]) -> None:
    offline = Classifier(model).classify(files).probabilities
    for row, answer in zip(offline, answers, strict=True):
        assert list(answer) == ["label", "probability", "unsure", "probabilities", "reason"]
        assert answer["reason"] is None
        assert answer["label"] == CLASSES[int(row.argmax())]
        assert answer["unsure"] is bool(row.max() < 0.45)
        assert answer["probability"] == pytest.approx(row.max(), abs=1e-5)
        shares = [answer["probabilities"][name] for name in CLASSES]
        assert shares == pytest.approx(row, abs=1e-5)


@pytest.mark.slow
def test_loaded_with_its_own_code_it_answers_as_measured(
    registered: Registry, model: Path, photos: Path, tmp_path: Path
) -> None:
    files = sorted(photos.glob("[0-9].png"))
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", QUESTION, *map(str, files)],
        cwd=tmp_path / "elsewhere",
        env=surroundings(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    place, answers = json.loads(first)
    assert place == "code"  # the copy beside the model, not this repository
    expect(model, files, answers)
    good, bad = json.loads(second)
    expect(model, files[:1], [good])
    assert (
        bad.pop("reason") == "not a readable image (not an image: none of JPEG, PNG, WEBP, BMP, "
        "GIF, TIFF, PPM, AVIF, JPEG2000, HEIC)"
    )
    assert set(bad.values()) == {None}


@pytest.fixture
def server(registered: Registry, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "mlflow models serve --env-manager local -m models:/darkroom@champion"
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "mlflow", *command.split()[1:], "--port", str(port)],
            cwd=tmp_path,
            env=surroundings(tmp_path),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"{address}/ping", timeout=5)
                    break
                except OSError:
                    assert process.poll() is None, (tmp_path / "server.log").read_text()
                    time.sleep(1)
            yield address
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


def post(address: str, content: object) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{address}/invocations",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask_by_curl(address: str, file: Path) -> Any:
    """Ask with the line of docs/serving.md, as a person copies it."""
    docs = (Path(classifier.__file__).parents[3] / "docs/serving.md").read_text()
    lines = re.findall(r"```sh\n(curl .*?)```", docs, re.S)
    (line,) = (line for line in lines if "dataframe_records" in line)
    line = line.replace("localhost:8080", address.removeprefix("http://"))
    line = line.replace("photo.jpg", shlex.quote(str(file)))
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.e2e
def test_server_takes_base64_and_answers_as_measured(
    server: str, model: Path, photos: Path
) -> None:
    files = sorted(photos.glob("[0-9].png"))
    records = [{"image": base64.b64encode(file.read_bytes()).decode()} for file in files]
    status, found = post(server, {"dataframe_records": records})
    assert status == 200
    expect(model, files, found["predictions"])
    expect(model, files[:1], ask_by_curl(server, files[0])["predictions"])
    junk = base64.b64encode(b"junk").decode()
    status, found = post(server, {"dataframe_records": [records[0], {"image": junk}]})
    assert status == 200
    expect(model, files[:1], found["predictions"][:1])
    assert found["predictions"][1]["label"] is None
    assert found["predictions"][1]["reason"].startswith("not a readable image")
    status, found = post(server, {"dataframe_records": [{"picture": junk}]})
    assert status == 400
