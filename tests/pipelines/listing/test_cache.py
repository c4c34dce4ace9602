"""The same images are the same to KFP's cache, and others are not."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.common.images.listing import LISTING, list_paths
from pipelines.compiler import compile_pipeline
from pipelines.settings import read_settings
from pipelines.steps.shared.volume import read_line, read_place
from tests.pipelines.conftest import PARAMS
from tests.pipelines.driver import Kfp
from tests.pipelines.listing.conftest import commit
from tests.pipelines.listing.run import LISTED, Run, upload
from tests.pipelines.test_fetch import call


def test_the_cache_answers_for_the_same_images(s3: Any, photos: Path, tmp_path: Path) -> None:
    upload(s3, photos)
    run = Run(tmp_path, LISTED)
    first = run.find()
    some = photos / "digit-0" / "001.png"
    s3.upload_file(str(some), "photos", "mine/digit-0/001.png")
    assert run.find() == first  # written again, the same
    lines = {first}
    s3.put_object(Bucket="photos", Key="mine/digit-0/001.png", Body=some.read_bytes() + b"\0")
    lines.add(run.find())
    s3.upload_file(str(some), "photos", "mine/digit-0/new.png")
    lines.add(run.find())
    s3.delete_object(Bucket="photos", Key="mine/digit-0/003.png")
    lines.add(run.find())
    assert len(lines) == 4

    spec = next(yaml.safe_load_all(compile_pipeline(read_settings(PARAMS, run.changes))))
    cluster = Kfp(spec)
    returns = {"plan-checks": ["0/2", "1/2"], "plan-shards": ["0/1"], "find-images": first}
    assert {"fetch", "check-images", "write-shards", "train"} <= set(cluster.run(returns))
    assert cluster.run(returns) == ["find-images", "promote"]
    other = cluster.run(returns | {"find-images": (lines - {first}).pop()})
    assert {"fetch", "check-images", "write-shards", "train"} <= set(other)


def test_on_a_volume_the_cache_answers_for_the_same_images(
    s3: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(s3, photos)
    (tmp_path / "volume").mkdir()
    run = Run(tmp_path, (*LISTED, "kubeflow.volume.claim=photos"), str(tmp_path / "volume"))

    def fetch_in(kfp_run: str) -> str:
        monkeypatch.setenv("DARKROOM_KFP_RUN_ID", kfp_run)
        run.fetch("")
        return str(run.given["place"])

    cluster = Kfp(next(yaml.safe_load_all(compile_pipeline(read_settings(PARAMS, run.changes)))))
    returns = {"plan-checks": ["0/2", "1/2"], "plan-shards": ["0/1"], "fetch": fetch_in("first")}
    assert {"fetch", "check-images", "write-shards", "train"} <= set(cluster.run(returns))
    assert fetch_in("second") == returns["fetch"]
    assert cluster.run(returns) == ["fetch", "promote"]
    s3.upload_file(str(photos / "digit-0" / "001.png"), "photos", "mine/digit-0/new.png")
    new = cluster.run(returns | {"fetch": fetch_in("third")})
    assert {"fetch", "check-images", "write-shards", "train"} <= set(new)
    # The history of the models of one name is not that of another.
    run.given["mlflow"] = {**run.given["mlflow"], "registered_model": "another"}
    assert read_place(fetch_in("fourth")) == read_place(fetch_in("fifth"))
    lines = {read_line(place) for place in (returns["fetch"], run.given["place"])}
    assert len(lines) == 2


def test_a_branch_that_moves_to_the_same_images_says_the_same(
    project: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path, (f"kubeflow.fetch.source=file://{project}",))
    first = run.find()
    (project / "code.py").write_text("pass")
    commit(project, "code")
    assert run.find() == first
    (project / "data" / "images" / "digit-0" / "new.png").parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tmp_path / "digits", project / "data" / "images", dirs_exist_ok=True)
    (project / "data" / "images" / "digit-0" / "001.png").unlink()
    call(project, "dvc", "add", "-q", "data/images")
    commit(project, "an image less")
    call(project, "dvc", "push", "-q")
    assert run.find() != first


def test_what_comes_while_a_run_begins_waits_for_the_next(
    s3: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(s3, photos)
    run = Run(tmp_path, LISTED)
    found = run.find()
    time.sleep(1.1)  # S3 tells times by the second
    s3.upload_file(str(photos / "digit-0" / "001.png"), "photos", "mine/digit-0/new.png")
    run.fetch(found)
    assert "1 file came since" in capsys.readouterr().out
    listed = list_paths(Path(run.images.path) / LISTING)
    assert "digit-0/new.png" not in listed
    s3.delete_object(Bucket="photos", Key="mine/digit-1/001.png")
    with pytest.raises(SystemExit):
        run.fetch(found)
    assert "were replaced or removed since it was looked at" in capsys.readouterr().err
