"""What the tasks' bodies do: parameters, artifacts, partitions, pages, MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.predictions import Predictions
from pipelines.steps.bundles import carry_along, find_input, resolve_folder
from pipelines.steps.rooms import (
    place_inputs,
    read_params_of,
    restore_integers,
    writing_outputs,
)
from pipelines.steps.views import compute_roc, embed_pages
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
    common |= {name: Stub(tmp_path / "plan" / name) for name in ("splits", "planned")}
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
