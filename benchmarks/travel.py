"""What it costs to bring very many images to the tasks of a cluster: as copies, or by a listing.

    python benchmarks/travel.py --photos 1000
    python benchmarks/travel.py --photos 1000 --simulate 100000 --pods 16

Photos of some 30 kB lie in an S3 store of this machine (moto's server, a process of its own). It is
measured what an object costs KFP's launcher, which moves a folder one object at a time, and what an
image costs the tasks that read it from the store: seconds of a core, and bytes. From that a run of
other size is reckoned, up to its shards: training is the same either way.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._flags import Flags  # noqa: E402
from components.common.images.stores.listing import STREAMS  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402
from pipelines.settings import read_settings  # noqa: E402
from pipelines.steps import checks, shards  # noqa: E402
from pipelines.steps.fetch import fetch, find  # noqa: E402
from tests.pipelines.conftest import Stub  # noqa: E402
from tests.pipelines.proxy import standing_between  # noqa: E402

POD_SECONDS = 20.0  # from a pod's creation to its first line: on a real backend, one node
CORES = 4  # of a pod that looks at images or writes shards
PAGE = 1000  # files of an answer of a store that lists
SAMPLE = 400  # test images that evaluate hands on
BUCKET, FOLDER = "photos", "mine"
CLASSES = 10


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds of a core: so whatever else the machine does plays no part."""

    photo_kb: float
    listed: float  # of a file, in a listing: of client and server, which wait for each other
    down: float  # of an object, one at a time: likewise
    up: float
    streamed: float  # of an object, many at a time: of the client
    checked: float  # of an image read from the store and looked at
    checked_here: float  # the same, from a folder
    judged: float  # of an image, when all are judged
    planned: float  # of an image, when splits are drawn
    written: float  # of an image read from the store and written into a shard
    written_here: float
    read: dict[str, float]  # task → times the set that it reads from the store


def main() -> None:
    """Measure, and reckon if that is asked for."""
    parser = Flags(__file__, __doc__, "--photos 1000 --simulate 100000")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--simulate", type=int, help="photos of the run that is reckoned")
    parser.add_argument("--pods", type=int, action="append", default=[], help="side by side; 16")
    parser.add_argument("--latency-ms", type=float, default=10.0, help="of the store, an object")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-") as name, serving() as (client, server):
        folder = Path(name)
        make_photos(folder / "photos", flags.photos)
        costs = measure(folder, client, server)
    print(f"photos of {costs.photo_kb:.1f} kB; each, in ms of a core:")
    for field, value in vars(costs).items():
        if field not in ("photo_kb", "read"):
            print(f"{field:<13} {value * 1000:8.3f}")
    print("times the set read: " + ", ".join(f"{k} {v:.3f}" for k, v in costs.read.items()))
    if flags.simulate:
        for pods in flags.pods or [16]:
            simulate(costs, flags.simulate, pods, flags.latency_ms / 1000)


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


def measure(folder: Path, client: Any, server: int) -> Costs:
    """Return what an image costs on each way, from photos in `folder`."""
    photos = sorted((folder / "photos").rglob("*.jpg"))
    count = len(photos)
    keys = {file: f"{FOLDER}/{file.relative_to(folder / 'photos')}" for file in photos}

    def put() -> None:
        for file, key in keys.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())

    def get() -> None:
        for key in keys.values():
            client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    up, down = work(put, server), work(get, server)
    copied = Tasks(folder / "copied", "copies")
    found: list[str] = []
    listed = work(lambda: found.append(copied.find()), server)
    streamed = work(lambda: copied.fetch(found[0]))
    here, there = Tasks(folder / "here", "copies"), Tasks(folder / "there", "listing")
    steps = ("check", "judge", "plan", "write")
    seconds = {}
    for way, tasks in (("here", here), ("there", there)):
        tasks.fetch(tasks.find())
        for step in steps:
            seconds[way, step] = work(getattr(tasks, step)) / count
    size = sum(file.stat().st_size for file in photos)
    return Costs(
        photo_kb=size / count / 1000,
        listed=listed / count,
        down=down / count,
        up=up / count,
        streamed=streamed / count,
        checked=seconds["there", "check"],
        checked_here=seconds["here", "check"],
        judged=seconds["there", "judge"],
        planned=seconds["there", "plan"],
        written=seconds["there", "write"],
        written_here=seconds["here", "write"],
        read=count_bytes(Tasks(folder / "last", "listing"), steps, size),
    )


