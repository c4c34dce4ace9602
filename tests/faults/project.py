"""A tiny project whose rooms run as processes, and what must come out of each."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from tests.e2e.project import UNSET, write_photos
from tests.faults.champion import find_champion
from tests.faults.commands import NETWORK, PHOTOS, PREPARE, Stage, create_command
from tests.train.networks.tiny_vit import AUGREG, write_timm

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
ROOMS = ("ingest", "validate", "preprocess", "train", "evaluate", "promote")
# Commands that a person types, after a model is champion and another came after it: those that
# ask for a registered model, then those that write settings, tables and folders.
# init comes last: it calls the model by another name.
ASKING = ("approve", "history", "rollback", "repair", "predict", "batch", "suggest", "watch")
WRITING = ("outline", "look", "weights", "search", "apply", "schema", "upgrade", "compile", "init")
COMMANDS = (*ASKING, *WRITING)
BUNDLED = "bundled.yaml"  # settings of who has no photos: ingest brings digits then
# They hold times, names of runs or both: they must be whole, and may say something else.
TIMED = ("latency.json", "run.json", "report.html", "labels.html", "model_card.md", "data_docs")
LINE, KEPT = "line.json", ("seconds", "touches", "digests", "names", "grows_kb")
TIMED_COLUMNS = {"seconds", "images_per_second"}
# A person's own files, where rooms write.
MINE = ("data/mine.txt", "reports/mine.csv", "models/mine.keras", "mine.partial", ".mine")


def read_stages() -> dict[str, Stage]:
    """Return name → its command; outputs are what dvc.yaml says, inputs the other paths."""
    found = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stages = {}
    for room in ROOMS:
        words = shlex.split(found[room]["cmd"])[3:]
        kept = [*found[room].get("outs", []), *found[room].get("metrics", [])]
        writes = [name for entry in kept for name in entry]
        paths = [PHOTOS if word == "data.source" else word for word in words[1::2]]
        reads = [path for path in paths if path not in writes]
        if room == "ingest":  # the digits of scikit-learn
            words, reads = [*words, "--params", BUNDLED], []
        stages[room] = Stage(room, [room, *words], reads, writes)
    return stages | {name: create_command(name) for name in COMMANDS}


def make_project(folder: Path) -> None:
    """Write photos, settings that take seconds, and files of a person's own."""
    write_photos(folder / PHOTOS)
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"source": PHOTOS, "corrections": ""}
    params["preprocess"] |= {"size_px": 32, "shard_mb": 1}
    write_timm(folder / NETWORK, AUGREG)
    params["train"] |= {"recipe": "fixed", "backbone": NETWORK}
    params["train"]["finetune"]["epochs"] = 0
    params["evaluate"] |= {"resamples": 100, "robustness_images": 4, "latency_runs": 3}
    params["promote"]["rules"] = [{"metric": "accuracy", "at_least": 0.05}]
    yaml.dump(params, folder / "params.yaml")
    params["data"]["source"] = "data/images"
    yaml.dump(params, folder / BUNDLED)
    for name in MINE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")


def start(
    stage: Stage, folder: Path, fault: str = "", prefix: tuple[str, ...] = (), **variables: str
) -> subprocess.Popen[str]:
    """Start a room in a project; what it says is in `<folder>.log`.

    Args:
        stage: the room.
        folder: the project.
        fault: what site/sitecustomize.py is to do: kind and number of the touch.
        prefix: a program that starts it.
        variables: more of the environment.
    """
    known = {k: v for k, v in os.environ.items() if not k.startswith(UNSET) and k != "PYTHONPATH"}
    temporary = folder.with_name(f"{folder.name}.tmp")
    temporary.mkdir(exist_ok=True)
    environment = known | {
        "PYTHONPATH": f"{SITE}{os.pathsep}{ROOT}",
        "TMPDIR": str(temporary),
        # Two cores are shared by all that run here, and threads of one wait for the other's.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    environment |= {"DARKROOM_FAULT": f"{fault} {folder}"} if fault else {}
    module = stage.words[0] if stage.words[0] == "pipelines" else f"components.{stage.words[0]}"
    with folder.with_name(f"{folder.name}.log").open("a", encoding="utf-8") as log:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", module, *stage.words[1:]],
            cwd=folder,
            env=environment | variables,
            stdout=log,
            stderr=log,
            text=True,
        )


