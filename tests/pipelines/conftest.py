"""What a cluster answers, and how the pipeline's commands are run against it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import compiler
from pipelines.cli import main
from pipelines.cluster import watching
from pipelines.settings import Settings
from pipelines.steps import fetch as fetching
from pipelines.steps.source import Source
from tests.pipelines.server import Kfp, create_server

PARAMS = Path(__file__).parents[2] / "params.yaml"
IMAGE = "registry.local/darkroom@sha256:" + "a" * 64


class Stub:
    """An artifact as KFP's executor hands it to a task."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.name
        self.metadata: dict[str, object] = {}


COMPILED: dict[str, str] = {}  # settings → the pipeline that was compiled of them


@pytest.fixture(autouse=True)
def compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give commands with the same settings the pipeline that was compiled before: 1 s each."""
    whole = compiler.compile_pipeline

    def compile_pipeline(settings: Settings) -> str:
        key = repr(settings)
        COMPILED[key] = COMPILED.get(key) or whole(settings)
        return COMPILED[key]

    monkeypatch.setattr(compiler, "compile_pipeline", compile_pipeline)


@pytest.fixture(autouse=True)
def name_callers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell KFP its caller's name, which is all that it asks for, without the source of all frames.

    Of frames that have no file, such as those of a worker, inspect looks through all modules that
    are loaded: most of what a compilation costs here.
    """

    def stack() -> list[tuple[object, object, object, str]]:
        frames = sys._getframe(1), sys._getframe(2)
        return [(None, None, None, frame.f_code.co_name) for frame in frames]

    monkeypatch.setattr(inspect, "stack", stack)


@pytest.fixture
def kfp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kfp:
    """Return what a server of KFP holds; nothing of this machine's environment leads to another."""
    names = ("KFP_HOST", "KFP_TOKEN", "KUBERNETES_SERVICE_HOST", "KF_PIPELINES_SA_TOKEN_PATH")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.01)
    return Kfp()


@pytest.fixture
def host(kfp: Kfp) -> Iterator[str]:
    """Return the address of a running server of KFP."""
    server = create_server(kfp)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def call(host: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that calls the command line: exit code, what it printed, its errors."""

    def run(action: str, *words: str, image: str = IMAGE) -> tuple[int, str, str]:
        arguments = [action, "--params", str(PARAMS), "--host", host, *words]
        try:
            main([*arguments, "--set", f"kubeflow.image={image}"])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(params=["volume", 'the team\'s "photos" äß #2'])
def mount(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


@pytest.fixture
def branch(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return what a branch holds, images of a number; each fetch takes it as it is then."""
    holds = {"count": 3}

    def look(_: Any) -> Source:
        return Source(f"of {holds['count']}", "")

    def get(_: Any, folder: Path) -> None:
        (folder / "class").mkdir(parents=True)
        for number in range(holds["count"]):
            (folder / "class" / f"{number}.png").write_bytes(b"png %d" % number)

    monkeypatch.setattr(fetching, "look", look)
    monkeypatch.setattr(fetching, "copy_project", get)
    return holds
