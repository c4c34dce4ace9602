"""The check before an alias moves, as it runs: a fresh process, HTTP, raw bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from components.common.artifacts.predictions import Predictions
from components.common.artifacts.sample import Sample
from components.common.files.writing import compute_sha256
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run, start_recorded_run
from components.common.tracking.server import find_uri
from components.common.tracking.tags import MODEL_DIGEST
from components.promote.registry import registry
from components.promote.registry.registry import Registry
from components.promote.serving import check
from components.promote.serving.check import Server, starting_server
from components.promote.serving.sample import take_sample
from components.promote.spec import Inputs
from tests.tiny_model import make_card

ROOT = Path(registry.__file__).parents[3]
SECONDS = 5  # in which a process ends that looks five times a second


@pytest.fixture
def registered(mlflow_store: Path, models: list[Path]) -> Registry:
    with start_recorded_run(Mlflow(), mlflow_store / "run.json"):
        pass
    with continue_run(Mlflow(), mlflow_store / "run.json") as mlflow:
        found = Registry(mlflow, "darkroom")
        found.create_model()
        tags = {MODEL_DIGEST: compute_sha256(models[0])}
        found.register(models[0], make_card(), tags, {}, unsure_below=0.7)
    return found


@pytest.fixture
def server(registered: Registry) -> Iterator[Server]:
    with starting_server(find_uri()) as found:
        yield found


@pytest.fixture
def sample(photos: Path, evaluations: list[Predictions]) -> Sample:
    return take_sample(photos, evaluations[0], 8)


def test_answers_over_http_are_those_that_were_measured(
    server: Server, sample: Sample, evaluations: list[Predictions]
) -> None:
    assert len(set(sample.paths)) == 8
    served = server.check("models:/darkroom/1", sample, 3.0)
    assert (served.problem, served.images) == ("", 8)
    assert served.difference <= 1e-5
    assert 0 < served.median_ms <= served.p95_ms
    assert served.figures["served.mb"] == 3.0


def test_a_server_goes_with_who_started_it_while_it_still_imports(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from components.promote.serving.check import Server\n"
        f"server = Server('sqlite:///{tmp_path / 'mlflow.db'}')\n"
        "print(server._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        left = int(parent.stdout.readline())
    with suppress(psutil.NoSuchProcess):
        psutil.Process(left).wait(SECONDS)


@pytest.mark.slow
def test_difference_is_a_problem(server: Server, sample: Sample) -> None:
    moved = sample.probabilities + np.array([2e-5, -2e-5])
    served = server.check("models:/darkroom/1", replace(sample, probabilities=moved), 3.0)
    assert f"for {sample.paths[0]}" in served.problem or "differs by" in served.problem


def test_model_that_does_not_load_is_a_problem_in_its_own_words(
    registered: Registry, mlflow_store: Path, sample: Sample
) -> None:
    kept = next((mlflow_store / "mlruns").rglob("model.keras"))
    kept.write_bytes(b"no model")
    with starting_server(find_uri()) as server:
        served = server.check("models:/darkroom/1", sample, 3.0)
    assert "not a model that Darkroom trained" in served.problem
    assert not served.figures
    assert "not fit" in served.words


@pytest.mark.slow
def test_a_server_that_is_slow_is_told_as_that(
    registered: Registry, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its libraries had chatted last was given as the reason."""
    monkeypatch.setattr(check, "TIMEOUT_SECONDS", 0.01)
    with starting_server(find_uri()) as server:
        served = server.check("models:/darkroom/1", sample, 3.0)
    assert served.problem == "it did not load in 0 s; is this machine very busy?"


def test_a_server_that_is_killed_is_told_as_that(registered: Registry, sample: Sample) -> None:
    with starting_server(find_uri()) as server:
        server._process.kill()
        served = server.check("models:/darkroom/1", sample, 3.0)
    assert served.problem == (
        "its server was ended by SIGKILL, as a system does whose memory is full"
    )


@pytest.mark.slow
def test_what_libraries_chat_is_no_reason(sample: Sample, tmp_path: Path) -> None:
    with starting_server(f"sqlite:///{tmp_path / 'none' / 'mlflow.db'}") as server:
        server._log.write(b"OSError: it was this\nI0000 00:00:1.2 7 cudart_stub.cc:31] no GPU\n")
        server._log.flush()
        server._process.stdin.close()  # type: ignore[union-attr]
        server._process.wait(120)
        words = server._describe(OSError("hung up"))
    assert words == "OSError: it was this"


@pytest.mark.e2e
@pytest.mark.slow
def test_stage_as_a_person_runs_it(mlflow_store: Path, lay_out: Callable[..., Inputs]) -> None:
    """Quiet, with the served check for real, and without TensorFlow in its own process."""
    images = 30
    parts = [{"name": name, "images": 15, "recall": 0.9} for name in ("cat", "dog")]
    inputs = lay_out(images=images, ece=0.02, classes=parts, unsure_below=0.6)
    with start_recorded_run(Mlflow(), inputs.run):
        pass
    text = (ROOT / "params.yaml").read_text().replace("min_images: 20", "min_images: 10")
    (mlflow_store / "params.yaml").write_text(text)
    flags = [word for name, value in vars(inputs).items() for word in (f"--{name}", str(value))]
    code = (
        "import sys\n"
        "from components.common.cli import run_room\n"
        "run_room('promote')\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'great_expectations'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *flags, "--verdict", "verdict.json"],
        cwd=mlflow_store,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ["PATH"],
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        },
    )
    assert (done.stderr, done.returncode) == ("", 0)
    lines = done.stdout.splitlines()
    assert lines[1].startswith("6/6 promote · ")
    assert lines[2].startswith("  registered darkroom version 1")
    assert "  ✓ accuracy 0.9 is at least 0.8" in lines
    assert any("the served model answers 16 test images as measured" in line for line in lines)
    assert "  – accuracy: no champion yet to compare with" in lines
    assert lines[-1].startswith("  promoted: every rule holds, and it is the first champion (")
