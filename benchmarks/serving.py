"""The served model beside its bare network: latency of one image, and images a second.

    python benchmarks/serving.py models/model.keras data/images

Registers the model in a database of its own, serves it as `mlflow models serve` does, and asks it.
"""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from components.common.artifacts.model import load_model, read_card
from components.common.host import count_cores
from components.common.images.pixels import find_images, read_pixels
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import start_recorded_run
from components.promote.registry.registry import Registry
from components.promote.serving.check import ask, create_question, starting_server

REQUESTS, CLIENTS, BATCH = 200, 4, 32


def measure(act: Callable[[int], object], times: int = REQUESTS) -> tuple[float, float]:
    """Return median and 95th percentile in ms, after some calls that do not count."""
    for number in range(10):
        act(number)
    found = []
    for number in range(times):
        start = time.perf_counter()
        act(number)
        found.append((time.perf_counter() - start) * 1000)
    return float(np.median(found)), float(np.percentile(found, 95))


def main(model: Path, images: Path) -> None:
    """Print the figures."""
    files = find_images(images)[:REQUESTS]
    contents = [file.read_bytes() for file in files]
    card = read_card(model)
    bodies = [create_question(content) for content in contents]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        with start_recorded_run(Mlflow(), Path(folder) / "run.json") as mlflow:
            registry = Registry(mlflow, "darkroom")
            registry.create_model()
            version = registry.register(model, card, {}, {})
        with starting_server(os.environ["MLFLOW_TRACKING_URI"]) as server:
            connection = server.load(f"models:/darkroom/{version}")
            served = measure(lambda n: ask(connection, bodies[n % len(bodies)]))
            port = connection.port

            def send(number: int) -> None:
                line = http.client.HTTPConnection("127.0.0.1", port)
                for _ in range(5):
                    ask(line, create_question(*(contents * BATCH)[:BATCH]))

            start = time.perf_counter()
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(send, range(CLIENTS)))
            speed = CLIENTS * 5 * BATCH / (time.perf_counter() - start)
    decode = measure(lambda n: read_pixels(contents[n % len(contents)], card.form))
    network = load_model(model)
    pixels = np.stack([read_pixels(contents[0], card.form)])
    bare = measure(lambda n: network.predict_on_batch(pixels))
    rest = served[0] - decode[0]
    print(f"{card.backbone}, {card.form.size_px} px, {count_cores()} cores")
    print(f"bare network, one image   {bare[0]:6.1f} ms, p95 {bare[1]:.1f}")
    print(f"decoding                  {decode[0]:6.1f} ms, p95 {decode[1]:.1f}")
    print(f"served over HTTP          {served[0]:6.1f} ms, p95 {served[1]:.1f}")
    print(f"served beyond decoding, over the bare network: {rest / bare[0]:.2f}")
    print(f"throughput, {CLIENTS} clients with {BATCH} images a request: {speed:.0f} images/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
