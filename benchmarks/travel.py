"""What it costs to bring very many images to the tasks of a cluster: as copies, or by a listing.

    python benchmarks/travel.py --photos 1000
    python benchmarks/travel.py --photos 1000 --simulate 100000 --pods 16 --new 1000

Photos of some 30 kB lie in an S3 store of this machine (moto's server, a process of its own). It is
measured what an object costs KFP's launcher, which moves a folder one object at a time, and what an
image costs the tasks that read it from the store: seconds of a core, and bytes; likewise in a night
on a shared volume when some photos are new. From that a run of other size is reckoned, up to its
shards: training is the same either way.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._flags import Flags  # noqa: E402
from benchmarks._travel_tasks import (  # noqa: E402
    BUCKET,
    FOLDER,
    Tasks,
    counting,
    make_photos,
    serving,
    work,
)
from components.common.images.stores.listing import STREAMS  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402
from components.validate.partitions import LEAST  # noqa: E402

POD_SECONDS = 20.0  # from a pod's creation to its first line: on a real backend, one node
CORES = 4  # of a pod that looks at images or writes shards
PAGE = 1000  # files of an answer of a store that lists
SAMPLE = 400  # test images that evaluate hands on
NEW = 0.1  # of the photos, in the night that is measured
SHARES = (0.7, 0.15, 0.15)  # of the splits, each of which has shards of its own
SHARD_IMAGES = 64e6 / (224 * 224 * 3)  # of preprocess.shard_mb at 224 px


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
    recalled: float  # of an image that was looked at before, in a night
    judged_again: float
    planned_again: float
    checked_new: float  # of a new image
    written_new: float  # and of its shard, with the pixels of others that are in it
    read_new: dict[str, float]  # task → times the new photos that it reads from the store


def main() -> None:
    """Measure, and reckon if that is asked for."""
    parser = Flags(__file__, __doc__, "--photos 1000 --simulate 100000")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--simulate", type=int, help="photos of the run that is reckoned")
    parser.add_argument("--pods", type=int, action="append", default=[], help="side by side; 16")
    parser.add_argument("--new", type=int, default=1000, help="new photos of the night")
    parser.add_argument("--latency-ms", type=float, default=10.0, help="of the store, an object")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-") as name, serving() as (client, server):
        folder = Path(name)
        make_photos(folder / "photos", flags.photos)
        costs = measure(folder, client, server)
    print(f"photos of {costs.photo_kb:.1f} kB; each, in ms of a core:")
    for field, value in vars(costs).items():
        if field not in ("photo_kb", "read", "read_new"):
            print(f"{field:<13} {value * 1000:8.3f}")
    for words, times in (("set", costs.read), ("new photos, in a night", costs.read_new)):
        print(f"times the {words} read: " + ", ".join(f"{k} {v:.3f}" for k, v in times.items()))
    if flags.simulate:
        for pods in flags.pods or [16]:
            simulate(costs, flags.simulate, flags.new, pods, flags.latency_ms / 1000)


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
    night = measure_night(folder, client, list(keys.items()))
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
        **night,
    )


def measure_night(folder: Path, client: Any, keys: list[tuple[Path, str]]) -> dict[str, Any]:
    """Return what a night costs on a volume, when some of the photos are new."""
    new = keys[:: round(1 / NEW)]
    size = sum(file.stat().st_size for file, _ in new)
    nights = []
    for name in ("seconds", "bytes"):
        for _, key in new:
            client.delete_object(Bucket=BUCKET, Key=key)
        (folder / name).mkdir()
        Tasks(folder / name / "before", "listing", folder / name).go()
        for file, key in new:
            client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
        nights.append(Tasks(folder / name / "night", "listing", folder / name))
        nights[-1].fetch("")
    steps = ("plan_checks", "look", "judge", "plan", "write", "collect")
    seconds = {step: work(getattr(nights[0], step)) for step in steps}
    read = {}
    with counting() as count:
        for step in steps:
            before = count()
            getattr(nights[1], step)()
            read[step] = (count() - before) / size
    return {
        "recalled": seconds["plan_checks"] / len(keys),
        "judged_again": seconds["judge"] / len(keys),
        "planned_again": seconds["plan"] / len(keys),
        "checked_new": seconds["look"] / len(new),
        "written_new": (seconds["write"] + seconds["collect"]) / len(new),
        "read_new": {name: read[name] for name in ("look", "judge", "write")},
    }


def count_bytes(tasks: Tasks, steps: Sequence[str], size: int) -> dict[str, float]:
    """Return how many times the set each step reads from the store."""
    read = {}
    with counting() as count:
        tasks.fetch(tasks.find())
        for step in steps:
            before = count()
            getattr(tasks, step)()
            read[step] = (count() - before) / size
    return read


def simulate(costs: Costs, images: int, new: int, pods: int, latency: float) -> None:
    """Print what a run costs up to its shards, task by task; and a night with new photos."""
    print(
        f"\n{images:,} photos of {costs.photo_kb:.0f} kB, {pods} pods of {CORES} cores, "
        f"{POD_SECONDS:g} s to start one, {latency * 1000:g} ms of latency an object; a night on a "
        f"volume with {new:,} new photos:"
    )
    own = images / pods
    # A loopback has no latency. That of the store is added: once for each object that is waited
    # for, once for all connections together, and once for each page of a listing.
    down, up = (images * (one + latency) for one in (costs.down, costs.up))
    streamed = images * (costs.streamed + latency / STREAMS)
    listing = images * (costs.listed + latency / PAGE)

    def read(count: float, each: float) -> float:
        return count * max(each / CORES, latency / (STREAMS * CORES))

    looked = images * (costs.checked_here + costs.judged) / CORES
    sample = SAMPLE * (costs.streamed + latency / STREAMS)
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
        "validate": (
            read(own, costs.checked) + judged,
            3,
            costs.read["check"] + costs.read["judge"],
        ),
        "plan shards": (images * costs.planned, 1, 0.0),
        "write shards": (read(own, costs.written), 1, costs.read["write"]),
        "evaluate": (sample, 1, SAMPLE / images),
    }
    # Few pods share what is new: one for so many images, one for each shard.
    looking = max(1, min(pods, new // LEAST))
    writing = min(pods, sum(math.ceil(share * new / SHARD_IMAGES) for share in SHARES))
    again = images * (costs.recalled + costs.judged_again / CORES)
    share = new / images
    night = {
        "find images": (0.0, 0, 0.0),  # on a volume fetch asks
        "fetch": (listing, 1, 0.0),
        "validate": (
            read(new / looking, costs.checked_new) + again,
            3,
            share * (costs.read_new["look"] + costs.read_new["judge"]),
        ),
        "plan shards": (images * costs.planned_again, 1, 0.0),
        "write shards": (
            read(new / writing, costs.written_new),
            2,
            share * costs.read_new["write"],
        ),
        "evaluate": (sample, 1, SAMPLE / images),
    }
    names = ("copies", "listing", "night")
    print("| task | " + " | ".join(f"{name}: minutes | times the set" for name in names) + " |")
    print("| --- |" + " ---: |" * 2 * len(names))
    sums = [0.0] * 2 * len(names)
    for task, by_copies in copied.items():
        row = []
        for seconds, starts, times in (by_copies, listed[task], night[task]):
            row += [(seconds + starts * POD_SECONDS) / 60, times]
        sums = [one + other for one, other in zip(sums, row, strict=True)]
        print(f"| {task} | " + " | ".join(f"{one:.2f}" for one in row) + " |")
    print("| in all | " + " | ".join(f"{one:.2f}" for one in sums) + " |")
    print(f"nothing new: {(listing + POD_SECONDS) / 60:.2f} minutes, no image read")


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