def count_bytes(tasks: Tasks, steps: Sequence[str], size: int) -> dict[str, float]:
    """Return how many times the set each step reads from the store."""
    read = {}
    with standing_between(os.environ["AWS_ENDPOINT_URL"], lambda *_: "") as proxy:
        os.environ["AWS_ENDPOINT_URL"] = proxy.address
        tasks.fetch(tasks.find())
        for step in steps:
            before = sum(proxy.sent.values())
            getattr(tasks, step)()
            read[step] = (sum(proxy.sent.values()) - before) / size
    return read


class Tasks:
    """The tasks up to the shards, in this process and its workers, one partition each."""

    def __init__(self, root: Path, images: str) -> None:
        """Read the settings."""
        source = f"kubeflow.fetch.source=s3://{BUCKET}/{FOLDER}"
        changes = [source, f"kubeflow.fetch.images={images}", "preprocess.size_px=224"]
        sections = read_settings(ROOT / "params.yaml", changes).parameters
        self.root = root
        self.given: dict[str, Any] = {**sections, "place": "", "images": self._make("images")}

    def _make(self, name: str) -> Stub:
        return Stub(self.root / name / name)

    def find(self) -> str:
        """Ask the store what it holds."""
        return str(find(self.given))

    def fetch(self, found: str) -> None:
        """Bring the images, or list them."""
        fetch(self.given | {"found": found}, "")

    def check(self) -> None:
        """Look at all images."""
        self.given["files"] = self._make("files")
        checks.plan(self.given, 1)
        self.given["checked"] = self._make("checked")
        checks.check(self.given, "0/1")

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
        shards.write(self.given | {"written": self._make("written")}, "0/1", "")


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


def simulate(costs: Costs, images: int, pods: int, latency: float) -> None:
    """Print what a run costs up to its shards, task by task."""
    print(
        f"\n{images:,} photos of {costs.photo_kb:.0f} kB, {pods} pods of {CORES} cores, "
        f"{POD_SECONDS:g} s to start one, {latency * 1000:g} ms of latency an object:"
    )
    own = images / pods
    # A loopback has no latency. That of the store is added: once for each object that is waited
    # for, once for all connections together, and once for each page of a listing.
    down, up = (images * (one + latency) for one in (costs.down, costs.up))
    streamed = images * (costs.streamed + latency / STREAMS)
    listing = images * (costs.listed + latency / PAGE)

    def read(each: float) -> float:
        return own * max(each / CORES, latency / (STREAMS * CORES))

    looked = images * (costs.checked_here + costs.judged) / CORES
    # Minutes without the pods' start, pods one after the other, times the set that is read.
    copied = {
        "find images": (listing, 1, 0.0),
        "fetch": (listing + streamed + up, 1, 1.0),
        "validate": (down + looked, 1, 1.0),
        "plan shards": (images * costs.planned, 1, 0.0),
        "write shards": (down + own * costs.written_here / CORES, 1, float(pods)),
        "evaluate": (down, 1, 1.0),
    }
    judged = images * costs.judged / CORES
    listed = {
        "find images": (listing, 1, 0.0),
        "fetch": (listing, 1, 0.0),
        "validate": (read(costs.checked) + judged, 3, costs.read["check"] + costs.read["judge"]),
        "plan shards": (images * costs.planned, 1, 0.0),
        "write shards": (read(costs.written), 1, costs.read["write"]),
        "evaluate": (SAMPLE * (costs.streamed + latency / STREAMS), 1, SAMPLE / images),
    }
    print("| task | copies: minutes | times the set | listing: minutes | times the set |")
    print("| --- | ---: | ---: | ---: | ---: |")
    sums = [0.0] * 4
    for task, copies in copied.items():
        row = []
        for seconds, starts, times in (copies, listed[task]):
            row += [(seconds + starts * POD_SECONDS) / 60, times]
        sums = [one + other for one, other in zip(sums, row, strict=True)]
        print(f"| {task} | " + " | ".join(f"{one:.2f}" for one in row) + " |")
    print("| in all | " + " | ".join(f"{one:.2f}" for one in sums) + " |")
    print(f"nothing new: {(listing + POD_SECONDS) / 60:.2f} minutes, no image read")


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
