"""The tasks from fetch to shards, and the rooms on one machine, over the same photos."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.settings import read_settings
from pipelines.steps import checks, shards
from pipelines.steps.bundles import resolve_folder
from pipelines.steps.fetch import fetch, find
from pipelines.steps.rooms import read_params_of
from tests.pipelines.conftest import PARAMS, Stub

CHANGES = ["preprocess.size_px=64", "preprocess.shard_mb=1", "validate.min_class_images=2"]
SOURCE = "s3://photos/mine"
FROM_S3 = f"kubeflow.fetch.source={SOURCE}"
LISTED = (FROM_S3, "kubeflow.fetch.images=listing")
PARTS = 2


def upload(s3: Any, folder: Path) -> None:
    for file in folder.rglob("*.*"):
        s3.upload_file(str(file), "photos", f"mine/{file.relative_to(folder)}")


@dataclass
class Run:
    """The tasks from fetch to shards, one after the other as KFP calls them."""

    root: Path
    changes: tuple[str, ...] = ()
    volume: str = ""
    most: int = PARTS  # partitions of validate

    def __post_init__(self) -> None:
        self.sections = read_settings(PARAMS, [*CHANGES, *self.changes]).parameters
        self.images = Stub(self.root / "fetch" / "images")
        self.given: dict[str, Any] = {**self.sections, "images": self.images}

    def find(self) -> str:
        return find(self.given)

    def fetch(self, found: str) -> None:
        place = fetch(self.given | {"found": found, "images": self.images}, self.volume)
        self.given |= {"place": place, "images": None if place else self.images}

    def check(self) -> None:
        self.given["files"] = Stub(self.root / "plan" / "files")
        self.parts = checks.plan(self.given, self.most)
        assert len(self.parts) == self.most
        self.checked = [Stub(self.root / f"check-{i}" / "checked") for i in range(self.most)]
        for name, checked in zip(self.parts, self.checked, strict=True):
            checks.check(self.given | {"checked": checked}, name)

    def judge(self) -> None:
        self.given["manifest"] = Stub(self.root / "judge" / "manifest")
        docs = Stub(self.root / "judge" / "data_docs")
        checks.judge(self.given | {"data_docs": docs}, self.checked)

    def shard(self) -> None:
        for name in ("splits", "planned"):
            self.given[name] = Stub(self.root / "plan-shards" / name)
        names = shards.plan(self.given, PARTS)
        written = [Stub(self.root / f"write-{i}" / "written") for i in range(len(names))]
        for name, one in zip(names, written, strict=True):
            shards.write(self.given | {"written": one}, name, self.volume)
        self.shards = Stub(self.root / "collect" / "shards")
        shards.collect(self.given | {"shards": self.shards}, written, self.volume)

    def go(self) -> Run:
        self.fetch(self.find() if "source=" in "".join(self.changes) else "")
        self.check()
        self.judge()
        self.shard()
        return self

    def read(self) -> dict[str, bytes]:
        """Return what they wrote, by the names of files."""
        manifest, out = Path(self.given["manifest"].path), resolve_folder(Path(self.shards.path))
        files = [manifest / "manifest.parquet", manifest / "validation.json"]
        files += [manifest / "quarantine.csv", out / "splits.parquet", *(out / "shards").iterdir()]
        return {file.name: file.read_bytes() for file in files}


def find_differences(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def run_rooms(images: Path, root: Path) -> dict[str, bytes]:
    """Return what the rooms write of a folder on this machine, as `dvc repro` calls them."""
    sections = read_settings(PARAMS, CHANGES).parameters
    names = {"manifest": "manifest.parquet", "validation": "validation.json", "data_docs": "docs"}
    names |= {"quarantine": "quarantine.csv", "splits": "splits.parquet", "shards": "shards"}
    paths = {name: root / file for name, file in names.items()} | {"images": images}
    for room in ("validate", "preprocess"):
        spec = importlib.import_module(f"components.{room}.spec")
        inputs, outputs = (
            kind(**{name: paths[name] for name in kind.__dataclass_fields__})
            for kind in (spec.Inputs, spec.Outputs)
        )
        params = read_params_of(room, sections)
        importlib.import_module(f"components.{room}.run").run(inputs, outputs, params)
    files = [root / file for file in names.values() if "." in file]
    files += (root / "shards").iterdir()
    return {file.name: file.read_bytes() for file in files}
