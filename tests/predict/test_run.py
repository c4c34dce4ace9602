"""Answers to images: the numbers, the forms they are written in, and what is not fatal."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts import model as model_module
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import Decisions, compute_energy
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run
from components.common.tracking.tags import DECISIONS_DIGEST, MODEL_DIGEST, UNSURE_BELOW
from components.predict import run as under_test
from components.predict.run import run
from components.predict.spec import Inputs, Outputs, Params
from components.promote.registry.registry import Registry
from tests.predict.conftest import CLASSES
from tests.tiny_model import make_card

ROOT = Path(model_module.__file__).parents[3]


def predict(
    model: object,
    *images: Path,
    output: object,
    probabilities: bool = False,
    unsure_below: float | None = None,
) -> None:
    outputs = Outputs(str(output), probabilities, unsure_below)
    run(Inputs(str(model), list(images)), outputs, Params())


def ask_by_hand(model: Path, file: Path) -> np.ndarray:
    """Decode with Pillow, multiply with the weights, divide by the temperature: (classes,)."""
    network = model_module.load_model(model)
    weights, bias = network.get_layer("logits").get_weights()
    pixels = np.asarray(Image.open(file), np.float64).reshape(-1) / 127.5 - 1
    scaled = (pixels @ weights + bias) / model_module.read_card(model).temperature
    exponentials = np.exp(scaled - scaled.max())
    return np.asarray(exponentials / exponentials.sum())


def test_answers_are_those_of_the_network(model: Path, photos: Path, tmp_path: Path) -> None:
    predict(model, photos, output=tmp_path / "answers.parquet", probabilities=True)
    found = pd.read_parquet(tmp_path / "answers.parquet")
    assert list(found.columns) == [
        "path", "label", "probability", "unsure", "reason", *(f"p_{name}" for name in CLASSES),
    ]  # fmt: skip
    assert list(found["path"]) == sorted(str(f) for f in photos.rglob("[!.]*.*g"))
    good = found[found["reason"] == ""]
    assert len(good) == 5
    for row in good.to_dict("records"):
        expected = ask_by_hand(model, Path(row["path"]))
        assert [row[f"p_{name}"] for name in CLASSES] == pytest.approx(expected, abs=1e-5)
        assert row["label"] == CLASSES[int(expected.argmax())]
        assert row["probability"] == pytest.approx(expected.max(), abs=1e-5)


def test_bad_image_is_told_and_not_fatal(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.png"
    predict(model, photos, absent, output=tmp_path / "answers.parquet")
    found = pd.read_parquet(tmp_path / "answers.parquet").set_index("path")
    for name in (str(photos / "broken.jpg"), str(absent)):
        assert pd.isna(found.loc[name, "label"])
        assert pd.isna(found.loc[name, "probability"])
        assert found.loc[name, "reason"].startswith("not a readable image")
    told = capsys.readouterr()
    assert told.out == ""
    assert f"  {absent}: not a readable image" in told.err
    assert "  5 of 7 images answered in" in told.err


@pytest.mark.parametrize("form", ["-", "answers.csv"])
def test_csv(
    form: str, model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = form if form == "-" else tmp_path / form
    predict(model, photos, output=output, probabilities=True)
    text = capsys.readouterr().out if form == "-" else Path(output).read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 6
    for row in rows:
        if row["reason"]:
            assert (row["label"], row["probability"], row["p_cat"]) == ("", "", "")
        else:
            shares = [float(row[f"p_{name}"]) for name in CLASSES]
            assert sum(shares) == pytest.approx(1, abs=1e-5)
            assert float(row["probability"]) == max(shares)
            assert row["label"] == CLASSES[int(np.argmax(shares))]


def test_batches_change_nothing(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(model, photos, output=tmp_path / "one.parquet", probabilities=True)
    monkeypatch.setattr(under_test, "BATCH_SIZE", 2)
    predict(model, photos, output=tmp_path / "many.parquet", probabilities=True)
    one, many = (
        pd.read_parquet(tmp_path / "one.parquet"),
        pd.read_parquet(tmp_path / "many.parquet"),
    )
    pd.testing.assert_frame_equal(one, many, rtol=1e-6)


def test_nothing_readable_fails_but_says_so_for_each(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(DarkroomError, match="no image of 1 could be read"):
        predict(model, photos / "broken.jpg", output=tmp_path / "answers.csv")
    assert "not a readable image" in (tmp_path / "answers.csv").read_text()


def test_mistakes_are_found_before_the_model_is_loaded(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DarkroomError, match=r"no images in .*empty: nothing to predict"):
        predict("nowhere.keras", tmp_path / "empty", output="-")
    with pytest.raises(
        DarkroomError, match=r"--output answers.txt: legal are names that end in .csv"
    ):
        predict("nowhere.keras", photos, output="answers.txt")


def test_model_that_is_none(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(DarkroomError, match=r"--model nowhere.keras: no such file"):
        predict("nowhere.keras", photos, output="-")
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(DarkroomError, match="not a model that Darkroom trained"):
        predict(tmp_path / "text.keras", photos, output="-")
    with pytest.raises(
        DarkroomError, match="legal are models:/NAME@ALIAS and models:/NAME/VERSION"
    ):
        predict("models:/darkroom", photos, output="-")


@pytest.mark.parametrize("name", ["models:/darkroom@champion", "models:/darkroom/1"])
def test_model_of_the_registry(
    name: str, registered: Registry, model: Path, photos: Path, tmp_path: Path
) -> None:
    predict(name, photos, output=tmp_path / "registry.csv")
    predict(model, photos, output=tmp_path / "file.csv")
    assert (tmp_path / "registry.csv").read_text() == (tmp_path / "file.csv").read_text()


def test_unsure_is_what_lies_below_the_threshold_of_the_version(
    registered: Registry, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "answers.csv"
    predict("models:/darkroom@champion", photos, output=output)
    assert set(pd.read_csv(output)["unsure"].isna()) == {True}  # it carries none
    middle = float(pd.read_csv(output)["probability"].median())
    registered.client.set_model_version_tag("darkroom", "1", "darkroom.unsure_below", str(middle))
    predict("models:/darkroom@champion", photos, output=output)
    found = pd.read_csv(output).dropna(subset="label")
    assert set(found["unsure"]) == {True, False}
    assert ((found["probability"] < middle) == found["unsure"]).all()
    assert f", {int(found['unsure'].sum())} unsure" in capsys.readouterr().err
    predict("models:/darkroom@champion", photos, output=output, unsure_below=1.1)
    assert pd.read_csv(output).dropna(subset="label")["unsure"].all()


def test_registry_says_what_it_has(registered: Registry, photos: Path) -> None:
    for name, words in {
        "models:/other@champion": r"has no model other; it has darkroom",
        "models:/darkroom@best": r"darkroom has no alias best; it has champion \(version 1\)",
        "models:/darkroom/7": r"darkroom has no version 7",
    }.items():
        with pytest.raises(DarkroomError, match=words):
            predict(name, photos, output="-")


def test_version_without_a_model_file(registered: Registry, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    registered.client.create_model_version("darkroom", source=str(tmp_path / "other"))
    with pytest.raises(
        DarkroomError, match=r"models:/darkroom/2: its artifacts hold no model.keras"
    ):
        predict("models:/darkroom/2", photos, output="-")


def test_model_that_changed_in_the_store_is_refused(
    registered: Registry, photos: Path, tmp_path: Path
) -> None:
    kept = next((tmp_path / "mlruns").rglob("model.keras"))
    kept.write_bytes(kept.read_bytes() + b"x")
    with pytest.raises(DarkroomError, match=r"version 1 is not the file that was registered"):
        predict("models:/darkroom@champion", photos, output="-")


def test_no_database_is_made_for_a_question(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    with pytest.raises(DarkroomError, match=r"mlflow.db: no MLflow database here"):
        predict("models:/darkroom@champion", photos, output="-")
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_command_line(registered: Registry, photos: Path, tmp_path: Path) -> None:
    """A fresh process: quiet, CSV alone on stdout, a list of paths, a reader that leaves."""
    (tmp_path / "list.txt").write_text(f"{photos}\n\n{photos / '0.png'}\n")
    command = [sys.executable, "-m", "components.predict"]
    command += ["--model", "models:/darkroom@champion", f"@{tmp_path / 'list.txt'}"]
    variables = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    variables["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_TRACKING_URI"]
    # At the same time, to save some: one whose reader leaves early.
    early = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert early.stdout is not None
    early.stdout.close()
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len(list(csv.DictReader(done.stdout.splitlines()))) == 7
    told = done.stderr.splitlines()
    assert told[0].startswith("  models:/darkroom@champion: 3 classes, loaded in")
    assert told[1].startswith(f"  {photos / 'broken.jpg'}: not a readable image")
    assert told[2].startswith("  6 of 7 images answered (")
    assert len(told) == 3
    assert early.stderr is not None
    said = early.stderr.read().decode()
    assert early.wait() == 0
    assert "Traceback" not in said
    assert "Exception" not in said


def test_classifier_decodes_what_it_is_given(model: Path, photos: Path) -> None:
    classifier = Classifier(model)
    file = photos / "0.png"
    by_path, by_bytes = classifier.classify([file]), classifier.classify([file.read_bytes()])
    assert np.array_equal(by_path.probabilities, by_bytes.probabilities)
    mixed = classifier.classify([b"junk", file])
    assert np.isnan(mixed.probabilities[0]).all()
    assert np.allclose(mixed.probabilities[1], by_path.probabilities[0])
    assert [bool(reason) for reason in mixed.reasons] == [True, False]
    assert classifier.classify([]).reasons == []
    assert list(classifier.classify_all([])) == []


def test_photo_is_turned_upright_and_resized(model: Path, photos: Path, tmp_path: Path) -> None:
    upright = Image.open(photos / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90° clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    found = Classifier(model).classify([photos / "0.png", tmp_path / "turned.png"])
    assert np.allclose(found.probabilities[0], found.probabilities[1])


def test_folder_keeps_what_it_held_when_asking_fails(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "answers.csv").write_text("old")
    shutil.copy(model, tmp_path / "broken.keras")
    with (tmp_path / "broken.keras").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DarkroomError):
        predict(tmp_path / "broken.keras", photos, output=tmp_path / "answers.csv")
    assert (tmp_path / "answers.csv").read_text() == "old"


def test_a_version_carries_its_sets_and_costs(
    model: Path, registered: Registry, photos: Path, tmp_path: Path
) -> None:
    """Registered as promote does; asked on the command line, and as a server loads it."""
    files = sorted(photos.glob("[0-9].png"))
    energies = compute_energy(Classifier(model).classify(files).logits)
    limits = Decisions(
        0.4, [0.3, 0.2, 0.5], [[0, 9, 9], [1, 0, 1], [1, 1, 0]], 0.9, float(energies.mean())
    )
    with continue_run(Mlflow(), tmp_path / "run.json") as mlflow:
        tags = {MODEL_DIGEST: compute_sha256(model), UNSURE_BELOW: "0.4"}
        tags[DECISIONS_DIGEST] = limits.compute_digest()
        again = Registry(mlflow, "darkroom")
        version = again.register(model, make_card(CLASSES), tags, {}, decisions=limits)
        assert again.find_version(tags[MODEL_DIGEST], tags) == version
        assert again.find_version(tags[MODEL_DIGEST], {UNSURE_BELOW: "0.4"}) is None
        loaded = mlflow.pyfunc.load_model(f"models:/darkroom/{version}")
    source, output = f"models:/darkroom/{version}", tmp_path / "answers.csv"
    run(Inputs(source, files), Outputs(str(output), True, sets=True), Params())
    run(Inputs(source, files), Outputs(f"{output}.parquet", False, sets=True), Params())
    rows = list(csv.DictReader(output.open(newline="")))
    served = loaded.predict(pd.DataFrame({"image": [file.read_bytes() for file in files]}))
    kept = pd.read_parquet(f"{output}.parquet")["sets"]
    judged = ["label", "probability", "unsure", "unknown", "sets"]
    assert list(served) == [*judged, "probabilities", "reason"]
    assert list(served["unknown"]) == list(energies > energies.mean())
    assert [row["unknown"] for row in rows] == [str(one).lower() for one in served["unknown"]]
    for file, row, answer, in_file in zip(
        files, rows, served.to_dict("records"), kept, strict=True
    ):
        shares = ask_by_hand(model, file)
        expected = shares @ np.array(limits.costs)
        best = int(expected.argmin())
        in_set = [i for i in np.argsort(-shares) if shares[i] >= limits.set_from[i]]
        names = [CLASSES[i] for i in dict.fromkeys([int(shares.argmax()), *in_set])]
        assert json.loads(row["sets"]) == list(answer["sets"]) == list(in_file) == names
        assert row["label"] == answer["label"] == CLASSES[best]
        unsure = bool(shares[best] < 0.4 or expected[best] > 0.9)
        assert (row["unsure"], answer["unsure"]) == (str(unsure).lower(), unsure)


def test_a_model_without_limits_says_so(model: Path, photos: Path, tmp_path: Path) -> None:
    outputs = Outputs(str(tmp_path / "a.csv"), False, sets=True)
    with pytest.raises(DarkroomError, match="carries no limits for sets of classes"):
        run(Inputs(str(model), [photos]), outputs, Params())
