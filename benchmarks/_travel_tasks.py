"""Photos in a store of this machine, and the tasks that read them: for travel.py."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.settings import read_settings
from pipelines.steps import checks, shards
from pipelines.steps.fetch import fetch, find
from tests.pipelines.conftest import Stub
from tests.pipelines.proxy import standing_between

ROOT = Path(__file__).parents[1]
BUCKET, FOLDER = "photos", "mine"
CLASSES = 10


def make_photos(folder: Path, count: int) -> None:
    """Write JPEGs of 640 x 480 px and some 30 kB: blurred noise, no two alike."""
    draw = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        rough = Image.fromarray(draw.integers(0, 256, (15, 20, 3), np.uint8))
        fine = draw.integers(-14, 15, (480, 640, 1))
        smooth = np.asarray(rough.resize((640, 480), Image.Resampling.BICUBIC), np.int64)
        pixels = np.clip(smooth + fine, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number:07d}.jpg", quality=38)


@contextmanager
def serving() -> Iterator[tuple[Any, int]]:
    """Yield a client of moto's server in a process of its own, and its id.

    The environment names the server to all that is called here.
    """
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(words, **quiet)  # type: ignore[call-overload]  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/moto-api/data.json", timeout=5).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.2)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client, server.pid
    finally:
        server.terminate()
        server.wait()


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Yield what tells how many bytes the store has sent so far."""
    store = os.environ["AWS_ENDPOINT_URL"]
    with standing_between(store, lambda *_: "") as proxy:
        os.environ["AWS_ENDPOINT_URL"] = proxy.address
        try:
            yield lambda: sum(proxy.sent.values())
        finally:
            os.environ["AWS_ENDPOINT_URL"] = store


class Tasks:
    """The tasks up to the shards, in this process and its workers, one partition each."""

    def __init__(self, root: Path, images: str, volume: Path | None = None) -> None:
        """Read the settings."""
        source = f"kubeflow.fetch.source=s3://{BUCKET}/{FOLDER}"
        changes = [source, f"kubeflow.fetch.images={images}", "preprocess.size_px=224"]
        if volume:  # few photos then fill as many shards as very many of a usual size
            changes.append("preprocess.shard_mb=1")
        sections = read_settings(ROOT / "params.yaml", changes).parameters
        self.root, self.volume = root, str(volume or "")
        self.given: dict[str, Any] = {**sections, "place": "", "images": self._make("images")}

    def _make(self, name: str) -> Stub:
        return Stub(self.root / name / name)

    def find(self) -> str:
        """Ask the store what it holds."""
        return str(find(self.given))

    def fetch(self, found: str) -> None:
        """Bring the images, or list them."""
        self.given["place"] = fetch(self.given | {"found": found}, self.volume)

    def plan_checks(self) -> None:
        """List the images that are to be looked at."""
        self.given["files"] = self._make("files")
        checks.plan(self.given, 1)

    def look(self) -> None:
        """Look at them."""
        self.given["checked"] = self._make("checked")
        checks.check(self.given, "0/1")

    def check(self) -> None:
        """Look at all images."""
        self.plan_checks()
        self.look()

    def judge(self) -> None:
        """Judge what was found."""
        self.given["manifest"] = self._make("manifest")
        docs = {"data_docs": self._make("data_docs")}
        checks.judge(self.given | docs, [self.given["checked"]])

    def plan(self) -> None:
        """Draw the splits."""
        self.given |= {name: self._make(name) for name in ("splits", "planned")}
        shards.plan(self.given, 1)

    def write(self) -> None:
        """Write all shards."""
        self.given["written"] = self._make("written")
        shards.write(self.given, "0/1", self.volume)

    def collect(self) -> None:
        """Bring the shards together."""
        self.given["shards"] = self._make("shards")
        shards.collect(self.given, [self.given["written"]], self.volume)

    def go(self) -> None:
        """Do all of it."""
        self.fetch("")
        for step in (self.check, self.judge, self.plan, self.write, self.collect):
            step()


def work(action: Callable[[], Any], server: int = 0) -> float:
    """Return the seconds of cores that this process and its workers worked, and a server."""
    before = count_work(server)
    action()
    return count_work(server) - before


def count_work(server: int) -> float:
    """Return the seconds of cores so far."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own = sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, kinds))
    if not server:
        return own
    fields = Path(f"/proc/{server}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return own + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # proc(5)
