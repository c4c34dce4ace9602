"""The whole stage on digits: what it writes, what it takes over, what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts.dataset import Dataset, compute_split_digest, read_dataset
from components.common.artifacts.groups import read_groups
from components.common.artifacts.manifest import QUARANTINED
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.images.pixels import read_pixels
from components.preprocess.run import run
from components.preprocess.spec import Inputs, Outputs, Params

ROOT = Path(__file__).parents[2]
PARAMS = Params(size_px=64, shard_mb=1)


def test_shards_hold_what_dataset_json_says(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    from components.common.shards.examples import read_split

    images = make_digits(60, 3)
    manifest = make_manifest(images)
    run(Inputs(images, manifest), outputs, PARAMS)
    dataset = read_dataset(outputs.shards)
    splits = pd.read_parquet(outputs.splits)
    columns = ["path", "label", "sha256", "group_id", "split", "why", "luma_sha256", "phash"]
    columns += ["batch"]
    assert list(splits.columns) == columns
    assert len(splits) == 180
    assert splits["split"].notna().all()
    assert dataset.class_names == ["digit-0", "digit-1", "digit-2"]
    assert dataset.manifest_sha256 == compute_sha256(manifest)
    assert dataset.splits_sha256 == compute_sha256(outputs.splits)
    assert dataset.params["preprocess.size_px"] == 64
    assert dataset.params["data.near_duplicate_bits"] == 4
    # Where the images lie makes no other data set.
    assert {key for key in dataset.params if not key.startswith("preprocess.")} == {
        "data.near_duplicate_bits"
    }
    assert len(dataset.splits["train"].shards) == 2
    shared = splits["group_id"].duplicated(keep=False)
    paths, digests = list(splits["path"]), list(splits["sha256"])
    groups = read_groups(outputs.shards, paths, digests)
    assert groups == list(splits["group_id"].where(shared, splits["sha256"]))
    for name, split in dataset.splits.items():
        rows = splits[splits["split"] == name].set_index("path")
        examples = read_split(outputs.shards, name)  # by TensorFlow, which checks every checksum
        assert sorted(examples.paths) == sorted(rows.index)
        assert examples.sha256 == list(rows.loc[examples.paths, "sha256"])
        assert not rows["batch"].any()
        assert examples.sha256 == sorted(examples.sha256)
        labels = [dataset.class_names[label] for label in examples.labels]
        assert labels == list(rows.loc[examples.paths, "label"])
        assert split.examples == len(rows)
        assert split.examples_per_class == {
            label: int((rows["label"] == label).sum()) for label in dataset.class_names
        }
        assert split.digest == compute_split_digest(zip(rows["sha256"], rows["label"], strict=True))
        for path, pixels in zip(examples.paths, examples.pixels, strict=True):
            assert np.array_equal(pixels, read_pixels(images / path, dataset.form))
        for shard in split.shards:
            assert shard.sha256 == compute_sha256(outputs.shards / shard.file)


def test_order_of_the_manifest_does_not_matter(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    tmp_path: Path,
) -> None:
    images = make_digits(20, 3)
    manifest = make_manifest(images)
    run(Inputs(images, manifest), outputs, PARAMS)
    turned = tmp_path / "turned.parquet"
    pd.read_parquet(manifest).sample(frac=1, random_state=0).to_parquet(turned, index=False)
    other = Outputs(tmp_path / "other" / "splits.parquet", tmp_path / "other" / "shards")
    run(Inputs(images, turned), other, PARAMS)
    assert other.splits.read_bytes() == outputs.splits.read_bytes()
    first, second = (read_dataset(folder.shards).splits for folder in (outputs, other))
    assert first == second


def test_only_shards_of_changed_images_are_written_again(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = make_digits(100, 5)
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    before = read_files(read_dataset(outputs.shards), outputs.shards)
    stray = outputs.shards / "train-00000-of-00009.tfrecord"
    stray.touch()
    with pytest.raises(DarkroomError, match=r"did not write .*train-00000-of-00009\.tfrecord"):
        run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    stray.unlink()
    Image.new("L", (32, 32), 77).save(images / "digit-0" / "000.png")
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    after = read_files(read_dataset(outputs.shards), outputs.shards)
    # The same file on disk (inode), perhaps under another name: it was not even copied.
    kept = set(before.values()) & set(after.values())
    assert 1 <= len(before) - len(kept) <= 2  # the shard that it left, and val's that was not full
    assert 1 <= len(after) - len(kept) <= 2
    assert f"{len(kept)} of {len(after)} shards stand unchanged" in capsys.readouterr().out
    on_disk = {file.name for file in outputs.shards.iterdir()}
    assert on_disk == {*after, "dataset.json", "groups.parquet", ".darkroom"}


def test_new_images_make_shards_of_their_own(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(100, 5)
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    splits = pd.read_parquet(outputs.splits)
    splits.drop(columns="batch").to_parquet(outputs.splits)  # of a version that knew none
    before = read_files(read_dataset(outputs.shards), outputs.shards)
    for number in range(20):
        Image.new("L", (32, 32), 5 * number).save(images / "digit-0" / f"new-{number}.png")
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    dataset = read_dataset(outputs.shards)
    after = read_files(dataset, outputs.shards)
    names = [shard.file for shard in dataset.splits["train"].shards]
    assert names == [f"train-{i:05d}-of-{len(names):05d}.tfrecord" for i in range(len(names))]
    gone = {name.split("-")[0] for name, file in before.items() if file not in after.values()}
    assert "train" not in gone
    assert len(set(after.values()) - set(before.values())) <= 3
    files = {file: file.read_bytes() for file in outputs.shards.iterdir() if file.is_file()}
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    assert files == {file: file.read_bytes() for file in outputs.shards.iterdir() if file.is_file()}


def read_files(dataset: Dataset, folder: Path) -> dict[str, tuple[str, int]]:
    """Return file name → (digest, inode) of the shards that dataset.json lists."""
    shards = [shard for split in dataset.splits.values() for shard in split.shards]
    return {shard.file: (shard.sha256, (folder / shard.file).stat().st_ino) for shard in shards}


def test_old_images_come_before_better_copies_that_are_added(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(40, 2)
    run(Inputs(images, make_manifest(images)), outputs, PARAMS)
    before = pd.read_parquet(outputs.splits).set_index("path")["split"]
    for file in list(images.rglob("*.png")):
        Image.open(file).resize((64, 64)).save(file.with_name(f"copy-{file.name}"))
    manifest = make_manifest(images)
    table = pd.read_parquet(manifest)
    table["phash"] = [  # a copy has the hash of its original, which no other has
        hashlib.sha256(path.replace("copy-", "").encode()).hexdigest()[:16]
        for path in table["path"]
    ]
    table.to_parquet(manifest)
    run(Inputs(images, manifest), outputs, PARAMS)
    after = pd.read_parquet(outputs.splits).set_index("path")
    assert (after.loc[before.index, "split"] == before).all()
    copies = after[after.index.str.contains("copy-")]
    originals = after.loc[copies.index.str.replace("copy-", "")]
    assert (copies["split"].to_numpy() == originals["split"].to_numpy())[
        copies["split"].notna()
    ].all()
    assert 10 < copies["split"].isna().sum() < 60
    outputs.splits.unlink()
    run(
        Inputs(images, manifest), outputs, PARAMS
    )  # without memory the better copies win, none moves
    fresh = pd.read_parquet(outputs.splits).set_index("path")
    both = fresh["split"].notna() & after["split"].notna()
    assert (fresh["split"][both] == after["split"][both]).all()
    assert fresh.loc[copies.index, "split"].notna().all()


@pytest.mark.parametrize("damage", ["cut", "gone", "json"])
def test_damaged_shards_are_written_again(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    damage: str,
) -> None:
    images = make_digits(20, 3)
    manifest = make_manifest(images)
    run(Inputs(images, manifest), outputs, PARAMS)
    before = read_dataset(outputs.shards)
    shard = outputs.shards / before.splits["train"].shards[0].file
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "gone":
        shard.unlink()
    else:
        (outputs.shards / "dataset.json").write_text("{")
    run(Inputs(images, manifest), outputs, PARAMS)
    assert read_dataset(outputs.shards) == before
    assert compute_sha256(shard) == before.splits["train"].shards[0].sha256


def test_quarantined_images_are_not_used(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(20, 3)
    manifest = pd.read_parquet(make_manifest(images))
    (images / manifest["path"][3]).write_bytes(b"broken")
    manifest.loc[3, "status"] = QUARANTINED
    path = images.parent / "quarantine.parquet"
    manifest.to_parquet(path)
    run(Inputs(images, path), outputs, PARAMS)
    assert manifest["path"][3] not in set(pd.read_parquet(outputs.splits)["path"])


def test_auto_size_is_resolved_in_dataset_json(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(20, 3, size_px=8)
    run(Inputs(images, make_manifest(images)), outputs, Params())
    dataset = read_dataset(outputs.shards)
    assert dataset.form.size_px == 96
    assert dataset.params["preprocess.size_px"] == "auto"


def test_given_splits_and_leakage_are_told(
    make_digits: Callable[..., Path],
    make_manifest: Callable[..., Path],
    outputs: Outputs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = make_digits(30, 2)
    given = [("train", "val", "test")[i % 3] for i in range(60)]
    phashes = ["00000000000000ff"] * 2 + [""] * 58  # the first is in train, the second in val
    manifest = make_manifest(images, split=given, phash=phashes)
    run(Inputs(images, manifest), outputs, PARAMS)
    splits = pd.read_parquet(outputs.splits)
    assert list(splits["split"]) == given
    printed = capsys.readouterr().out
    assert "warning: 1 image of given splits like an image of another one" in printed


# --- what is refused ---------------------------------------------------------------------------


def test_failure_leaves_the_old_outputs_as_they_were(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(20, 3)
    manifest = make_manifest(images)
    run(Inputs(images, manifest), outputs, PARAMS)
    before = {file: compute_sha256(file) for file in outputs.splits.parent.rglob("*.*")}
    (images / "digit-1" / "001.png").unlink()
    with pytest.raises(DarkroomError, match=r"digit-1/001\.png: listed in the manifest"):
        run(Inputs(images, manifest), outputs, Params(size_px=32))
    assert before == {file: compute_sha256(file) for file in outputs.splits.parent.rglob("*.*")}


def test_folder_that_cannot_be_written_is_named(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    images = make_digits(20, 3)
    (tmp_path / "file").write_text("in the way")
    outputs = Outputs(tmp_path / "splits.parquet", tmp_path / "file" / "shards")
    with pytest.raises(DarkroomError, match=r"file.* cannot be written"):
        run(Inputs(images, make_manifest(images)), outputs, PARAMS)


def test_command_line_works_without_tensorflow(
    make_digits: Callable[..., Path], make_manifest: Callable[..., Path], outputs: Outputs
) -> None:
    images = make_digits(20, 3)
    flags = ["--images", images, "--manifest", make_manifest(images)]
    flags += [
        "--splits",
        outputs.splits,
        "--shards",
        outputs.shards,
        "--params",
        ROOT / "params.yaml",
    ]
    code = (
        "import sys; from components.common.cli import run_room; "
        "run_room('preprocess', sys.argv[1:]); "
        "print('TensorFlow' if 'tensorflow' in sys.modules else 'none')"
    )
    command = [sys.executable, "-c", code, *map(str, flags)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "none"
    assert "60 images of 3 classes: train" in done.stdout
    assert json.loads((outputs.shards / "dataset.json").read_text())["form"]["size_px"] == 128
    shutil.rmtree(images)
    (images / "digit-0").mkdir(parents=True)
    shutil.rmtree(outputs.shards)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "run validate again" in done.stderr
    assert not outputs.shards.exists()
