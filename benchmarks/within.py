"""What each room does where memory is little: a whole run inside a limit, which the kernel keeps.

python benchmarks/within.py                              # digits, and 300 photos of 12 megapixels
python benchmarks/within.py --gb 1 --sources digits --rooms train

The limit is a group of processes of its own (cgroup, version 1 or 2; it takes root): files that the
system keeps in memory count as well, and it gives them up before it kills. Settings are those of
params.yaml, so EfficientNet-Lite0 is fine-tuned at its own size. A room has done what it must if it
ended well, or said within the first minute, in words, that it cannot.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.faults.project import read_stages  # noqa: E402

ROOMS = ("ingest", "validate", "preprocess", "train", "evaluate", "promote", "predict")
SOURCES = ("digits", "photos")
PHOTOS, CLASSES, SIDES_PX = 300, 6, (4000, 3000)
GROUPS = Path("/sys/fs/cgroup")
SOON_SECONDS, EVERY_SECONDS = 60, 0.1
# Of version 2 and of version 1: the limit, and the entry of memory.stat that is no cache.
FORMS = (("memory.max", "anon"), ("memory.limit_in_bytes", "total_rss"))


@dataclass
class Taken:
    """How a room ended within the limit."""

    code: int
    seconds: float
    memory_mb: float  # at its highest, without what files take
    killed: int  # processes that the kernel killed
    said: str  # the last line of an error


@contextmanager
def limiting(size_bytes: int) -> Iterator[Path]:
    """Yield the folder of a group of processes that together may have so much memory."""
    top = GROUPS / "memory" if (GROUPS / "memory").is_dir() else GROUPS
    group = top / f"darkroom-{secrets.token_hex(4)}"
    group.mkdir()
    try:
        limit = next(name for name, _ in FORMS if (group / name).exists())
        (group / limit).write_text(str(size_bytes))
        for swap in ("memory.swap.max", "memory.swappiness"):
            if (group / swap).exists():
                (group / swap).write_text("0")
        yield group
    finally:
        group.rmdir()


def read_entry(file: Path, name: str) -> int:
    """Return the number behind a name in a file of a group; 0: there is none."""
    if not file.exists():
        return 0
    lines = dict(line.split() for line in file.read_text().splitlines() if line.count(" ") == 1)
    return int(lines.get(name, 0))


def run_within(group: Path, folder: Path, room: str) -> Taken:
    """Run a room in the group."""
    stat = next(stat for name, stat in FORMS if (group / name).exists())
    words = read_stages()[room].words
    words = ["params.yaml" if word == "bundled.yaml" else word for word in words]
    words = ["data/images" if word == "photos" else word for word in words]
    # The champion, or what would be: a rule may have been against it.
    words = ["models/model.keras" if word.startswith("models:/") else word for word in words]
    command = [sys.executable, "-m", f"components.{words[0]}", *words[1:]]
    log = folder / f"{room}.log"
    began, highest = time.monotonic(), 0
    with log.open("w") as stream:
        process = subprocess.Popen(  # noqa: S603
            ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs"), *command],  # noqa: S607
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=stream,
            stderr=stream,
        )
        while process.poll() is None:
            highest = max(highest, read_entry(group / "memory.stat", stat))
            time.sleep(EVERY_SECONDS)
    killed = max(
        read_entry(group / name, "oom_kill") for name in ("memory.events", "memory.oom_control")
    )
    lines = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    said = lines[-1] if lines else ""
    return Taken(process.returncode, time.monotonic() - began, highest / 1e6, killed, said)


def make_project(folder: Path, source: str, epochs: int | None) -> None:
    """Write settings, and an archive of photos as a camera takes them."""
    folder.mkdir(parents=True)
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    if source == "photos":
        write_photos(folder / "photos.tar")
        digest = hashlib.sha256((folder / "photos.tar").read_bytes()).hexdigest()
        params["ingest"] |= {"source": "photos.tar", "sha256": digest}
        params["data"]["corrections"] = ""
    if epochs is not None:
        params["train"]["finetune"]["epochs"] = epochs
    yaml.dump(params, folder / "params.yaml")


def write_photos(archive: Path) -> None:
    """Draw photos, no two alike, each with a bar at the height of its class."""
    dice = np.random.default_rng(0)
    with tarfile.open(archive, "w") as tar:
        for number in range(PHOTOS):
            coarse = dice.integers(0, 200, (30, 40, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize(SIDES_PX, Image.Resampling.BICUBIC)
            label, stream = number % CLASSES, BytesIO()
            step = SIDES_PX[1] // CLASSES
            image.paste((255, 255, 255), (0, label * step, SIDES_PX[0], label * step + step // 2))
            image.save(stream, "JPEG", quality=85)
            info = tarfile.TarInfo(f"class-{label}/{number:04d}.jpg")
            info.size = stream.tell()
            stream.seek(0)
            tar.addfile(info, stream)


def describe(taken: Taken) -> str:
    """Return how a room ended, in words."""
    if taken.code == 0:
        how = "works"
    elif taken.said and taken.seconds < SOON_SECONDS:
        how = f"says that it cannot: {taken.said}"
    else:
        how = f"ends with {taken.code}: {taken.said or 'no words'}"
    kills = f", {taken.killed} killed" if taken.killed else ""
    return f"{how}; {taken.seconds:,.0f} s, {taken.memory_mb:,.0f} MB{kills}"


def main() -> None:
    """Run what the flags ask for; exit with 1 if a room did neither."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=2, help="of memory, 2^30 bytes each")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS)
    parser.add_argument("--epochs", type=int, help="of fine-tuning; default: as params.yaml says")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the projects")
    flags = parser.parse_args()
    failed = False
    made = Path(tempfile.mkdtemp(prefix="within-"))
    try:
        for source in flags.sources:
            folder = (flags.keep or made) / source
            if not folder.exists():
                make_project(folder, source, flags.epochs)
            for room in flags.rooms:
                with limiting(int(flags.gb * 2**30)) as group:
                    taken = run_within(group, folder, room)
                words = describe(taken)
                failed |= " ends with " in f" {words}"
                print(f"{source}, {room}: {words}", flush=True)
    finally:
        shutil.rmtree(made)
    sys.exit("a room neither worked nor said so in time" if failed else 0)


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()
