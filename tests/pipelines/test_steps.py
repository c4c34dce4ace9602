"""What the tasks' bodies do: parameters, artifacts, partitions, pages, MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.predictions import Predictions
from pipelines.steps import rooms, runs
from pipelines.steps.bundles import carry_along, find_input, resolve_folder
from pipelines.steps.rooms import (
    place_inputs,
    read_params_of,
    restore_integers,
    writing_outputs,
)
from pipelines.steps.views import compute_roc, describe_verdict, embed_pages
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
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.keras").write_bytes(b"weights")
    given = {"model": Stub(tmp_path / "model")}
    (tmp_path / "seen").mkdir()
    link = place_inputs(tmp_path / "seen", given, ["model"])["model"]
    assert link.name == "model.keras"
    assert link.is_symlink()
    assert link.read_bytes() == b"weights"


def test_outputs_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    given = {
        "evaluation": Stub(tmp_path / "out" / "evaluation"),
        "report": Stub(tmp_path / "out" / "report"),
    }

    def write(fail: bool) -> None:
        with writing_outputs(given, ["metrics", "plots", "report"]) as paths:
            assert paths["metrics"].name == "metrics.json"
            assert paths["report"].name == "report.html"
            assert paths["plots"].parent == paths["metrics"].parent
            paths["metrics"].write_text("new")
            paths["report"].write_text("new")
            paths["plots"].mkdir()
            if fail:
                raise KeyError

    with pytest.raises(KeyError):
        write(fail=True)
    assert list((tmp_path / "out").iterdir()) == []
    for _ in range(2):  # an attempt before this one may have left them
        write(fail=False)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["evaluation", "report"]
    inside = sorted(one.name for one in (tmp_path / "out" / "evaluation").iterdir())
    assert inside == ["metrics.json", "plots"]


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    from components.common.errors import DarkroomError

    with pytest.raises(DarkroomError, match="the artifact model was not brought"):
        find_input({"model": Stub(tmp_path / "model")}, "model")


def test_a_file_goes_along_to_a_later_task(tmp_path: Path) -> None:
    for name in ("manifest", "evaluation"):
        (tmp_path / name).mkdir()
    (tmp_path / "manifest" / "validation.json").write_text("{}")
    given = {name: Stub(tmp_path / name) for name in ("manifest", "evaluation")}
    carry_along(given, "validation", "evaluation")
    later = {"evaluation": given["evaluation"]}
    assert find_input(later, "validation") == tmp_path / "evaluation" / "validation.json"


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


def test_the_verdict_in_words_says_what_the_verdict_says() -> None:
    verdict = {
        "verdict": "rejected", "words": "accuracy 0.7 is below 0.8", "model": "darkroom",
        "version": "3", "rules": [{"outcome": "failed", "words": "accuracy\nat least 0.8"}],
        "mlflow": "http://mlflow:5000", "run_id": "r1", "aliases": ["challenger"],
        "champion_before": "2", "lineage": {"git_commit": "4e1"},
        "against_champion": {"won": 20, "won_paths": [f"{i}.png" for i in range(20)]},
    }  # fmt: skip
    lines = describe_verdict(verdict).splitlines()
    assert lines[0] == "darkroom version 3: rejected"
    assert "- failed: accuracy at least 0.8" in lines
    assert "MLflow: http://mlflow:5000, run r1" in lines
    assert "champion before: 2" in lines
    assert "git_commit: 4e1" in lines
    (won,) = [line for line in lines if line.startswith("20 images won")]
    assert won.count(".png") == 10


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


def test_a_model_that_is_champion_already_is_not_promoted_again(
    mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.steps import promotion

    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(promotion, "look_up_champion", lambda *_: runs.THIS_MODEL)
    monkeypatch.setattr(promotion, "run_room", refuse)
    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}
    assert "is champion already" in promotion.promote(given, "abc")


@pytest.mark.parametrize(
    ("error", "state", "status"),
    [
        (KeyError, "FAILED", "FAILED"),
        (SystemExit, "FAILED", "FAILED"),
        (None, "SUCCEEDED", "RUNNING"),
    ],
)
def test_how_the_run_ended_is_on_the_mlflow_run(
    mlflow_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException] | None,
    state: str,
    status: str,
) -> None:
    import mlflow

    monkeypatch.setenv("DARKROOM_KFP_RUN_ID", "5a7c")
    mlflow.set_experiment("darkroom")
    run = mlflow.MlflowClient().create_run("1", tags={"darkroom.kfp_run_id": "5a7c"})
    other = mlflow.MlflowClient().create_run("1", tags={"darkroom.kfp_run_id": "other"})
    given = {"mlflow": {"experiment": "darkroom", "registered_model": "digits"}}

    def work() -> None:
        with runs.recording_end(given, last=True):
            if error:
                raise error

    if error:
        with pytest.raises(error):
            work()
    else:
        work()
    found = mlflow.get_run(run.info.run_id)
    assert found.data.tags["darkroom.kfp_state"] == state
    assert found.info.status == status  # the rooms end their run themselves
    assert "darkroom.kfp_state" not in mlflow.get_run(other.info.run_id).data.tags


def test_a_failure_is_told_though_mlflow_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away() -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(runs, "import_mlflow", away)
    with pytest.raises(KeyError), runs.recording_end({"mlflow": {}}):
        raise KeyError
    assert "MLflow was not told that the run ended: no route to host" in capsys.readouterr().err


def test_kfps_own_mlflow_run_is_left_aside_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    monkeypatch.setenv("MLFLOW_RUN_ID", "0123")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    rooms.leave_kfps_run()
    assert "KFP's MLflow plugin set MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_ID" in capsys.readouterr().out
    assert "MLFLOW_RUN_ID" not in os.environ
    rooms.leave_kfps_run()
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device", "/tmp/x")

    with pytest.raises(SystemExit):
        rooms.one_line(fail)()
    assert capsys.readouterr().err.startswith("error: /tmp/x is full; see tmp_size")


@pytest.mark.parametrize("passing", [False, True])
def test_kubernetes_keeps_the_last_line_and_whether_another_attempt_may_help(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passing: bool
) -> None:
    from components.common.errors import DarkroomError

    monkeypatch.setattr(rooms, "TERMINATION", tmp_path / "termination-log")
    rooms.TERMINATION.write_text("")  # as the kubelet makes it

    def fail() -> None:
        try:
            if passing:
                raise ConnectionResetError
            raise KeyError
        except (KeyError, ConnectionError) as error:
            raise DarkroomError("the store broke off") from error

    with pytest.raises(SystemExit):
        rooms.one_line(fail)()
    begins = "try again: " if passing else "error: "
    assert rooms.TERMINATION.read_text() == f"{begins}the store broke off"


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
    manifest = tmp_path / "manifest" / "manifest.parquet"
    manifest.parent.mkdir()
    checks = read_room_params(PARAMS, "validate")
    write_manifest(manifest, create_manifest(images, read_layout(images, checks), checks)[0])
    changes = ["preprocess.size_px=224", "preprocess.shard_mb=1"]
    sections = read_settings(PARAMS, changes).parameters
    params = read_params_of("preprocess", sections)
    whole = Outputs(tmp_path / "one" / "splits", tmp_path / "one" / "shards")
    one.run(Inputs(images, manifest), whole, params)

    volume = str(tmp_path / "volume") if shared else ""
    common = {name: sections[name] for name in ("preprocess", "data")}
    common |= {"manifest": Stub(manifest.parent), "place": ""}
    common |= {"images": None, "place": f"{images}@1"} if shared else {"images": Stub(images)}
    (tmp_path / "volume").mkdir()
    common["splits"] = Stub(tmp_path / "plan" / "splits")
    names = plan(common, parts)
    assert names == [f"{part}/{parts}" for part in range(parts)]
    written = [Stub(tmp_path / f"write-{part}" / "written") for part in range(parts)]
    for name, artifact in zip(names, written, strict=True):
        write(common | {"written": artifact}, name, volume)
    shards = Stub(tmp_path / "collect" / "shards")
    collect(common | {"shards": shards}, written, volume)

    found = resolve_folder(Path(shards.path))
    assert (found / "splits.parquet").read_bytes() == whole.splits.read_bytes()
    assert found.is_relative_to(tmp_path / "volume") is shared
    files = sorted(file.name for file in whole.shards.iterdir())
    assert len(files) > 6
    assert sorted(file.name for file in (found / "shards").iterdir()) == files
    for file in files:
        assert (found / "shards" / file).read_bytes() == (whole.shards / file).read_bytes()


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
    given = {"model": Stub(tmp_path / "out" / "model")}
    kept = tmp_path / "volume" / "runs" / "5a7c" / "train"

    def attempt(fail: bool) -> None:
        with writing_outputs(given, ["model", "history"], kept) as paths:
            checkpoint = paths["model"].with_name("model.checkpoint")
            if fail:
                checkpoint.write_text("epoch 3")
                raise KeyError
            assert checkpoint.read_text() == "epoch 3"
            checkpoint.unlink()
            paths["model"].write_text("weights")

    with pytest.raises(KeyError):
        attempt(fail=True)
    attempt(fail=False)
    assert find_input(given, "model").read_text() == "weights"
    assert not kept.exists()
