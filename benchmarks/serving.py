"""The server under load: throughput, p95, start and memory, beside MLflow's and the bare network.

    python benchmarks/serving.py models/model.keras data/images [--seconds 5]

Registers the model in a database of its own, starts each server as a person does, and asks it: one
image a request, by 1, 4, 8 and 16 clients, each of which waits for its answer before it asks again.
Clients and server share the cores.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._flags import Flags, existing
from components.common.artifacts.model import load_model, read_card
from components.common.files.writing import compute_sha256
from components.common.host import count_cores
from components.common.images.pixels import find_images, read_pixels
from components.common.settings.spec import Mlflow
from components.common.terminal import exit_on_error
from components.common.tracking.recording import continue_run, start_recorded_run
from components.common.tracking.tags import MODEL_DIGEST
from components.predict.spec import Serve
from components.promote.registry.registry import Registry
from components.promote.serving.check import ask, create_question

CLIENTS = (1, 4, 8, 16)
ROOT = Path(__file__).parents[1]
MODEL = "models:/darkroom@champion"
SERVERS = {
    "predict serve": [sys.executable, "-m", "components.predict", "serve", "--model", MODEL],
    "mlflow models serve": ["mlflow", "models", "serve", "-m", MODEL, "--env-manager", "local"],
}


@dataclass(frozen=True)
class Load:
    """What some clients saw."""

    answers: int
    rate: float  # of answers, a second
    median_ms: float
    p95_ms: float


class Server:
    """A process that serves, and what it takes."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        """Start it and wait until it answers."""
        start = time.perf_counter()
        self.process = subprocess.Popen(  # noqa: S603
            [*command, "--port", str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.port = port
        while not self._is_up():
            if self.process.poll() is not None:
                raise SystemExit(f"{' '.join(command)}: ended with {self.process.returncode}")
            time.sleep(0.05)
        self.start_seconds = time.perf_counter() - start

    def read_mb(self, field: str) -> float:
        """Return VmRSS or VmHWM of the process that serves, MB."""
        tree = [self.process.pid, *_list_children(self.process.pid)]
        return max(_read_status(process, field) for process in tree)

    def read_cpu_seconds(self) -> float:
        """Return how long cores have worked for the process that serves and its children."""
        ticks = 0
        for process in [self.process.pid, *_list_children(self.process.pid)]:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)

    def _is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _list_children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_list_children(child)]
    return found


def _read_status(pid: int, field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def load(port: int, bodies: list[bytes], clients: int, seconds: float) -> Load:
    """Ask from some clients at once."""
    end = time.perf_counter() + seconds
    times: list[float] = []
    lock = threading.Lock()

    def client(first: int) -> None:
        connection, own = http.client.HTTPConnection("127.0.0.1", port, timeout=120), []
        number = first
        while (start := time.perf_counter()) < end:
            ask(connection, bodies[number % len(bodies)])
            own.append((time.perf_counter() - start) * 1000)
            number += clients
        with lock:
            times.extend(own)

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    taken = time.perf_counter() - start
    return Load(
        len(times), len(times) / taken, float(np.median(times)), float(np.percentile(times, 95))
    )


def send_hostile(port: int) -> None:
    """Send pictures that claim as much as is allowed and more, and JSON that grows, 16 at once."""
    side = int((Serve().max_megapixels * 1e6) ** 0.5)
    bodies = []
    for size, mode in ((side, "RGBA"), (side, "LA"), (9400, "L")):
        stream = io.BytesIO()
        Image.new(mode, (size, size)).save(stream, "PNG", compress_level=1)
        bodies.append(create_question(stream.getvalue()))
    bodies.append(b'{"inputs":[' + b"[]," * 9_000_000 + b"[]]}")
    bodies.append(b'{"dataframe_records":[{"image":"' + b"A" * 30_000_000 + b'"}]}')

    def send(body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return  # it closed the line, or died: its memory is what is looked at
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send, bodies * 4))


def measure(act: Callable[[int], object], times: int = 60) -> float:
    """Return the median in ms, after some calls that do not count."""
    found = []
    for number in range(times + 10):
        start = time.perf_counter()
        act(number)
        found.append((time.perf_counter() - start) * 1000)
    return float(np.median(found[10:]))


@contextmanager
def registering(model: Path) -> Iterator[None]:
    """Register a model as champion in a database of its own."""
    card = read_card(model)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        with start_recorded_run(Mlflow(), Path(folder) / "run.json"):
            pass
        with continue_run(Mlflow(), Path(folder) / "run.json") as mlflow:
            registry = Registry(mlflow, "darkroom")
            registry.create_model()
            tags = {MODEL_DIGEST: compute_sha256(model)}
            registry.set_alias("champion", registry.register(model, card, tags, {}))
        yield
        os.chdir("/")


def main() -> None:
    """Print the figures."""
    parser = Flags(__file__, __doc__, "models/model.keras data/images")
    parser.add_argument("model", type=existing)
    parser.add_argument("images", type=existing)
    parser.add_argument("--seconds", type=float, default=5, help="of each load; default 5")
    parser.add_argument("--server", choices=SERVERS, help="this one alone")
    flags = parser.parse_args()
    contents = [file.read_bytes() for file in find_images(flags.images.resolve())[:64]]
    model, card = flags.model.resolve(), read_card(flags.model)
    bodies = [create_question(content) for content in contents]
    print(f"{card.backbone}, {card.form.size_px} px, {count_cores()} cores, load of the machine "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    with registering(model):
        for number, (name, command) in enumerate(SERVERS.items()):
            if flags.server not in (None, name):
                continue
            server = Server(command, 18_080 + number)
            rest = server.read_mb("VmRSS")
            load(server.port, bodies, 4, 2)  # what is not counted
            for clients in CLIENTS:
                before = server.read_cpu_seconds()
                seen = load(server.port, bodies, clients, flags.seconds)
                cpu = 1000 * (server.read_cpu_seconds() - before) / seen.answers
                times = f"median {seen.median_ms:.1f} ms, p95 {seen.p95_ms:.1f} ms"
                times += f", {cpu:.1f} ms of a core for each"
                print(f"{name}: {clients:2d} clients {seen.rate:6.0f} answers/s, {times}")
            used = server.read_mb("VmHWM")
            send_hostile(server.port)
            try:
                hostile = f"{server.read_mb('VmHWM'):.0f} MB"
            except OSError:
                hostile = "it died"
            memory = (
                f"{rest:.0f} MB at rest, {used:.0f} MB in use, {hostile} under hostile requests"
            )
            print(f"{name}: starts in {server.start_seconds:.1f} s; {memory}", flush=True)
            server.close()
    network = load_model(model)
    pixels = np.stack([read_pixels(contents[0], card.form)])
    decode = measure(lambda n: read_pixels(contents[n % len(contents)], card.form))
    print(f"decoding {decode:.1f} ms an image")
    for count in (1, 8):
        batch = np.repeat(pixels, count, axis=0)
        network.predict_on_batch(batch)
        taken = measure(lambda n, batch=batch: network.predict_on_batch(batch), 20)
        print(f"bare network, {count} at once: {taken:.1f} ms, {1000 * count / taken:.0f} a second")


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
