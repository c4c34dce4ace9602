"""What the pipeline costs beside its rooms: compiling, running locally, fanning out; how it looks.

python benchmarks/pipelines.py compile
python benchmarks/pipelines.py graph                     # the first graph of KFP's page
python benchmarks/pipelines.py local                     # KFP's local run against the rooms alone
python benchmarks/pipelines.py fanout --images FOLDER    # preprocess over 1, 2 and 4 partitions

`local` runs bundled digits and one epoch of fine-tuning; --set KEY=VALUE chooses otherwise.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import yaml
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._flags import Flags, existing  # noqa: E402
from components.common.artifacts.manifest import write_manifest  # noqa: E402
from components.common.cli import read_room_params  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402
from components.preprocess import partitions  # noqa: E402
from components.preprocess.shards import shards as shard_code  # noqa: E402
from components.validate.layouts.layout import read_layout  # noqa: E402
from components.validate.run import create_manifest  # noqa: E402
from pipelines.compiler import compile_pipeline  # noqa: E402
from pipelines.settings import apply_change, read_settings  # noqa: E402
from tests.pipelines import page  # noqa: E402


def main() -> None:
    """Measure what the flags ask for."""
    parser = Flags(__file__, __doc__, "compile")
    parser.add_argument("what", choices=["compile", "graph", "local", "fanout"])
    parser.add_argument("--images", type=existing, help="folder of photos in class folders")
    parser.add_argument("--set", action="append", default=["train.finetune.epochs=1"])
    flags = parser.parse_args()
    if flags.what == "compile":
        measure_compile()
    elif flags.what == "graph":
        draw_graph(Path("graph.svg"))
    elif flags.what == "local":
        measure_local(flags.set)
    elif flags.images is None:
        parser.error("fanout needs --images FOLDER")
    else:
        measure_fanout(flags.images)


def draw_graph(target: Path) -> None:
    """Draw what KFP's page shows at first of the pipeline as params.yaml has it."""
    text = compile_pipeline(read_settings(ROOT / "params.yaml"))
    graph = page.read_graph(next(yaml.safe_load_all(text)))
    target.write_text(page.draw(graph), encoding="utf-8")
    layout = page.lay_out(graph)
    print(f"{target}: {len(graph.labels)} nodes, {layout.height_px} px high")


def measure_compile() -> None:
    """Time `python -m pipelines compile` as a person meets it, the start of Python included."""
    seconds = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            seconds.append(call(["-m", "pipelines", "compile", "--output", f"{folder}/p"], ROOT))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / 5
    print(f"compile: {min(seconds):.2f} s at best of 5; {work:.2f} s of a core on average")


def measure_local(changes: list[str]) -> None:
    """Compare KFP's local run with the same rooms, one process after the other.

    Counted is the time of cores, so that whatever else the machine does plays no part.
    """
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    for change in changes:
        apply_change(params, change)
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yaml.dump(params, folder / "params.yaml")
        # The database is made by neither: both start with it.
        made = "from components.common.tracking.server import import_mlflow; import_mlflow()"
        call(["-c", made], folder)
        rooms = {}
        for room, stage in stages.items():
            words = stage["cmd"].replace("${data.source}", params["data"]["source"]).split()
            if words[0] == "python":
                rooms[room] = measure_work(words[1:], folder)
        whole = measure_work(["-m", "pipelines", "run", "--root", "runs"], folder)
    total = sum(rooms.values())
    for room, seconds in rooms.items():
        print(f"{room:<11} {seconds:6.1f} s")
    print(f"{'rooms':<11} {total:6.1f} s")
    print(f"{'KFP local':<11} {whole:6.1f} s, {whole / total - 1:+.1%}")


def measure_fanout(images: Path) -> None:
    """Run preprocess over 1, 2 and 4 partitions; each pod has one core here.

    Counted is the time of a core, so that whatever else the machine does plays no part.
    """
    params = read_room_params(ROOT / "params.yaml", "preprocess")
    checks = read_room_params(ROOT / "params.yaml", "validate")
    shard_code.count_cores = lambda: 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "manifest.parquet"
        table, _ = create_manifest(images, read_layout(images, checks), checks)
        write_manifest(manifest, table)
        files = (manifest, folder / "splits", folder / "planned")
        partitions.plan(*files, params, 1)  # warm: pandas' own first time
        small_params = replace(params, shard_mb=8)  # enough shards for 4 pods
        print("partitions  plan    slowest pod  all pods  collect  from start to end")
        for count in (1, 2, 4):
            begun = time.process_time()
            parts = partitions.plan(*files, small_params, count)
            plan = time.process_time() - begun
            pods = []
            for part in range(parts):
                begun = time.process_time()
                partitions.write_partition(
                    images=images,
                    planned=folder / "planned",
                    folder=folder / f"part-{part}",
                    part=part,
                    parts=parts,
                )
                pods.append(time.process_time() - begun)
            begun = time.process_time()
            places = [folder / f"part-{part}" for part in range(parts)]
            shards = folder / "shards"
            partitions.collect(places, manifest, folder / "splits", shards, small_params)
            collect = time.process_time() - begun
            print(
                f"{parts:>10} {plan:5.2f} s {max(pods):11.2f} s {sum(pods):7.2f} s "
                f"{collect:6.2f} s {plan + max(pods) + collect:12.2f} s"
            )


def measure_work(words: list[str], folder: Path) -> float:
    """Run Python in a folder; return the seconds of cores that it and its processes worked."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call(words, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def call(words: list[str], folder: Path) -> float:
    """Run Python in a folder; return its seconds, or say what it printed."""
    known = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603
        [sys.executable, *words],
        cwd=folder,
        env=known | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    return time.perf_counter() - begun


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
