"""Real servers for tests: PostgreSQL, an S3-style store (moto), MLflow; lines that can be cut."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def starting_postgres() -> Iterator[str]:
    """Yield the address of a database of PostgreSQL, or skip with the reason."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = homes[-1] if homes else Path(shutil.which("initdb") or "/nowhere").parent
    if not (programs / "initdb").exists():
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder, port, prefix = Path(tempfile.mkdtemp(prefix="darkroom-pg-")), find_port(), []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        prefix = ["runuser", "-u", "postgres", "--"]

    def call(program: str, *words: str) -> None:
        command = [*prefix, str(programs / program), "-D", str(folder / "data"), *words]
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd="/")

    try:
        call("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
        call("pg_ctl", "-w", "-o", f"-p {port} -k {folder} -h 127.0.0.1 -F", "start")
        try:
            yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


@contextmanager
def running(
    command: list[str], address: str, log: Path, variables: dict[str, str]
) -> Iterator[None]:
    """Run a server until the body ends; it answers when the body begins."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=variables, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # it holds nothing worth a farewell
        process.wait(30)


class Line:
    """A line to a server. `cut` breaks it after so many bytes sent, `down` refuses everybody,
    and what is sent waits for `delay_seconds`."""

    def __init__(self, port: int) -> None:
        self.server, self.port = port, find_port()
        self.down, self.cut, self.cuts, self.delay_seconds = False, None, 0, 0.0
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.server))
            except OSError:  # it has ended, and somebody asks still
                client.close()
                continue
            for source, target, is_up in ((client, server, True), (server, client, False)):
                pump = threading.Thread(target=self._pump, args=(source, target, is_up))
                pump.daemon = True
                pump.start()

    def _pump(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sent += len(data)
                if is_up:
                    time.sleep(self.delay_seconds)
                if self.down or (is_up and self.cut is not None and sent > self.cut):
                    self.cuts += 1
                    self.cut = None
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def start_moto(folder: Path, variables: dict[str, str]) -> tuple[contextlib.ExitStack, int]:
    stack, port = contextlib.ExitStack(), find_port()
    command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    stack.enter_context(
        running(command, f"http://127.0.0.1:{port}/moto-api/", folder / "moto.log", variables)
    )
    return stack, port


def start_mlflow(
    folder: Path, variables: dict[str, str], database: str, artifacts: str, *more: str
) -> tuple[contextlib.ExitStack, int]:
    stack, port = contextlib.ExitStack(), find_port()
    command = [str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", database, "--default-artifact-root", artifacts]
    command += ["--no-serve-artifacts", "--workers", "1", *more]
    # Seven processes more, for jobs of its own, would have nothing to do here.
    variables = variables | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    stack.enter_context(
        running(command, f"http://127.0.0.1:{port}/health", folder / "mlflow.log", variables)
    )
    return stack, port
