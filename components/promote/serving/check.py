"""Ask the registered model, served by a fresh process, about images whose answers are known."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from components.common.artifacts.sample import Sample

TOLERANCE = 1e-5  # of a probability: float32 rounds differently in batches of other sizes
TIMEOUT_SECONDS = 180.0  # until the server answers; it takes about 10
ANSWER_SECONDS = 60.0
REPEATS = 3  # of the sample, for latencies
ENDING_SECONDS = 2.0  # until a process that hung up has ended
# What TensorFlow's libraries log beside errors: `I0000 00:00:17… cudart_stub.cc:31] …`.
CHAT = re.compile(r"[IW]\d{4} |WARNING: All log messages")


@dataclass(frozen=True)
class Served:
    """How the model answered in the form in which it will serve."""

    problem: str  # empty: it answers as measured
    images: int = 0
    difference: float = 0.0  # largest, of a probability, from what evaluate measured
    median_ms: float = 0.0  # of a request with one image, decoding included
    p95_ms: float = 0.0
    mb: float = 0.0  # of the model as it is stored

    @property
    def figures(self) -> dict[str, float]:
        """The figures by the names that rules use; none if it did not answer."""
        if not self.images:
            return {}
        names = ("difference", "median_ms", "p95_ms", "mb")
        return {f"served.{name}": float(getattr(self, name)) for name in names}

    @property
    def words(self) -> str:
        """What was found, in a sentence."""
        if self.problem:
            return f"the served model is not fit: {self.problem}"
        if not self.images:
            return "the served model loads and answers; no image of the test split is kept for it"
        return (
            f"the served model answers {self.images} test images as measured (to "
            f"{max(self.difference, 1e-9):.0e}), one in {self.median_ms:.0f} ms, 95% within "
            f"{self.p95_ms:.0f} ms"
        )


class Server:
    """A process of its own that imports while others work, then loads and serves one model."""

    def __init__(self, tracking_uri: str) -> None:
        """Start it; it waits for :meth:`check`."""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        variables["MLFLOW_TRACKING_URI"] = tracking_uri
        self._process = subprocess.Popen(  # noqa: S603
            # -P: nothing beside the script or in the present folder can be imported
            [sys.executable, "-P", str(Path(__file__).with_name("server.py")), str(os.getpid())],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def check(self, model: str, sample: Sample, mb: float) -> Served:
        """Load a model and compare its answers.

        Args:
            model: `models:/NAME/VERSION`.
            sample: images and the probabilities that evaluate measured.
            mb: size of the stored model.
        """
        try:
            return _ask(self.load(model), sample, mb)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Served(self._describe(error))

    def load(self, model: str) -> http.client.HTTPConnection:
        """Load a model, and return a connection to the server when it answers; or raise OSError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{model}\n")
        self._process.stdin.flush()
        port = int(self._process.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._wait(connection)
        return connection

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not read by a process that is gone
                    continue

    def _wait(self, connection: http.client.HTTPConnection) -> None:
        end = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise OSError("the server ended while it loaded the model")
            try:
                connection.request("GET", "/ping")
                if connection.getresponse().read() is not None:
                    return
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.1)
        raise OSError(f"it did not load in {TIMEOUT_SECONDS:.0f} s; is this machine very busy?")

    def _describe(self, error: Exception) -> str:
        """Return why it did not answer: the last words of a server that ended, or our own.

        What one that still runs has logged is no reason: it may be slow, and its libraries chat.
        """
        with suppress(subprocess.TimeoutExpired):  # a line may be cut before its end is known
            self._process.wait(0 if isinstance(error, TimeoutError) else ENDING_SECONDS)
        code = self._process.returncode
        if isinstance(error, TimeoutError) and code is None:
            return f"it gave no answer within {ANSWER_SECONDS:.0f} s; is this machine very busy?"
        if code is None:
            return str(error)
        if code < 0:
            name = signal.Signals(-code).name
            hint = ", as a system does whose memory is full" if -code == signal.SIGKILL else ""
            return f"its server was ended by {name}{hint}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        said = [line.strip() for line in lines if line.strip() and not CHAT.match(line)]
        return said[-1] if said else str(error)


@contextmanager
def starting_server(tracking_uri: str) -> Iterator[Server]:
    """Yield a server that gets ready meanwhile, and end it at last."""
    server = Server(tracking_uri)
    try:
        yield server
    finally:
        server.close()


def _ask(connection: http.client.HTTPConnection, sample: Sample, mb: float) -> Served:
    bodies = [create_question(image) for image in sample.images]
    if not bodies:
        return Served("")
    answers = [ask(connection, body)[0] for body in bodies]
    found = np.array(
        [[answer["probabilities"][name] for name in sample.class_names] for answer in answers]
    )
    gaps = np.abs(found - sample.probabilities).max(axis=1)  # (images,)
    worst = int(gaps.argmax())
    times = []
    for body in bodies * REPEATS:
        start = time.perf_counter()
        ask(connection, body)
        times.append((time.perf_counter() - start) * 1000)
    problem = ""
    if not gaps[worst] <= TOLERANCE:
        problem = (
            f"for {sample.paths[worst]} a probability differs by {gaps[worst]:.2g} from what "
            "evaluate measured"
        )
    return Served(
        problem=problem,
        images=len(bodies),
        difference=float(gaps[worst]),
        median_ms=float(np.median(times)),
        p95_ms=float(np.percentile(times, 95)),
        mb=mb,
    )


def create_question(*images: bytes) -> bytes:
    """Return the body of a request about encoded images."""
    records = [{"image": base64.b64encode(image).decode()} for image in images]
    return json.dumps({"dataframe_records": records}).encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> list[dict[str, Any]]:
    """Return the answers to a request, one an image; raise ValueError where it is refused."""
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read().decode(errors="replace")
    if response.status != 200:
        raise ValueError(f"it answered {response.status}: {' '.join(text.split())[:300]}")
    answers: list[dict[str, Any]] = json.loads(text)["predictions"]
    for answer in answers:
        if answer.get("reason"):  # versions of earlier code refuse the request instead
            raise ValueError(f"it does not answer: {str(answer['reason'])[:300]}")
    return answers
