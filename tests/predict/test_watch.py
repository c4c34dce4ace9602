"""Drift: no alarm for more of the same, an alarm with the right name for what changed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from components.common.errors import DarkroomError
from components.common.files.writing import write_json
from components.common.images.measures import NAMES, measure_image
from components.common.images.pixels import ImageForm
from components.common.serving.batching import Batcher
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import Decisions
from components.common.statistics.holm import correct_holm
from components.common.tracking.server import import_mlflow
from components.predict.drift import NUMBERS, compare
from components.predict.recording import DRIFT, WATCHED
from components.predict.serve.champion import Loaded
from components.predict.serve.requestlog import RequestLog, take_print
from components.predict.watch import watch
from components.promote.registry.registry import Registry
from tests.predict.conftest import CLASSES

MODEL = "models:/darkroom@champion"
FORM = ImageForm(32, "crop", "#ffffff")


def make_batch(rows: int, seed: int, shares: tuple[float, ...] = (0.5, 0.3, 0.2)) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(size=(rows, len(NUMBERS))), columns=list(NUMBERS))
    table.insert(0, "predicted", random.choice(["a", "b", "c"], rows, p=shares))
    return table


def test_more_of_the_same_raises_an_alarm_in_less_than_one_of_twenty_batches() -> None:
    reference = make_batch(400, 0)
    alarms = sum(
        any(shift.is_drift for shift in compare(reference, make_batch(300, seed)))
        for seed in range(1, 101)
    )
    assert alarms <= 5


def test_what_changed_is_named() -> None:
    reference, batch = make_batch(400, 0), make_batch(300, 1, (0.2, 0.3, 0.5))
    batch["brightness"] += 0.6
    drifted = {shift.figure for shift in compare(reference, batch) if shift.is_drift}
    assert drifted == {"predicted", "brightness"}
    first = compare(reference, batch)[0]
    assert isinstance(first.before, dict)
    assert isinstance(first.now, dict)
    w = sum((first.now[k] - first.before[k]) ** 2 / first.before[k] for k in "abc") ** 0.5
    assert first.effect == pytest.approx(w)


def test_significant_trifle_is_no_drift() -> None:
    reference, batch = make_batch(40_000, 0), make_batch(40_000, 1)
    batch["contrast"] += 0.05
    found = next(shift for shift in compare(reference, batch) if shift.figure == "contrast")
    assert found.p_value < 0.01
    assert not found.is_drift


def test_holm() -> None:
    assert correct_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_figures_of_images(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), (255, 0, 0)).save(tmp_path / "red.png")
    found = dict(zip(NAMES, measure_image(tmp_path / "red.png", FORM), strict=True))
    assert found == pytest.approx(
        {
            "brightness": 0.299,
            "contrast": 0,
            "saturation": 1,
            "sharpness": 0,
            "aspect": 1,  # twice as wide as high
            "megapixels": np.log2(0.02),
        },
        abs=1e-6,
    )


def test_batches_of_the_registered_model(
    watched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (watched / "broken.png").write_bytes(b"junk")
    assert not watch(MODEL, [watched], tmp_path / "drift.json")
    found = json.loads((tmp_path / "drift.json").read_text())
    assert (found["images"], found["unreadable"], found["version"]) == (120, 1, "1")
    assert (found["reference_images"], len(found["shifts"])) == (120, 8)
    size = next(shift for shift in found["shifts"] if shift["figure"] == "megapixels")
    assert size["before"] == size["now"] == pytest.approx(32 * 32 / 1e6)  # as its label says
    told = capsys.readouterr()
    assert "no drift (120 images against 120" in told.out
    assert re.search(r"megapixels +0.00102 → 0.00102 MP", told.out)
    assert "broken.png" in told.err
    shutil.copytree(watched, tmp_path / "before")
    for file in watched.glob("[0-9]*.png"):
        with Image.open(file) as image:
            ImageEnhance.Brightness(image.convert("RGB")).enhance(0.4).save(file)
    client = import_mlflow().MlflowClient()
    assert DRIFT not in client.get_model_version("darkroom", "1").tags  # no alarm, no word
    assert watch(MODEL, [watched], None)
    assert "✗ brightness" in capsys.readouterr().out
    tag = client.get_model_version("darkroom", "1").tags[DRIFT]
    assert "brightness 1.00" in tag
    (run,) = client.search_runs(
        [client.get_run(client.get_model_version("darkroom", "1").run_id).info.experiment_id],
        f"tags.`{WATCHED}` = 'darkroom/1' and metrics.`drift.drifted` = 1",
    )
    assert run.info.run_id in tag
    assert run.data.metrics["drift.brightness.effect"] > 0.1
    assert run.data.metrics["drift.images"] == 120
    assert not watch(MODEL, [tmp_path / "before"], None)
    assert client.get_model_version("darkroom", "1").tags[DRIFT].startswith("none (")


def write_log(
    model: Path, images: list[Path], log: Path, version: str = "1", mb: float = 10
) -> None:
    """Write what a server writes of some images."""
    classifier = Classifier(model)
    batcher, written = Batcher(classifier), RequestLog(log, mb)
    loaded = Loaded("darkroom", version, list(CLASSES), Decisions(0.45), classifier, batcher)
    data = [file.read_bytes() for file in images]
    answers = [batcher.ask(one).result() for one in data]
    written.write(loaded, list(zip(map(take_print, data), answers, strict=True)))
    batcher.close()
    written.close()


def test_what_a_server_logged_tells_the_same_as_the_images(
    watched: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (watched / "broken.png").write_bytes(b"junk")
    images, log = sorted(watched.iterdir()), tmp_path / "requests.jsonl"
    write_log(model, images, log)
    write_log(model, images[:5], log, version="2")
    with log.open("a") as stream:
        stream.write('{"time": "torn')
    watch(MODEL, [watched], tmp_path / "images.json")
    watch(MODEL, [], tmp_path / "log.json", [log])
    by_image, by_log = (
        json.loads((tmp_path / name).read_text()) for name in ("images.json", "log.json")
    )
    assert (by_log["images"], by_log["unreadable"]) == (120, 1)
    for ours, theirs in zip(by_log["shifts"], by_image["shifts"], strict=True):
        assert ours["effect"] == pytest.approx(theirs["effect"], abs=0.01)
    assert "120 answers of this version in the log, 1 image" in capsys.readouterr().err
    text = log.read_text()
    assert hashlib.sha256(images[0].read_bytes()).hexdigest() in text
    assert len(text) / 125 < 500  # bytes a line


def test_the_log_is_bounded(watched: Path, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "requests.jsonl"
    write_log(model, sorted(watched.iterdir()), log, mb=0.02)
    parts = [log, log.with_name("requests.jsonl.1")]
    assert sum(part.stat().st_size for part in parts) <= 20_000
    (tmp_path / "mine.txt").write_text("mine")
    write_json(tmp_path / "metrics.json", {"accuracy": 1.0})
    (tmp_path / "new.1").write_text("mine")  # where the older part of a log `new` goes
    for other in (tmp_path / "mine.txt", tmp_path, tmp_path / "metrics.json", tmp_path / "new"):
        with pytest.raises(DarkroomError, match="is there already, and is no such log"):
            RequestLog(other, 10)
    with pytest.raises(DarkroomError, match="--log nowhere: no such file"):
        watch(MODEL, [], None, [Path("nowhere")])


def test_what_cannot_be_watched_is_told(
    registered: Registry, photos: Path, model: Path, tmp_path: Path
) -> None:
    for name in (MODEL, str(model)):
        with pytest.raises(DarkroomError, match="keeps no reference of its data"):
            watch(name, [photos], None)


def test_few_images_are_no_batch(watched: Path) -> None:
    with pytest.raises(DarkroomError, match="1 readable images in"):
        watch(MODEL, [watched / "0.png"], None)