@dataclass
class Line:
    """How each room does undisturbed: the project before it, and what came out."""

    folder: Path
    stages: dict[str, Stage]
    seconds: dict[str, float] = field(default_factory=dict)
    touches: dict[str, int] = field(default_factory=dict)
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    grows_kb: dict[str, int] = field(default_factory=dict)

    def save(self) -> None:
        """Write it down, so that later tries need no undisturbed run of their own."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name in KEPT}
        kept["names"] = {room: sorted(names) for room, names in self.names.items()}
        (self.folder / LINE).write_text(json.dumps(kept))

    @classmethod
    def load(cls, folder: Path) -> Line:
        """Read what :meth:`save` wrote."""
        kept = json.loads((folder / LINE).read_text())
        kept["names"] = {room: set(names) for room, names in kept["names"].items()}
        return cls(folder, read_stages(), **kept)

    def copy(self, room: str, to: Path) -> Path:
        """Return a copy of the project as it was before a room."""
        shutil.copytree(self.folder / "before" / room, to, symlinks=True)
        return to


def run_undisturbed(folder: Path, names: tuple[str, ...] = (*ROOMS, *COMMANDS)) -> Line:
    """Run rooms and commands one after the other, and keep the project before each."""
    line, project = Line(folder, read_stages()), folder / "whole"
    make_project(project)
    if "train" in names:  # else each try would begin with ten seconds of making the database
        code = "from components.common.tracking.server import import_mlflow; import_mlflow()"
        where = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}"}
        where["PYTHONPATH"] = str(ROOT)
        subprocess.run([sys.executable, "-c", code], cwd=project, env=where, check=True)
    for room in names:
        stage = line.stages[room]
        if room == COMMANDS[0]:
            promote_another(line, project)
        PREPARE.get(room, lambda _: None)(project)
        shutil.copytree(project, folder / "before" / room)
        before_kb = measure_kb(project)
        began = time.monotonic()
        code = start(stage, project, "none 0").wait()
        log = folder / "whole.log"
        assert code == 0, log.read_text()
        line.seconds[room] = time.monotonic() - began
        line.touches[room] = int((folder / "whole.touches").read_text())
        line.digests[room] = compute_digests(project, stage)
        line.names[room] = list_names(project)
        line.grows_kb[room] = measure_kb(project) - before_kb
        if room == "ingest":  # the other rooms read the photos, and copies of the project are less
            shutil.rmtree(project / "data" / "images")
        print(
            f"{room}: {line.seconds[room]:.1f} s, {line.touches[room]} touches of the project",
            flush=True,
        )
    return line


def promote_another(line: Line, project: Path) -> None:
    """Make a second version that awaits approval."""
    change_model(project, "approve", "another")
    code = start(line.stages["promote"], project).wait()
    assert code == 0, (line.folder / "whole.log").read_text()


def change_model(project: Path, mode: str, word: str) -> None:
    """Let the same model count as another one, and say how promote is to treat it."""
    yaml = YAML()
    params = yaml.load((project / "params.yaml").read_text(encoding="utf-8"))
    params["promote"]["mode"] = mode
    yaml.dump(params, project / "params.yaml")
    with zipfile.ZipFile(project / "models/model.keras", "a") as archive:
        archive.comment = word.encode()


def measure_kb(folder: Path) -> int:
    """Return what a folder takes on a tmpfs, whose files take whole pages of 4 KB."""
    sizes = [file.lstat().st_size for file in folder.rglob("*")]
    return sum(4 * max(1, -(-size // 4096)) for size in sizes)


def list_names(folder: Path) -> set[str]:
    """Return the paths of all files; MLflow's, named by chance, are left out."""
    return {
        name
        for name in (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        if not name.startswith(("mlruns/", "mlflow.db", "reports/data_docs/"))
    }


def compute_digests(folder: Path, stage: Stage) -> dict[str, str]:
    """Return output → digest of what must be the same in every run, for the outputs that exist."""
    found = {
        name: compute_digest(folder / name) for name in stage.writes if (folder / name).exists()
    }
    return found if stage.writes else {"champion": find_champion(folder)}


def compute_digest(path: Path) -> str:
    total = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if not file.is_file():
            continue
        if path.is_dir() and path.name not in TIMED:
            total.update(str(file.relative_to(path)).encode() + b"\0")
        for piece in read_what_counts(file, path.name):
            total.update(piece)
    return total.hexdigest()[:16]


def read_what_counts(file: Path, name: str) -> Iterator[bytes]:
    """Yield what of a file does not depend on time; AssertionError if it is not whole."""
    if name in TIMED:
        yield read_timed(file, name)
    elif file.suffix == ".keras":
        with zipfile.ZipFile(file) as archive:
            for member in sorted(archive.namelist()):
                if member != "metadata.json":  # when it was saved
                    # Keras names what layers share by its address in memory.
                    yield re.sub(rb'"shared_object_id": \d+', b"", archive.read(member))
    elif file.name == "history.csv":
        rows = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))
        for row in rows:
            kept = {key: cell for key, cell in row.items() if key not in TIMED_COLUMNS}
            yield json.dumps(kept).encode()
    elif file.name == "verdict.json":
        found = json.loads(file.read_text(encoding="utf-8"))
        kept = {key: found[key] for key in ("verdict", "version", "aliases", "figures")}
        yield json.dumps(kept, sort_keys=True).encode()
    elif file.name == "summary.json":
        found = json.loads(file.read_text(encoding="utf-8"))
        yield json.dumps(found | {"seconds": 0}, sort_keys=True).encode()
    elif file.name == "listing.parquet":  # with marks that tell when an image changed
        yield pd.read_parquet(file)[["path", "bytes"]].to_csv().encode()
    elif file.name.startswith("part-"):  # with a note of how long it took
        yield pd.read_parquet(file).to_csv().encode()
    elif file.suffix == ".db":
        yield read_database(file)
    elif file.name != ".darkroom":  # a list of what is in the folder, which counts itself
        yield file.read_bytes()


def read_database(file: Path) -> bytes:
    """Return nothing of a database of trials, which holds times; AssertionError if it is damaged.

    That all trials have ended is why the command that runs them ends well.
    """
    with closing(sqlite3.connect(file)) as store:
        found = store.execute("pragma integrity_check").fetchall()
    assert found == [("ok",)], f"{file} is damaged: {found}"
    return b""


def read_timed(file: Path, name: str) -> bytes:
    """Return the keys of a JSON file, nothing of a page; AssertionError if either is not whole."""
    if name == "data_docs" and file.name != "index.html":
        return b""  # hundreds of files of Great Expectations' site
    text = file.read_text(encoding="utf-8")
    if name == "run.json":  # what MLflow could not be told stands in it until it is
        return str("run_id" in json.loads(text)).encode()
    if file.suffix == ".json":
        return json.dumps(sorted(json.loads(text))).encode()
    if file.suffix == ".html":
        assert text.rstrip().endswith("</html>"), f"{file} is not whole"
    else:
        assert text.count("\n## ") > 3, f"{file} is not whole"  # parts of the model card
    return b""
