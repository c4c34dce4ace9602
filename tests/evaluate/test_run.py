"""The stage on a real network, real shards and a real MLflow."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import metrics as sklearn_metrics

from components.common.artifacts.dataset import read_dataset
from components.common.artifacts.model import load_model
from components.common.artifacts.predictions import read_predictions
from components.common.shards.examples import read_split
from components.common.tracking.runs import read_run_id
from components.common.tracking.server import import_mlflow
from components.evaluate.run import run
from components.evaluate.spec import Params
from components.promote.gate.evidence import parse_evidence
from tests.evaluate.conftest import CLASSES, Room

PARAMS = Params(batch_size=64, resamples=200, robustness_images=16, latency_runs=3)


def test_everything_is_written_and_the_numbers_are_scikit_learns(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    run(room.inputs, room.outputs, PARAMS)
    said = capsys.readouterr().out

    # The oracle: the whole model on the whole split, and scikit-learn.
    examples = read_split(room.inputs.shards, "test")
    assert len(examples.paths) % PARAMS.batch_size  # the last batch is a short one
    answers = load_model(room.inputs.model).predict(examples.pixels, verbose=0)
    taken = answers.argmax(axis=1)
    table = pd.read_parquet(room.outputs.predictions)
    assert list(table["path"]) == sorted(examples.paths)
    by_path = table.set_index("path").loc[examples.paths]
    assert list(by_path["sha256"]) == examples.sha256
    assert list(by_path["label"]) == [CLASSES[i] for i in examples.labels]
    assert list(by_path["predicted"]) == [CLASSES[i] for i in taken]
    np.testing.assert_allclose(by_path[[f"p_{name}" for name in CLASSES]], answers, atol=1e-5)
    np.testing.assert_allclose(by_path["probability"], answers.max(axis=1), atol=1e-5)

    found = json.loads(room.outputs.metrics.read_text())
    assert 0.5 < found["accuracy"] < 1  # it has learnt something, and not all
    assert found["accuracy"] == sklearn_metrics.accuracy_score(examples.labels, taken)
    assert found["macro"]["f1"] == pytest.approx(
        sklearn_metrics.f1_score(examples.labels, taken, average="macro")
    )
    assert found["log_loss"] == pytest.approx(
        sklearn_metrics.log_loss(examples.labels, answers), abs=1e-5
    )
    dataset = read_dataset(room.inputs.shards)
    assert found["test_digest"] == dataset.splits["test"].digest
    assert {score["name"]: score["images"] for score in found["classes"]} == (
        dataset.splits["test"].examples_per_class
    )

    # promote's rules can name the figures and the ends of their intervals.
    figures = parse_evidence(found, "metrics.json").figures
    assert figures["accuracy.low"] < figures["accuracy"] < figures["accuracy.high"]
    assert figures["macro.f1.low"] < figures["macro.f1"] < figures["macro.f1.high"]

    mistakes = int((taken != examples.labels).sum())
    assert f"{len(table)} test images of 4 classes" in said
    assert f"accuracy {found['accuracy']:.1%} (95% interval " in said
    assert f"the report: {room.outputs.report}" in said
    page = room.outputs.report.read_text()
    worst = page[page.index('<section id="mistakes"') : page.index("The pairs that are mixed up")]
    assert worst.count("data:image/jpeg") == min(mistakes, PARAMS.mistakes_shown)
    assert worst.count('class="heat"') == min(mistakes, PARAMS.mistakes_shown)
    assert "digit-1/0001.png" in page  # the label suspect
    assert "The model itself was trained with 80, 320 photos" in page
    assert "The model and the probe, each asked about photos that it had not learnt." in page
    assert "://" not in page.replace("http://www.w3.org", "")  # nothing is loaded from elsewhere
    assert found["gradcam_sanity"]["passed"]
    probe, majority = found["against"]
    assert (probe["name"], majority["name"]) == ("probe", "majority")
    baseline = pd.read_parquet(room.inputs.findings / "probe.parquet")
    lost = set(baseline["path"][baseline["correct"] & ~table["correct"]])
    assert set(probe["lost_paths"]) == lost
    assert lost
    assert all(f"<code>{path}</code>" in page for path in sorted(lost)[:50])
    assert figures["slices.camera.phone.images"] == 64 == figures["robustness.noise.1.images"] * 4
    assert 0 <= found["unsure_below"] <= 1
    assert "# Model card" in room.outputs.model_card.read_text()
    assert sorted(file.name for file in room.outputs.plots.iterdir()) == [
        ".darkroom",
        "classes.csv",
        "confusion.csv",
        "reliability.csv",
        "reliability_uncalibrated.csv",
        "robustness.csv",
        "slices.csv",
        "thresholds.csv",
    ]


def test_predictions_come_back_as_they_were_written(room: Room) -> None:
    run(room.inputs, room.outputs, PARAMS)
    first = read_predictions(room.outputs.predictions)
    files = [room.outputs.predictions, room.outputs.metrics, *sorted(room.outputs.plots.iterdir())]
    before = [file.read_bytes() for file in files]
    run(room.inputs, room.outputs, replace(PARAMS, batch_size=7))
    again = read_predictions(room.outputs.predictions)
    assert again.paths == first.paths
    np.testing.assert_allclose(again.logits, first.logits, atol=1e-4)
    run(room.inputs, room.outputs, PARAMS)
    assert [file.read_bytes() for file in files] == before


def test_the_run_of_train_gets_figures_and_files(room: Room) -> None:
    run(room.inputs, room.outputs, PARAMS)
    found = json.loads(room.outputs.metrics.read_text())
    mlflow = import_mlflow()
    tracked = mlflow.get_run(read_run_id(room.inputs.run))
    assert tracked.info.status == "FINISHED"
    assert tracked.data.metrics["test_accuracy"] == found["accuracy"]
    assert tracked.data.metrics["test_macro_f1"] == found["macro"]["f1"]
    assert tracked.data.metrics["test_accuracy_low"] == found["intervals"]["accuracy"][0]
    latency = json.loads(room.outputs.latency.read_text())
    assert 0 < latency["latency_ms"] <= latency["latency_p95_ms"]
    assert tracked.data.metrics["test_cost_latency_ms"] == latency["latency_ms"]
    assert tracked.data.metrics["test_cost_parameters"] == found["cost"]["parameters"]
    assert tracked.data.params["evaluate.resamples"] == "200"
    assert not any("mlflow" in name for name in tracked.data.params)
    client = mlflow.MlflowClient()
    names = [one.path for one in client.list_artifacts(tracked.info.run_id, "evaluation")]
    assert names == [
        "evaluation/labels.html",
        "evaluation/latency.json",
        "evaluation/metrics.json",
        "evaluation/model_card.md",
        "evaluation/plots",
        "evaluation/predictions.parquet",
        "evaluation/report.html",
    ]
    copy = client.download_artifacts(
        tracked.info.run_id, "evaluation/report.html", str(room.folder)
    )
    assert Path(copy).read_text() == room.outputs.report.read_text()


def test_labels_in_doubt_are_shown_as_pictures(room: Room) -> None:
    shards = room.inputs.shards
    known = {split: read_split(shards, split) for split in ("train", "val")}
    chosen = [("train", 7), ("val", 3), ("val", 0)]
    rows = [f"{known[s].paths[i]},{s},0,1,0.01,0.95,{known[s].sha256[i]}" for s, i in chosen]
    lines = ["path,split,label,suggested,score,suggested_score,sha256", *rows]
    (room.inputs.findings / "label_issues.csv").write_text("\n".join(lines) + "\n")

    run(room.inputs, room.outputs, PARAMS)

    page = room.outputs.report.read_text()
    shown = re.findall(
        r'src="data:image/jpeg;base64,([^"]+)" alt="filed under 0, looks like 1"', page
    )
    assert len(shown) == len(chosen)
    for picture, (split, i) in zip(shown, chosen, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))), np.int16)
        assert np.abs(pixels - known[split].pixels[i]).mean() < 6  # what JPEG loses of 8 × 8
