"""What the tasks' bodies do: parameters, artifacts, partitions, pages, MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.predictions import Predictions
from pipelines.steps import rooms
from pipelines.steps.rooms import (
    place_input,
    read_params_of,
    resolve_folder,
    restore_integers,
    writing_outputs,
)
from pipelines.steps.views import compute_roc, embed_pages, show_verdict
from tests.pipelines.conftest import Stub

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_whole_numbers_come_back_as_int() -> None:
    sent = {"epochs": 8.0, "rate": 0.5, "rules": [{"each": 3.0}], "on": True, "name": "8.0"}
    wanted = {"epochs": 8, "rate": 0.5, "rules": [{"each": 3}], "on": True, "name": "8.0"}
    found = restore_integers(sent)
    assert found == wanted
    assert [type(found["epochs"]), type(found["on"])] == [int, bool]


def test_a_wrong_parameter_of_a_run_is_refused_in_the_task() -> None:
    from components.common.errors import DarkroomError

    with pytest.raises(DarkroomError, match=r"parameters of the run: unknown key ingest\.sorce"):
        read_params_of("ingest", {"ingest": {"sorce": "digits", "sha256": ""}})


@pytest.mark.parametrize("room", ["validate", "preprocess"])
def test_what_two_rooms_share_reaches_both(room: str) -> None:
    from pipelines.settings import read_settings

    sent = read_settings(PARAMS, ["data.near_duplicate_bits=7"]).parameters
    sent["data"]["near_duplicate_bits"] = 7.0  # as KFP sends it
    assert read_params_of(room, sent).data.near_duplicate_bits == 7


def test_rooms_see_the_names_of_dvc_yaml_and_nothing_is_copied(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    link = place_input(tmp_path / "..", Stub(tmp_path / "model"))
    assert link.name == "model.keras"
    assert link.is_symlink()
    link.unlink()


def test_outputs_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    artifacts = {
        "model": Stub(tmp_path / "out" / "model"),
        "plots": Stub(tmp_path / "out" / "plots"),
    }

    def write(fail: bool) -> None:
        with writing_outputs(artifacts) as paths:
            assert paths["model"].name == "model.keras"
            paths["model"].write_text("new")
            paths["plots"].mkdir()
            if fail:
                raise KeyError

    with pytest.raises(KeyError):
        write(fail=True)
    assert list((tmp_path / "out").iterdir()) == []
    for _ in range(2):  # an attempt before this one may have left them
        write(fail=False)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["model", "plots"]


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    from components.common.errors import DarkroomError

    with pytest.raises(DarkroomError, match="the artifact model was not brought"):
        place_input(tmp_path, Stub(tmp_path / "model"))


def test_the_roc_is_scikit_learns_micro_average() -> None:
    from sklearn.metrics import auc, roc_auc_score

    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 500)
    logits = draw.normal(size=(500, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    paths = [f"{i}.png" for i in range(500)]
    false, true, thresholds = compute_roc(
        Predictions(list("abcd"), paths, paths, labels, logits.astype(np.float32), probabilities)
    )
    assert len(false) == len(true) == len(thresholds) <= 100
    assert json.loads(json.dumps(thresholds))[0] <= 1
    exact = roc_auc_score(np.eye(4)[labels], probabilities, average="micro")
    assert auc(false, true) == pytest.approx(exact, abs=0.002)


def test_linked_pages_are_inside_the_one_page(tmp_path: Path) -> None:
    (tmp_path / "gx").mkdir()
    (tmp_path / "gx" / "index.html").write_text('<p title="a">results & more</p>')
    front = tmp_path / "index.html"
    front.write_text(
        '<body><a href="gx/index.html">all</a> <a href="https://x.org/a.html">x</a></body>'
    )
    page = embed_pages(front)
    assert 'href="#page-1"' in page
    assert "&lt;p title=&quot;a&quot;&gt;results &amp; more" in page
    assert 'href="https://x.org/a.html"' in page
    assert page.endswith("</body>")


def test_the_verdict_page_says_what_the_verdict_says(tmp_path: Path) -> None:
    verdict = {
        "verdict": "rejected", "words": "accuracy 0.7 is below 0.8", "model": "darkroom",
        "version": "3", "rules": [{"outcome": "failed", "words": "accuracy | at least 0.8"}],
        "mlflow": "http://mlflow:5000", "run_id": "r1", "aliases": ["challenger"],
        "champion_before": "2", "lineage": {"git_commit": "4e1"},
    }  # fmt: skip
    (tmp_path / "verdict").write_text(json.dumps(verdict))
    page = Stub(tmp_path / "page")
    show_verdict(SimpleNamespace(path=str(tmp_path / "verdict")), page)
    text = (tmp_path / "page").read_text()
    assert text.startswith("# darkroom version 3: rejected")
    for words in ("accuracy \\| at least 0.8", "`r1`", "champion before: 2", "git_commit: `4e1`"):
        assert words in text
    assert page.metadata == {"verdict": "rejected", "mlflow_run": "r1"}


def test_the_champion_look_up_tells_none_another_and_the_same(mlflow_store: Path) -> None:
    from mlflow import MlflowClient

    from pipelines.steps.runs import THIS_MODEL, look_up_champion

    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}
    assert look_up_champion(given, "abc") == "none"
    client = MlflowClient()
    client.create_registered_model("digits")
    tags = {"darkroom.model_digest": "abc"}
    version = client.create_model_version("digits", str(mlflow_store), tags=tags).version
    client.set_registered_model_alias("digits", "champion", version)
    assert look_up_champion(given, "abc") == THIS_MODEL
    assert look_up_champion(given, "def") == "version 1"


def test_the_end_of_a_failed_run_is_on_the_mlflow_run(
    mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from pipelines.steps.runs import record_end

    monkeypatch.setenv("DARKROOM_KFP_RUN_ID", "5a7c")
    mlflow.set_experiment("darkroom")
    run = mlflow.MlflowClient().create_run("1", tags={"darkroom.kfp_run_id": "5a7c"})
    other = mlflow.MlflowClient().create_run("1", tags={"darkroom.kfp_run_id": "other"})
    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}
    record_end(given, "FAILED", "train was\nkilled", Stub(mlflow_store / "ending"))
    found = mlflow.get_run(run.info.run_id)
    assert found.data.tags["darkroom.kfp_state"] == "FAILED"
    assert found.info.status == "FAILED"
    assert mlflow.get_run(other.info.run_id).info.status == "RUNNING"
    text = (mlflow_store / "ending").read_text()
    assert "> train was killed" in text
    assert run.info.run_id in text


def test_a_users_error_is_the_last_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from components.common.errors import DarkroomError

    def fail() -> None:
        raise DarkroomError("the photos\nare gone")

    with pytest.raises(SystemExit) as caught:
        rooms.one_line(fail)()
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: the photos are gone\n"


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_partitions_write_what_one_process_writes(
    tmp_path: Path, make_digits: Callable[..., Path], parts: int, shared: bool
) -> None:
    from components.common.cli import read_room_params
    from components.preprocess import run as one
    from components.preprocess.spec import Inputs, Outputs
    from components.validate.layouts.layout import read_layout
    from components.validate.run import create_manifest, write_manifest
    from pipelines.settings import read_settings
    from pipelines.steps.shards import collect, plan, write

    images = make_digits(per_class=40, classes=3)
    manifest = tmp_path / "manifest"
    checks = read_room_params(PARAMS, "validate")
    write_manifest(manifest, create_manifest(images, read_layout(images, checks), checks)[0])
    changes = ["preprocess.size_px=224", "preprocess.shard_mb=1"]
    sections = read_settings(PARAMS, changes).parameters
    params = read_params_of("preprocess", sections)
    whole = Outputs(tmp_path / "one" / "splits", tmp_path / "one" / "shards")
    one.run(Inputs(images, manifest), whole, params)

    volume = str(tmp_path / "volume") if shared else ""
    common = {name: sections[name] for name in ("preprocess", "data")}
    common |= {"manifest": Stub(manifest), "images": Stub(images)}
    common["splits"] = Stub(tmp_path / "plan" / "splits")
    names = plan(common, parts)
    assert names == [f"{part}/{parts}" for part in range(parts)]
    written = [Stub(tmp_path / f"write-{part}" / "part_shards") for part in range(parts)]
    for name, artifact in zip(names, written, strict=True):
        write(common | {"part_shards": artifact}, name, volume)
    shards = Stub(tmp_path / "collect" / "shards")
    collect(common | {"shards": shards}, written, volume)

    assert Path(common["splits"].path).read_bytes() == whole.splits.read_bytes()
    found = resolve_folder(Path(shards.path))
    assert found.is_relative_to(tmp_path / "volume") is shared
    files = sorted(file.name for file in whole.shards.iterdir())
    assert len(files) > 6
    assert sorted(file.name for file in found.iterdir()) == files
    for file in files:
        assert (found / file).read_bytes() == (whole.shards / file).read_bytes()


def test_a_shard_that_is_damaged_on_its_way_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.common.errors import DarkroomError
    from components.preprocess import partitions

    def refuse(*_: Any) -> None:
        raise OSError  # another file system

    monkeypatch.setattr(partitions.os, "link", refuse)
    (tmp_path / "shard").write_bytes(b"damaged")
    with pytest.raises(DarkroomError, match="damaged on its way"):
        partitions.bring(tmp_path / "shard", tmp_path / "target", "0" * 64)


def test_on_a_volume_what_was_begun_stays_for_the_next_attempt(tmp_path: Path) -> None:
    artifacts = {"model": Stub(tmp_path / "out" / "model")}
    kept = tmp_path / "volume" / "runs" / "5a7c" / "train"

    def attempt(fail: bool) -> None:
        with writing_outputs(artifacts, kept) as paths:
            checkpoint = paths["model"].with_name("model.checkpoint")
            if fail:
                checkpoint.write_text("epoch 3")
                raise KeyError
            assert checkpoint.read_text() == "epoch 3"
            paths["model"].write_text("weights")

    with pytest.raises(KeyError):
        attempt(fail=True)
    attempt(fail=False)
    assert Path(artifacts["model"].path).read_text() == "weights"
    assert not kept.exists()
