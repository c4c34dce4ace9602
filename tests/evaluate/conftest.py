"""Digits in shards, a small network that learnt them, and what else evaluate reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts.curve import (
    CLASS,
    EVERYTHING,
    FINETUNED,
    FORECAST,
    LABELS,
    MEASURED,
    RECALL,
    CurvePoint,
    write_curve,
)
from components.common.artifacts.dataset import (
    Dataset,
    Shard,
    Split,
    compute_split_digest,
    write_dataset,
)
from components.common.artifacts.findings import FindingFiles
from components.common.artifacts.manifest import COLUMNS as MANIFEST
from components.common.artifacts.manifest import write_manifest
from components.common.artifacts.model import (
    LOGITS,
    PROBABILITIES,
    TEMPERATURE,
    ModelCard,
    save_model,
)
from components.common.artifacts.predictions import Predictions, write_predictions
from components.common.files.writing import compute_sha256
from components.common.images.pixels import ImageForm
from components.common.settings.spec import Mlflow
from components.common.shards.examples import read_split
from components.common.shards.tfrecord import create_record
from components.common.tracking.recording import start_recorded_run
from components.evaluate.spec import Inputs, Outputs
from tests.conftest import load_digits

CLASSES = ["1", "3", "8", "9"]
FORM = ImageForm(8, "crop", "#ffffff")
TEMPERATURE_VALUE = 1.25
HISTORY = """\
phase,epoch,learning_rate,train_loss,train_accuracy,val_loss,val_accuracy,seconds,is_best
probe,0,,0.30,0.95,0.40,0.90,3.0,0
fine-tune,1,0.0002,0.50,0.93,0.38,0.91,9.0,0
fine-tune,2,0.0001,0.40,0.97,0.30,0.94,9.0,1
"""
ISSUES = """\
path,split,label,suggested,score,suggested_score,sha256
digit-1/0001.png,train,1,8,0.01,0.95,ab
"""
CURVE = [
    CurvePoint(EVERYTHING, "", MEASURED, 20, 0, 0.6, 0.55, 0.65, 0, 0, 0),
    CurvePoint(EVERYTHING, "", MEASURED, 160, 0, 0.85, 0.82, 0.88, 0, 0, 0),
    CurvePoint(EVERYTHING, "", MEASURED, 320, 0, 0.9, 0.88, 0.92, 0, 0, 0),
    CurvePoint(EVERYTHING, "", FORECAST, 500, 100, 0.92, 0.9, 0.94, 0.012, 0.004, 0.021),
    CurvePoint(EVERYTHING, "", FORECAST, 800, 400, 0.94, 0.91, 0.96, 0.03, 0.01, 0.05),
    CurvePoint(CLASS, "8", FORECAST, 200, 100, 0.915, 0.9, 0.93, 0.008, -0.004, 0.02),
    CurvePoint(RECALL, "8", FORECAST, 200, 100, 0.88, 0.82, 0.93, 0.05, 0.01, 0.09),
    CurvePoint(FINETUNED, "", MEASURED, 80, 0, 0.8, 0.77, 0.83, 0, 0, 0),
    CurvePoint(FINETUNED, "", MEASURED, 320, 0, 0.93, 0.9, 0.95, 0, 0, 0),
    CurvePoint(FINETUNED, "", FORECAST, 400, 100, 0.94, 0.92, 0.96, 0.011, 0.003, 0.02),
    CurvePoint(LABELS, "", MEASURED, 1, 0, 0.9, 0.88, 0.92, 0.001, -0.001, 0.003),
]
VALIDATION = {
    "status": "passed_with_warnings",
    "images": 722,
    "usable": 720,
    "quarantined": 2,
    "classes": {"1": 182, "3": 183, "8": 174, "9": 180},
    "expectations": [],
    "findings": [
        {
            "kind": "near-duplicates",
            "severity": "warning",
            "message": "near-duplicates <b>of each other</b>: 4",
            "advice": "preprocess keeps them in one split",
            "count": 4,
            "examples": [],
        }
    ],
    "drift": [],
}


def write_shards(folder: Path, per_class: dict[str, int] | None = None, shards: int = 3) -> Dataset:
    """Write the digits of CLASSES; `per_class` limits the test images of a class."""
    images, digits = load_digits()
    splits = {}
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = [i for i in random.permutation(len(digits)) if str(digits[i]) in CLASSES]
    parts = {"train": rows[:300], "val": rows[300:400], "test": rows[400:]}
    for name, members in parts.items():
        counts = dict.fromkeys(CLASSES, 0)
        records, about = [], []
        for i in members:
            label = str(digits[i])
            if name == "test" and counts[label] >= (per_class or {}).get(label, 10_000):
                continue
            counts[label] += 1
            pixels = np.repeat(images[i][..., None], 3, axis=2)  # (8, 8, 3)
            sha256 = hashlib.sha256(pixels.tobytes() + bytes([i % 256, i // 256])).hexdigest()
            about.append((sha256, label))
            features = {
                "pixels": pixels.tobytes(),
                "label": CLASSES.index(label),
                "path": f"digit-{label}/{i:04d}.png".encode(),
                "sha256": sha256.encode(),
            }
            records.append(create_record(features))
        written = []
        for number in range(shards):
            file = folder / f"{name}-{number:05d}-of-{shards:05d}.tfrecord"
            some = records[number::shards]
            file.write_bytes(b"".join(some))
            written.append(Shard(file.name, len(some), compute_sha256(file)))
        splits[name] = Split(len(records), counts, compute_split_digest(about), written)
    dataset = Dataset(CLASSES, FORM, splits, "m" * 64, "s" * 64, {"preprocess.size_px": 8})
    write_dataset(folder, dataset)
    return dataset


def write_tables(folder: Path) -> None:
    """Write manifest, splits and what a poor probe says, all of the test images in the shards."""
    test = read_split(folder / "shards", "test")
    order = np.argsort(np.array(test.paths, object))
    paths = [test.paths[i] for i in order]
    labels, pixels = test.labels[order], test.pixels[order]
    random = np.random.default_rng(1)
    images = len(paths)
    columns: dict[str, object] = dict.fromkeys(MANIFEST, "") | {
        "path": paths,
        "label": [CLASSES[i] for i in labels],
        "sha256": [test.sha256[i] for i in order],
        "bytes": 130,
        "format": "PNG",
        "width_px": random.integers(8, 80, images),
        "height_px": 40,
        "mode": "L",
        "exif_orientation": 1,
        "brightness": pixels.mean(axis=(1, 2, 3)) / 255,
        "contrast": pixels.std(axis=(1, 2, 3)) / 255,
        "sharpness": random.random(images) * 1000,
        "status": "ok",
        "camera": np.where(np.arange(images) % 5 == 0, "phone", "scanner"),
    }
    write_manifest(folder / "manifest.parquet", pd.DataFrame(columns, index=range(images)))
    # Every second image is of one group with its neighbour.
    groups = [f"g{i // 2 if i < 40 else i}" for i in range(images)]
    table = pd.DataFrame({"path": paths, "group_id": groups, "split": "test"})
    table.to_parquet(folder / "splits.parquet")
    logits = random.normal(0, 1, (images, len(CLASSES)))
    logits[np.arange(images), labels] += 2.0
    sha256 = [test.sha256[i] for i in order]
    probe = predictions_of(labels, logits, CLASSES, paths, sha256)
    findings = FindingFiles(folder / "training")
    findings.folder.mkdir(exist_ok=True)
    write_predictions(findings.probe, probe)
    findings.label_issues.write_text(ISSUES)
    write_curve(findings.curve, CURVE)
    Image.new("RGB", (64, 32), "#336699").save(findings.augmented)


def write_model(
    file: Path, dataset: Dataset, epochs: int = 6, bias: float | None = None, **card: object
) -> None:
    """Train a small network on the digits and save it; `bias` spoils its first logit."""
    from components.common.backend import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((8, 8, 3))
    layers = keras.layers
    flow = layers.Rescaling(1 / 255)(pixels)
    flow = layers.Conv2D(24, 3, activation="relu")(flow)
    flow = layers.GlobalAveragePooling2D()(layers.Conv2D(32, 3, activation="relu")(flow))
    logits = layers.Dense(len(dataset.class_names), name=LOGITS)(flow)
    scaled = layers.Rescaling(1 / TEMPERATURE_VALUE, name=TEMPERATURE)(logits)
    network = keras.Model(pixels, layers.Softmax(name=PROBABILITIES)(scaled))
    if epochs:
        train = read_split(file.parent / "shards", "train")
        network.compile("adam", "sparse_categorical_crossentropy")
        network.optimizer.learning_rate = 0.02
        network.fit(train.pixels, train.labels, 32, epochs=epochs, verbose=0)
    if bias is not None:
        layer = network.get_layer(LOGITS)
        kernel, values = layer.get_weights()
        values[0] = bias
        layer.set_weights([kernel, values])
    digests = {name: split.digest for name, split in dataset.splits.items()}
    about = {
        "class_names": dataset.class_names,
        "form": dataset.form,
        "backbone": "tiny",
        "weights": "none",
        "temperature": TEMPERATURE_VALUE,
        "phase": "fine-tune",
        "digests": {"manifest": "m" * 64, "splits": "s" * 64} | digests,
        "params": {"train.seed": 0, "train.backbone": "tiny"},
        "versions": {"keras": keras.__version__},
    }
    save_model(file, network, ModelCard(**(about | card)))


@dataclass(frozen=True)
class Room:
    """A folder as the earlier rooms leave it."""

    folder: Path
    inputs: Inputs
    outputs: Outputs


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with shards and a model that knows them; tests copy it."""
    folder = tmp_path_factory.mktemp("trained")
    write_model(folder / "model.keras", write_shards(folder / "shards"))
    write_tables(folder)
    (folder / "history.csv").write_text(HISTORY)
    (folder / "validation.json").write_text(json.dumps(VALIDATION))
    return folder


