"""The pipeline `darkroom-predict`, run here: predict's own answers, and a watch that may fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from ruamel.yaml import YAML

from components.common.artifacts import model as model_module
from components.common.tracking.server import import_mlflow
from components.predict.batch.listing import read_listing, write_listing
from components.predict.batch.watching import draw_sample
from components.predict.recording import DRIFT, WATCHED
from components.predict.run import run
from components.predict.spec import Inputs, Outputs, Params
from pipelines.steps import batch

ROOT = Path(model_module.__file__).parents[3]
MODEL = "models:/darkroom@champion"


@pytest.mark.slow
def test_a_local_run_answers_as_predict_does(watched: Path, mlflow_store: Path) -> None:
    (watched / "broken.png").write_bytes(b"junk")
    words = ["predict", "--local", "--source", str(watched), "--output", "out"]
    words += ["--params", str(ROOT / "params.yaml"), "--set", "predict.batch.partition_images=50"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", *words, "--set", "kubeflow.partitions=2"],
        cwd=mlflow_store,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = mlflow_store / "out"
    found = pd.read_parquet(output / "answers")
    run(Inputs(MODEL, [watched]), Outputs("own.parquet", probabilities=False), Params())
    own = pd.read_parquet("own.parquet")
    columns = ["path", "label", "unsure", "reason"]
    pd.testing.assert_frame_equal(found[columns], own[columns], check_dtype=False)
    np.testing.assert_allclose(found["probability"], own["probability"], rtol=0, atol=1e-6)
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["partitions"], summary["answered"], summary["unanswered"]) == (3, 120, 1)
    assert summary["model"] == "models:/darkroom/1"  # what the alias meant
    drift = json.loads((output / "drift.json").read_text())
    assert (drift["drifted"], drift["images"], drift["version"]) == (False, 120, "1")
    client = import_mlflow().MlflowClient()
    experiment = client.get_run(client.get_model_version("darkroom", "1").run_id).info.experiment_id
    (watch,) = client.search_runs([experiment], f"tags.`{WATCHED}` = 'darkroom/1'")
    assert watch.data.metrics["drift.images"] == 120


def give(listing: Path, source: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Return the arguments of the task `watch_answers`, as KFP gives them."""
    predict = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())["predict"]
    predict["batch"] |= {"watch_images": 60.0, **changes}  # KFP sends whole numbers as floats
    artifact = SimpleNamespace(path=str(listing))
    return {"listing": artifact, "source": str(source), "output": str(output), "predict": predict}


def test_a_drift_is_told_and_lets_the_run_fail_where_that_is_asked_for(
    watched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in watched.glob("[0-9]*.png"):
        with Image.open(file) as image:
            ImageEnhance.Brightness(image.convert("RGB")).enhance(0.4).save(file)
    listing, output = tmp_path / "listing", tmp_path / "out"
    write_listing(listing, str(watched), "models:/darkroom/1", 50)
    assert batch.watch(give(listing, watched, output)) == "drift"
    client = import_mlflow().MlflowClient()
    assert "brightness" in client.get_model_version("darkroom", "1").tags[DRIFT]
    assert json.loads((output / "drift.json").read_text())["images"] == 60
    with pytest.raises(SystemExit) as end:
        batch.watch(give(listing, watched, output, fail_on_drift=True))
    assert end.value.code == 1
    assert "error: the batch has drifted" in capsys.readouterr().err
    assert "images is 0" in batch.watch(give(listing, watched, output, watch_images=0))
    few = watched.parent / "few"
    few.mkdir()
    (watched / "1.png").rename(few / "1.png")
    write_listing(listing, str(few), "models:/darkroom/1", 50)
    assert "too few images" in batch.watch(give(listing, few, output))  # and no failure


def test_a_sample_is_drawn_from_all_partitions(photos: Path, tmp_path: Path) -> None:
    listing = tmp_path / "listing.parquet"
    write_listing(listing, str(photos), "m", 2)
    everything = [row.path for row in draw_sample(listing, 100)]
    assert len(everything) == len(set(everything)) == read_listing(listing).images == 6
    some = [row.path for row in draw_sample(listing, 4)]
    assert some == [path for path in everything if path in some]
    assert len(some) == 4
