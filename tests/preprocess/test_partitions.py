"""The stage in three steps: shards that an earlier run has left are taken over, or their pixels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.dataset import read_dataset
from components.common.images.pixels import ImageForm
from components.preprocess import partitions
from components.preprocess.run import run
from components.preprocess.shards.plans import ShardPlan
from components.preprocess.shards.records import Row
from components.preprocess.spec import Inputs, Outputs, Params

PARAMS = Params(size_px=64, shard_mb=1)


@dataclass
class Cluster:
    """Three steps over one folder of images, after an earlier run of the whole stage."""

    root: Path
    images: Path
    make_manifest: Callable[..., Path]

    def go(self, earlier: Outputs, params: Params = PARAMS, images: Path | None = None) -> Path:
        """Return a folder with what was written: splits.parquet and shards."""
        out = self.root / "cluster"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        planned, splits = out / "planned", out / "splits.parquet"
        known = {"earlier_splits": earlier.splits, "earlier_shards": earlier.shards}
        manifest = self.make_manifest(self.images)
        parts = partitions.plan(manifest, splits, planned, params, 3, **known)
        folders = [out / f"part-{part}" for part in range(parts)]
        for part, folder in enumerate(folders):
            partitions.write_partition(
                images=images or self.images,
                planned=planned,
                folder=folder,
                part=part,
                parts=parts,
            )
        partitions.collect(folders, manifest, splits, out / "shards", params)
        return out

    def check(self, out: Path, outputs: Outputs, params: Params = PARAMS) -> None:
        """Hold it against the whole stage, which takes over nothing."""
        alone = Outputs(self.root / "alone" / "splits.parquet", self.root / "alone" / "shards")
        shutil.rmtree(self.root / "alone", ignore_errors=True)
        alone.splits.parent.mkdir()
        for file in outputs.splits.parent.glob("*"):  # the list of what is Darkroom's too
            if file.is_file():
                shutil.copy(file, alone.splits.parent)
        run(Inputs(self.images, self.make_manifest(self.images)), alone, params)
        assert read(out / "shards") == read(alone.shards)
        assert (out / "splits.parquet").read_bytes() == alone.splits.read_bytes()


def read(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.fixture
def cluster(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    tmp_path: Path,
) -> Cluster:
    images = make_digits(100, 5)
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    return Cluster(tmp_path, images, make_manifest)


@pytest.mark.parametrize("damage", ["", "cut", "flipped", "gone", "no dataset", "no folder"])
def test_only_new_images_are_read(
    cluster: Cluster,
    outputs: Outputs,
    damage: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = cluster.images
    new = [images / "digit-0" / f"new-{number}.png" for number in range(9)]
    for number, file in enumerate(new):
        Image.new("L", (32, 32), 20 * number).save(file)
    (images / "digit-1" / "003.png").unlink()
    (images / "digit-2").rename(images / "a new name")  # other labels, for all
    before = read_dataset(outputs.shards)
    shard = outputs.shards / before.splits["train"].shards[0].file
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:5000])
    elif damage == "flipped":
        data = np.fromfile(shard, np.uint8)
        data[4000] ^= 1
        data.tofile(shard)
    elif damage == "gone":
        shard.unlink()
    elif damage == "no dataset":
        (outputs.shards / "dataset.json").write_text("{}")
    elif damage:
        shutil.rmtree(outputs.shards)
    only = tmp_path / "only new"
    if damage:
        only = images
    else:  # whoever would read another image would see that it is not there
        for file in new:
            (only / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, only / file.parent.name)
    out = cluster.go(outputs, images=only)
    cluster.check(out, outputs)
    assert not damage or "warning" not in capsys.readouterr().out


def test_what_stands_is_linked_and_few_partitions_write_the_rest(
    cluster: Cluster, outputs: Outputs, capsys: pytest.CaptureFixture[str]
) -> None:
    out = cluster.go(outputs)
    printed = capsys.readouterr().out
    shards = [one for split in read_dataset(outputs.shards).splits.values() for one in split.shards]
    assert f"{len(shards)} shards, {len(shards)} of them there already, in 1 part" in printed
    for one in shards:
        assert (out / "shards" / one.file).samefile(outputs.shards / one.file)
    cluster.check(out, outputs)


def test_another_form_or_damaged_splits_make_all_anew(
    cluster: Cluster, outputs: Outputs, capsys: pytest.CaptureFixture[str]
) -> None:
    smaller = Params(size_px=32, shard_mb=1)
    cluster.check(cluster.go(outputs, smaller), outputs, smaller)
    assert "0 of them there already, in 3 partitions" in capsys.readouterr().out
    larger = Params(size_px=64, shard_mb=2)  # pixels are the same, in other shards
    cluster.check(cluster.go(outputs, larger, cluster.root), outputs, larger)
    whole = read(outputs.shards)
    outputs.splits.write_bytes(b"no table")
    out = cluster.go(outputs)
    assert "warning: " in capsys.readouterr().out
    assert read(out / "shards") == whole


def test_a_shard_without_images_is_planned_as_well(tmp_path: Path) -> None:
    """Of a few large images a shard may hold none: the plan of a cluster ended with a traceback."""
    form = ImageForm(64, "stretch", "#ffffff")
    row = Row("a.png", 1, "ab")
    plans = [
        ShardPlan("train", "0", (), "r0"),
        ShardPlan("train", "1", (row,), "r1", {"ab": ("old", 7)}),
        ShardPlan("train", "2", (), "r2"),
        ShardPlan("val", "3", (Row("b.png", 0, "cd"),), "r3"),
    ]
    partitions.write_plans(tmp_path / "planned", plans, form, tmp_path)
    read = [partitions.read_plans(tmp_path / "planned", part, 3) for part in range(3)]
    assert sorted((one for own, *_ in read for one in own), key=lambda one: one.file) == plans
    assert all(told == [form, tmp_path] for _, *told in read)
