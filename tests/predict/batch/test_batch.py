"""A batch: the answers of predict, partition by partition, and what goes on, changes or is lost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts import model as model_module
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import Decisions
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run
from components.common.tracking.tags import DECISIONS_DIGEST, MODEL_DIGEST, UNSURE_BELOW
from components.predict.batch import partitions
from components.predict.batch.batch import run_batch
from components.predict.batch.listing import read_rows, write_listing
from components.predict.batch.partitions import answer_partitions
from components.predict.batch.summary import write_summary
from components.predict.run import run
from components.predict.spec import Inputs, Outputs, Params
from components.promote.registry.registry import Registry
from tests.predict.conftest import CLASSES
from tests.tiny_model import SIZE_PX, make_card

ROOT = Path(model_module.__file__).parents[3]
MODEL = "models:/darkroom@champion"


def read_answers(output: Path) -> pd.DataFrame:
    return pd.read_parquet(output / "answers")  # as one table, as anybody would


def ask_predict(model: str, images: list[Path | bytes], folder: Path) -> pd.DataFrame:
    file = folder / "by-predict.parquet"
    run(Inputs(model, images), Outputs(str(file), probabilities=False), Params())
    return pd.read_parquet(file)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    columns = ["path", "label", "unsure", "reason"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_dtype=False)
    probabilities = expected["probability"].to_numpy()
    np.testing.assert_allclose(found["probability"], probabilities, rtol=0, atol=1e-6)


def register(registry: Registry, model: Path, limits: Decisions) -> None:
    """Make a version the champion: the same file with other limits."""
    tags = {MODEL_DIGEST: compute_sha256(model), UNSURE_BELOW: str(limits.unsure_below)}
    if limits.has_more:
        tags[DECISIONS_DIGEST] = limits.compute_digest()
    with continue_run(Mlflow(), Path("run.json")):
        version = registry.register(
            model, make_card(CLASSES), tags, {}, limits.unsure_below, decisions=limits
        )
    registry.set_alias("champion", version)


def read_times(output: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (output / "answers").glob("part-*")}


def test_answers_and_summary_are_those_of_predict(
    registered: Registry,
    model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    middle = ask_predict(str(model), [photos], tmp_path)["probability"].median()
    register(registered, model, Decisions(float(middle)))  # some are unsure, some are not
    (photos / "notes.txt").write_text("no image")
    output = tmp_path / "out"
    run_batch(str(photos), MODEL, output, partition_images=2)
    found, expected = read_answers(output), ask_predict(MODEL, [photos], tmp_path)
    assert_same(found, expected)
    assert sorted(read_times(output)) == [f"part-{number:06d}.parquet" for number in range(3)]
    for path, digest in zip(found["path"], found["sha256"], strict=True):
        assert digest == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert set(found["model_version"]) == {"2"}
    assert found["unknown"].isna().all()  # this version has no limit for it
    summary = json.loads((output / "summary.json").read_text())
    good = expected[expected["reason"] == ""]
    reasons = expected.loc[expected["reason"] != "", "reason"].value_counts().to_dict()
    assert (summary["images"], summary["answered"], summary["unanswered"]) == (6, len(good), 1)
    counts = good["label"].value_counts()
    assert summary["classes"] == {name: int(counts.get(name, 0)) for name in CLASSES}
    assert summary["reasons"] == reasons
    assert summary["skipped"] == {".txt": 1, "hidden": 1}
    assert 0 < good["unsure"].astype(bool).mean() < 1
    assert summary["unsure_share"] == pytest.approx(good["unsure"].astype(bool).mean())
    assert summary["unknown_share"] is None
    assert (summary["model"], summary["version"]) == ("models:/darkroom/2", "2")
    assert "5 of 6 images answered by version 2" in capsys.readouterr().out


def test_what_is_answered_is_not_asked_again(
    registered: Registry, model: Path, photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"

    def ask() -> dict[str, int]:
        run_batch(str(photos), MODEL, output, partition_images=2)
        return read_times(output)

    first = ask()
    assert ask() == first
    changed = Path(read_answers(output)["path"][2])  # the first of the second partition
    Image.new("RGB", (SIZE_PX, SIZE_PX), "red").save(changed)
    second = ask()
    assert {name for name in first if first[name] != second[name]} == {"part-000001.parquet"}
    assert_same(read_answers(output), ask_predict(MODEL, [photos], tmp_path))
    # The same file, registered again, is another version; other limits are another answer.
    register(registered, model, Decisions(0.999))
    third = ask()
    assert all(third[name] != second[name] for name in second)
    assert set(read_answers(output)["model_version"]) == {"2"}
    assert_same(read_answers(output), ask_predict(MODEL, [photos], tmp_path))
    # A shorter batch leaves no answers of the longer one in the table.
    shutil.rmtree(photos / "sub")
    ask()
    assert_same(read_answers(output), ask_predict(MODEL, [photos], tmp_path))
    assert json.loads((output / "summary.json").read_text())["partitions"] == 2


def test_what_was_stopped_goes_on(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    create_rows, calls = partitions.create_rows, []

    def stop(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return create_rows(*args)

    with monkeypatch.context() as patch:
        patch.setattr(partitions, "create_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            run_batch(str(photos), str(model), output, partition_images=3)
    first = read_times(output)
    assert list(first) == ["part-000000.parquet"]
    names = [file.name for file in (output / "answers").iterdir()]
    assert names == ["part-000000.parquet"]  # nothing half
    with pytest.raises(DarkroomError, match=r"part-000001\.parquet: the partition is not answered"):
        write_summary(output / "listing.parquet", output)
    run_batch(str(photos), str(model), output, partition_images=3)
    assert read_times(output)["part-000000.parquet"] == first["part-000000.parquet"]
    assert_same(read_answers(output), ask_predict(str(model), [photos], tmp_path))


def test_partitions_one_by_one_are_the_whole(model: Path, photos: Path, tmp_path: Path) -> None:
    for number in (2, 0, 1):
        run_batch(str(photos), str(model), tmp_path / "out", 2, number)
    before = read_times(tmp_path / "out")
    assert len(before) == 3
    assert not (tmp_path / "out" / "summary.json").exists()
    run_batch(str(photos), str(model), tmp_path / "out", 2)
    assert read_times(tmp_path / "out") == before
    assert_same(read_answers(tmp_path / "out"), ask_predict(str(model), [photos], tmp_path))
    with pytest.raises(DarkroomError, match="--partition 3: there are 3, so legal are 0 to 2"):
        run_batch(str(photos), str(model), tmp_path / "out", 2, 3)


def test_a_list_of_any_names(model: Path, photos: Path, tmp_path: Path) -> None:
    odd = os.fsencode(photos) + b"/caf\xe9, x.png"
    shutil.copy(photos / "0.png", odd)
    names = [odd, os.fsencode(photos / "absent.png"), os.fsencode(photos / "sub")]
    (tmp_path / "list.txt").write_bytes(b"\n".join(names))
    run_batch(f"@{tmp_path / 'list.txt'}", str(model), tmp_path / "out", 2)
    found = read_answers(tmp_path / "out")
    expected = ask_predict(str(model), [Path(os.fsdecode(name)) for name in names], tmp_path)
    assert_same(found, expected)
    assert len(found) == 4
    assert "caf\\udce9" in found["path"][0]
    assert found["model_version"].isna().all()  # of no registry
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["reasons"] == {
        "not a readable image ([Errno 2] No such file or directory)": 1  # whatever it is called
    }
    before = read_times(tmp_path / "out")
    run_batch(f"@{tmp_path / 'list.txt'}", str(model), tmp_path / "out", 2)
    assert read_times(tmp_path / "out") == before  # what is absent still is
    shutil.copy(photos / "0.png", photos / "absent.png")
    run_batch(f"@{tmp_path / 'list.txt'}", str(model), tmp_path / "out", 2)
    assert list(read_answers(tmp_path / "out")["reason"]) == [""] * 4


def test_an_image_that_is_lost_meanwhile_is_asked_about_again(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    listing, output = tmp_path / "listing.parquet", tmp_path / "out"
    write_listing(listing, str(photos), str(model), 10)
    (photos / "0.png").rename(tmp_path / "0.png")
    assert answer_partitions(listing, str(photos), output, 0, 1) == 1
    found = read_answers(output).set_index("path")
    assert pd.isna(found.loc[str(photos / "0.png"), "label"])
    assert found.loc[str(photos / "0.png"), "reason"]
    assert write_summary(listing, output)["lost"] == 1
    shutil.copy2(tmp_path / "0.png", photos / "0.png")
    assert answer_partitions(listing, str(photos), output, 0, 1) == 1
    assert_same(read_answers(output), ask_predict(str(model), [photos], tmp_path))
    assert answer_partitions(listing, str(photos), output, 0, 1) == 0
    assert write_summary(listing, output)["lost"] == 0


@pytest.mark.parametrize("is_back", [True, False])
@pytest.mark.parametrize("is_moved", [True, False])
def test_an_image_that_goes_between_two_looks_at_it_is_asked_about_again(
    model: Path, photos: Path, tmp_path: Path, is_moved: bool, is_back: bool
) -> None:
    """Its sha256 is that of the listing, and what the network saw is something else, or nothing."""
    listing, output, file = tmp_path / "listing.parquet", tmp_path / "out", photos / "0.png"
    write_listing(listing, str(photos), str(model), 10)
    away, classify_all = tmp_path / "away.png", Classifier.classify_all
    shutil.copy2(file, away)

    def lose(self: Any, images: Any, batch_size: int) -> Any:
        given = list(images)  # by now each has its sha256
        if is_moved:
            file.replace(away)
        else:
            Image.new("RGB", (SIZE_PX, SIZE_PX), "red").save(file)
        answers = list(classify_all(self, given, batch_size))
        if is_back:
            shutil.copy2(away, file)
        yield from answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "classify_all", lose)
        assert answer_partitions(listing, str(photos), output, 0, 1) == 1
    assert write_summary(listing, output)["lost"] == 1
    shutil.copy2(away, file)
    assert answer_partitions(listing, str(photos), output, 0, 1) == 1
    assert_same(read_answers(output), ask_predict(str(model), [photos], tmp_path))


def test_unknown_is_told_where_the_version_has_a_limit(
    registered: Registry, model: Path, photos: Path, tmp_path: Path
) -> None:
    register(registered, model, Decisions(0.45, unknown_above=-1.0))
    run_batch(str(photos), MODEL, tmp_path / "out", 2)
    found, expected = read_answers(tmp_path / "out"), ask_predict(MODEL, [photos], tmp_path)
    assert found["unknown"].tolist() == expected["unknown"].tolist()
    share = json.loads((tmp_path / "out" / "summary.json").read_text())["unknown_share"]
    assert share == pytest.approx(expected["unknown"].dropna().astype(bool).mean())


def test_a_store_is_answered_as_a_folder(
    s3: Any, model: Path, photos: Path, tmp_path: Path
) -> None:
    files = sorted(file for file in photos.rglob("[!.]*.*g"))
    for file in files:
        s3.upload_file(str(file), "photos", f"new/{file.relative_to(photos)}")
    s3.put_object(Bucket="photos", Key="new/readme.txt", Body=b"words")
    source = "s3://photos/new"
    run_batch(source, str(model), tmp_path / "out", 4)
    expected = ask_predict(str(model), [photos], tmp_path)
    expected["path"] = [path.replace(str(photos), source) for path in expected["path"]]
    assert_same(read_answers(tmp_path / "out"), expected)
    before = read_times(tmp_path / "out")
    run_batch(source, str(model), tmp_path / "out", 4)
    assert read_times(tmp_path / "out") == before
    # What changes after it was listed is no wrong answer, but an error.
    write_listing(tmp_path / "listing.parquet", source, str(model), 4)
    s3.upload_file(str(files[0]), "photos", "new/1-new.png")
    s3.upload_file(str(files[0]), "photos", f"new/{files[-1].relative_to(photos)}")
    with pytest.raises(DarkroomError, match="has changed since the batch was listed"):
        answer_partitions(tmp_path / "listing.parquet", source, tmp_path / "out2", 0, 1)
    assert len(read_answers(tmp_path / "out2")) == 4


def test_rows_are_read_by_partition(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "listing.parquet"
    about = write_listing(file, str(photos), "m", 4)
    assert (about.images, about.partitions) == (6, 2)
    rows = [row for number in range(2) for row in read_rows(file, number)]
    assert [os.fsdecode(row.path) for row in rows] == sorted(map(str, photos.rglob("[!.]*.*g")))
    assert [row.bytes for row in rows] == [
        Path(os.fsdecode(row.path)).stat().st_size for row in rows
    ]


def test_what_is_in_the_way_or_not_there_is_told(model: Path, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    (output / "answers").mkdir(parents=True)
    mine = output / "answers" / "part-000001.parquet"
    pd.DataFrame({"mine": [1]}).to_parquet(mine)
    with pytest.raises(DarkroomError, match="Darkroom did not write it"):
        run_batch(str(photos), str(model), output, 2)
    assert list(pd.read_parquet(mine).columns) == ["mine"]
    for source, words in {
        str(tmp_path / "nowhere"): "no such file or folder",
        "-": "must stay where it is",
        "https://host/photos.zip": "must stay where it is",
        str(output): "no images in",
        "@nowhere": "nor a list nowhere",
    }.items():
        with pytest.raises(DarkroomError, match=words):
            run_batch(source, str(model), tmp_path / "other", 2)
    with pytest.raises(DarkroomError, match="--output"):
        run_batch(str(photos), str(model), photos / "out", 2)
    shutil.rmtree(photos / "sub")
    for file in photos.glob("*.png"):
        file.write_bytes(b"junk")
    with pytest.raises(DarkroomError, match="no image of 4 could be read"):
        run_batch(str(photos), str(model), tmp_path / "junk", 2)


@pytest.mark.slow
def test_the_command_line(model: Path, photos: Path, tmp_path: Path) -> None:
    words = ["-m", "components.predict", "batch", str(photos), "--model", str(model)]
    done = subprocess.run(
        [sys.executable, *words, "--output", "out", "--partition-images", "4"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 of 6 images answered" in done.stdout
    assert len(read_answers(tmp_path / "out")) == 6