@pytest.fixture
def room(trained: Path, mlflow_store: Path) -> Room:
    """Return a room ready to run, on an MLflow store of its own."""
    folder = mlflow_store
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    with start_recorded_run(Mlflow(), folder / "run.json"):
        pass
    reports = folder / "reports"
    return Room(
        folder,
        Inputs(
            model=folder / "model.keras",
            shards=folder / "shards",
            manifest=folder / "manifest.parquet",
            splits=folder / "splits.parquet",
            history=folder / "history.csv",
            findings=folder / "training",
            validation=folder / "validation.json",
            run=folder / "run.json",
        ),
        Outputs(
            predictions=reports / "predictions.parquet",
            metrics=reports / "metrics.json",
            latency=reports / "latency.json",
            plots=reports / "plots",
            report=reports / "report.html",
            labels=reports / "labels.html",
            model_card=reports / "model_card.md",
        ),
    )


@pytest.fixture
def make_predictions() -> Callable[..., Predictions]:
    """Return a function that makes predictions of a given skill."""

    def make(images: int = 400, classes: int = 5, skill: float = 2.0, seed: int = 0) -> Predictions:
        random = np.random.default_rng(seed)
        labels = random.integers(0, classes, images)
        logits = random.normal(0, 1.5, (images, classes)).astype(np.float32)
        logits[np.arange(images), labels] += np.float32(skill)
        return predictions_of(labels, logits)

    return make


def predictions_of(
    labels: np.ndarray,
    logits: np.ndarray,
    class_names: list[str] | None = None,
    paths: list[str] | None = None,
    sha256: list[str] | None = None,
) -> Predictions:
    """Return predictions with the softmax of the logits as probabilities."""
    from scipy.special import softmax

    images, classes = logits.shape
    return Predictions(
        class_names=class_names or [f"class {i}" for i in range(classes)],
        paths=paths or [f"{i:05d}.png" for i in range(images)],
        sha256=sha256 or [f"{i:064x}" for i in range(images)],
        labels=np.asarray(labels, np.int64),
        logits=logits.astype(np.float32),
        probabilities=softmax(logits.astype(np.float64), axis=1),
    )
