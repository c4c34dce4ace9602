"""Faults of MLflow: slow, broken, cut, its database full, several who move the champion at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from components.common.tracking.relocation import follow_folder
from tests.faults.champion import check_champion
from tests.faults.project import ASKING, change_model, start
from tests.faults.trial import NotTried, Trial
from tests.promote import servers

TRACKED = ("train", "evaluate", "promote", "search", *ASKING)
SLOW_SECONDS = 0.3  # of each question; a server across an ocean behind a proxy


@contextmanager
def serving(trial: Trial) -> Iterator[servers.Line]:
    """Serve the project's MLflow behind a line of ours."""
    check_tracked(trial)
    follow_folder(trial.folder / "mlflow.db")  # a server knows nothing of the copy's place
    variables = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    database = f"sqlite:///{trial.folder / 'mlflow.db'}"
    log = trial.folder.with_name(f"{trial.folder.name}.servers")
    log.mkdir()
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, log)
        artifacts = str(trial.folder / "mlruns")
        stack, port = servers.start_mlflow(log, variables, database, artifacts)
        ends.enter_context(stack)
        line = servers.Line(port)
        ends.callback(line.close)
        yield line


def lose_mlflow(trial: Trial) -> list[int]:
    """Let nobody listen where MLflow is to be."""
    check_tracked(trial)
    address = f"http://127.0.0.1:{servers.find_port()}"
    return [trial.wait(trial.start(MLFLOW_TRACKING_URI=address))]


def cut_mlflow(trial: Trial) -> list[int]:
    """Put a line before MLflow's server that breaks within a message."""
    with serving(trial) as line:
        line.cut = trial.dice.randint(1, 3000)
        return [trial.wait(trial.start(MLFLOW_TRACKING_URI=line.address))]


def slow_mlflow(trial: Trial) -> list[int]:
    """Let each question to MLflow wait."""
    with serving(trial) as line:
        line.delay_seconds = SLOW_SECONDS
        return [trial.wait(trial.start(MLFLOW_TRACKING_URI=line.address))]


class _Broken(BaseHTTPRequestHandler):
    """A server that is there and answers 500 to everything but its health."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200 if self.path == "/health" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def break_mlflow(trial: Trial) -> list[int]:
    """Let MLflow answer 500 to everything."""
    check_tracked(trial)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        return [trial.wait(trial.start(MLFLOW_TRACKING_URI=address))]
    finally:
        server.shutdown()


def check_tracked(trial: Trial) -> None:
    if trial.stage.name not in TRACKED:
        raise NotTried("it does not ask MLflow")


def fill_registry(trial: Trial) -> list[int]:
    """Let MLflow's database lie on a disk with room for a few pages more; then enlarge it."""
    check_tracked(trial)
    own, disk = trial.folder / "mlflow.db", Path(f"{trial.folder}.db")
    follow_folder(own)  # from another folder it would not be known that this is a copy
    disk.mkdir()
    size_kb = own.stat().st_size // 1024 + 16 + trial.dice.randrange(0, 240, 4)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        disk.rmdir()
        raise NotTried("no small disk can be mounted here")
    try:
        shutil.copy(own, disk)
        code = trial.wait(trial.start(MLFLOW_TRACKING_URI=f"sqlite:///{disk / own.name}"))
        for left in own.parent.glob("mlflow.db*"):
            left.unlink()
        for file in disk.glob("mlflow.db*"):  # with its journal, where one was left
            shutil.copy(file, own.parent)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
    return [code]


def move_at_once(trial: Trial) -> list[int]:
    """Let two promote while a third goes back, in a copy; afterwards go back undisturbed."""
    if trial.stage.name != "rollback":
        raise NotTried("it moves no champion")
    copy = trial.folder.with_name(f"{trial.folder.name}.copy")
    shutil.copytree(trial.folder, copy, symlinks=True)
    change_model(copy, "automatic", "a third")
    stages, log = trial.line.stages, Path(f"{copy}.log")
    running = []
    for name in trial.dice.sample(["promote", "promote", "rollback"], 3):
        running.append(start(stages[name], copy))
        time.sleep(trial.dice.uniform(0, 2))
    codes = [trial.wait(process) for process in running]
    said = log.read_text(encoding="utf-8")
    assert "Traceback" not in said, f"a traceback instead of words\n{said[-2000:]}"
    assert set(codes) <= {0, 1}, f"they ended with {codes}"
    check_champion(copy)
    history = trial.wait(start(stages["history"], copy))
    assert history == 0, f"the ledger is broken\n{log.read_text(encoding='utf-8')[-2000:]}"
    shutil.rmtree(copy)
    shutil.rmtree(f"{copy}.tmp")
    log.unlink()
    return [trial.wait(trial.start())]
