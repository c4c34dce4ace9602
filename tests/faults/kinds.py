"""The faults: each runs a room with one in its way, and says how the room ended."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.faults.project import Line, Stage, measure_kb, start
from tests.promote import servers

LIMIT_SECONDS = 300  # ten times the slowest room; whoever waits longer hangs
TRACKED = ("train", "evaluate", "promote")
Kind = Callable[["Trial"], list[int]]


@dataclass
class Trial:
    """A room, a project of its own in the state before that room, and the dice."""

    line: Line
    stage: Stage
    folder: Path
    dice: random.Random

    def start(self, fault: str = "", **variables: str) -> subprocess.Popen[str]:
        return start(self.stage, self.folder, fault, **variables)

    def draw_touch(self) -> int:
        return self.dice.randint(1, self.line.touches[self.stage.room])

    def wait(self, process: subprocess.Popen[str]) -> int:
        try:
            return process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"hung for {LIMIT_SECONDS} s") from None


def interrupt(trial: Trial, name: str) -> list[int]:
    """Send a signal at a touch of the project, or as often at a moment of its time."""
    if trial.dice.random() >= 0.7:
        process = trial.start()
        time.sleep(trial.dice.uniform(0.1, 1) * trial.line.seconds[trial.stage.room])
        process.send_signal(signal.SIGKILL if name == "kill" else signal.SIGTERM)
        if code := trial.wait(process):
            return [code]
        # It was done before that moment: then it is interrupted over its own outputs.
    return [trial.wait(trial.start(f"{name} {trial.draw_touch()}"))]


def kill(trial: Trial) -> list[int]:
    return interrupt(trial, "kill")


def terminate(trial: Trial) -> list[int]:
    return interrupt(trial, "term")


def fill_disk(trial: Trial) -> list[int]:
    """Let the project lie on a disk that holds a part of what the room writes; then enlarge it."""
    kept, disk = trial.folder.with_name(f"{trial.folder.name}.kept"), trial.folder
    grows_kb = trial.line.grows_kb[trial.stage.room]
    size_kb = measure_kb(disk) + int(grows_kb * trial.dice.uniform(0.02, 0.98))
    disk.rename(kept)
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        disk.rmdir()
        kept.rename(disk)
        raise NotTried("no small disk can be mounted here")
    try:
        shutil.copytree(kept, disk, symlinks=True, dirs_exist_ok=True)
        code = trial.wait(trial.start())
        shutil.rmtree(kept)
        shutil.copytree(disk, kept, symlinks=True)  # as a larger disk would hold it
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    disk.rmdir()
    kept.rename(disk)
    return [code]


def damage_input(trial: Trial) -> list[int]:
    """Cut a file that the room reads at any byte; afterwards it is whole again."""
    file = draw_input(trial)
    whole = file.read_bytes()
    file.write_bytes(whole[: trial.dice.randrange(len(whole))])
    code = trial.wait(trial.start())
    file.write_bytes(whole)
    return [code]


def lose_input(trial: Trial) -> list[int]:
    """Let a file that the room reads vanish while it runs; afterwards it is there again."""
    file = draw_input(trial)
    name = str(file.relative_to(trial.folder))
    code = trial.wait(trial.start(f"gone:{name} {trial.draw_touch()}"))
    gone = Path(f"{trial.folder}.gone")
    if gone.exists():
        gone.rename(file)
    return [code]


def draw_input(trial: Trial) -> Path:
    if not trial.stage.reads:
        raise NotTried("it reads no file")
    path = trial.folder / trial.dice.choice(sorted(trial.stage.reads))
    files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    return trial.dice.choice([file for file in files if file.stat().st_size])


def run_two(trial: Trial) -> list[int]:
    """Start the room twice, one shortly after the other."""
    first = trial.start()
    time.sleep(trial.dice.uniform(0, 0.3) * trial.line.seconds[trial.stage.room])
    return [trial.wait(process) for process in (first, trial.start())]


def have_no_home(trial: Trial) -> list[int]:
    """Give it a home that nobody can write into, not even root."""
    return [trial.wait(trial.start(HOME="/proc", XDG_CACHE_HOME="", XDG_CONFIG_HOME=""))]


def have_no_tmp(trial: Trial) -> list[int]:
    """Close every place for temporary files, in a mount namespace of the process alone."""
    places = [p for p in ("/tmp", "/var/tmp", "/dev/shm") if Path(p).is_dir()]
    # The project may lie below /tmp: its own mount stays open when that around it is closed.
    folder = trial.folder.resolve()
    steps = [f"mount --bind {folder} {folder}"]
    for place in places:
        steps += [f"mount --rbind {place} {place}", f"mount -o remount,bind,ro {place}"]
    script = " && ".join([*steps, f"cd {folder}", 'exec "$@"'])
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        raise NotTried("no mount namespace can be made here")
    variables = {"TMPDIR": "/tmp"}
    return [trial.wait(start(trial.stage, trial.folder, prefix=prefix, **variables))]


def jump_back(trial: Trial) -> list[int]:
    """Let the clock go back by an hour while it runs, as Python's `time.time` tells it."""
    return [trial.wait(trial.start(f"clock {trial.draw_touch()}"))]


def cut_mlflow(trial: Trial) -> list[int]:
    """Put a line before MLflow's server that breaks within a message."""
    check_tracked(trial)
    variables = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    database = f"sqlite:///{trial.folder / 'mlflow.db'}"
    log = trial.folder.with_name(f"{trial.folder.name}.servers")
    log.mkdir()
    stack, port = servers.start_mlflow(log, variables, database, str(trial.folder / "mlruns"))
    line = servers.Line(port)
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, log)
        ends.callback(line.close)
        ends.enter_context(stack)
        line.cut = trial.dice.randint(1, 3000)
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
    if trial.stage.room not in TRACKED:
        raise NotTried("it does not ask MLflow")


class NotTried(Exception):  # noqa: N818 - it is none
    """A fault that this room, or this machine, cannot have; with the reason."""


KINDS: dict[str, Kind] = {
    "SIGKILL": kill,
    "SIGTERM": terminate,
    "full disk": fill_disk,
    "damaged input": damage_input,
    "vanishing input": lose_input,
    "two at once": run_two,
    "no home": have_no_home,
    "no /tmp": have_no_tmp,
    "clock goes back": jump_back,
    "MLflow cut": cut_mlflow,
    "MLflow 500": break_mlflow,
}
