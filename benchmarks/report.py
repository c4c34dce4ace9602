"""What a report of many test images weighs, how long it takes, and what evaluation costs beside it.

python benchmarks/report.py [--images 10000] [--classes 50] [--keep FOLDER]
python benchmarks/report.py --ratio --images 1000

1. The whole stage on test images of 128 px that a small network answers: seconds and megabytes of
   the page. The pictures have the grain of photos, so that JPEG saves no more than it would there.
2. `--ratio`: all figures, intervals, slices and comparisons of photos of 224 px, against the bare
   forward pass of EfficientNet-Lite0 over the same pixels in memory; each is done `--rounds` times,
   in turn, and the fastest of each is taken. Report, Grad-CAM, spoilt images and latency are left
   out: they are of a fixed number of images, whatever the test split holds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from components.common.artifacts.dataset import (
    Dataset,
    Shard,
    Split,
    compute_split_digest,
    read_dataset,
    write_dataset,
)
from components.common.artifacts.findings import FindingFiles
from components.common.artifacts.manifest import COLUMNS, write_manifest
from components.common.artifacts.model import (
    LOGITS,
    PROBABILITIES,
    TEMPERATURE,
    ModelCard,
    read_card,
    save_model,
    take_part,
)
from components.common.artifacts.predictions import Predictions, write_predictions
from components.common.files.writing import compute_sha256
from components.common.images.pixels import ImageForm
from components.common.settings.spec import Mlflow
from components.common.shards.examples import read_split
from components.common.shards.tfrecord import create_record
from components.common.statistics.bootstrap import number_groups
from components.common.statistics.shares import Sampling
from components.common.terminal import exit_on_error
from components.common.tracking.recording import start_recorded_run
from components.evaluate.checks.against import compare_with_rivals
from components.evaluate.checks.footprint import count_cost
from components.evaluate.checks.gradcam import Sanity
from components.evaluate.checks.slices import create_slices, judge_slices
from components.evaluate.evaluation import Findings, create_evaluation
from components.evaluate.origin import read_groups, read_probe, read_rows
from components.evaluate.predictions import predict_split
from components.evaluate.run import run
from components.evaluate.spec import Inputs, Outputs, Params

GRID = 4  # a class is a mosaic of so many colours a side
VALIDATION = {"status": "passed", "images": 0, "quarantined": 0, "findings": []}
HISTORY = """\
phase,epoch,train_loss,train_accuracy,val_loss,val_accuracy,is_best
probe,0,0.30,0.95,0.40,0.90,0
fine-tune,1,0.50,0.93,0.38,0.91,0
fine-tune,2,0.40,0.97,0.30,0.94,1
"""


class World:
    """Classes of pictures: each a mosaic, seen through noise."""

    def __init__(self, classes: int, side: int) -> None:
        """Draw the mosaics."""
        self.random = np.random.default_rng(0)
        self.side, self.classes = side, classes
        self.names = [f"class {i:03d}" for i in range(classes)]
        self.mosaics = self.random.normal(128, 22, (classes, GRID, GRID, 3))

    def draw(self, label: int) -> np.ndarray:
        """Return one picture, uint8 (side, side, 3)."""
        mosaic = self.mosaics[label] + self.random.normal(0, 40, (GRID, GRID, 3))
        image = Image.fromarray(np.clip(mosaic, 0, 255).astype(np.uint8))
        smooth = np.asarray(image.resize((self.side, self.side), Image.Resampling.BICUBIC), float)
        grain = self.random.normal(0, 8, (self.side, self.side, 3))
        return np.clip(smooth + grain, 0, 255).astype(np.uint8)

    def create_network(self) -> Any:
        """Return the best network there is: its weights are the mosaics themselves."""
        from components.common.backend import keras

        layers = keras.layers
        pixels = keras.Input((self.side, self.side, 3))
        flow = layers.AveragePooling2D(self.side // GRID)(layers.Rescaling(1 / 255)(pixels))
        logits = layers.Dense(self.classes, name=LOGITS)(layers.Flatten()(flow))
        scaled = layers.Rescaling(1.0, name=TEMPERATURE)(logits)
        network = keras.Model(pixels, layers.Softmax(name=PROBABILITIES)(scaled))
        means = self.mosaics.reshape(self.classes, -1) / 255  # (classes, features)
        precision = 1 / (40 / 255) ** 2
        network.get_layer(LOGITS).set_weights(
            [precision * means.T, -0.5 * precision * (means**2).sum(axis=1)]
        )
        return network


def write_room(folder: Path, world: World, images: int) -> None:
    """Write all that evaluate reads."""
    labels = world.random.integers(0, world.classes, images)
    shards = folder / "shards"
    shards.mkdir()
    file = shards / "test-00000-of-00001.tfrecord"
    paths = [f"{world.names[label]}/{i:06d}.jpg" for i, label in enumerate(labels)]
    digests = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    with file.open("wb") as stream:
        for path, digest, label in zip(paths, digests, labels, strict=True):
            pixels = world.draw(int(label)).tobytes()
            record = {"pixels": pixels, "label": int(label)}
            record |= {"path": path.encode(), "sha256": digest.encode()}
            stream.write(create_record(record))
    names = [world.names[label] for label in labels]
    counts = {name: names.count(name) for name in world.names}
    digest = compute_split_digest(list(zip(digests, names, strict=True)))
    test = Split(images, counts, digest, [Shard(file.name, images, compute_sha256(file))])
    # What evaluate is told of the others: only how many images there were.
    other = Split(100 * world.classes, dict.fromkeys(world.names, 100), "", [])
    form = ImageForm(world.side, "crop", "#ffffff")
    splits = {"train": other, "val": other, "test": test}
    write_dataset(shards, Dataset(world.names, form, splits, "m" * 64, "s" * 64, {}))
    columns: dict[str, object] = dict.fromkeys(COLUMNS, "") | {
        "path": paths,
        "label": names,
        "sha256": digests,
        "width_px": world.random.integers(100, 4000, images),
        "height_px": 800,
        "exif_orientation": 1,
        "bytes": 1,
        "brightness": world.random.random(images),
        "contrast": world.random.random(images),
        "sharpness": world.random.random(images),
        "status": "ok",
        "camera": world.random.choice(["phone", "scanner", "drone"], images),
    }
    write_manifest(folder / "manifest.parquet", pd.DataFrame(columns, index=range(images)))
    table = pd.DataFrame({"path": paths, "group_id": paths, "split": "test"})
    table.to_parquet(folder / "splits.parquet")
    logits = world.random.normal(0, 1, (images, world.classes)).astype(np.float32)
    logits[np.arange(images), labels] += 3
    table = np.exp(logits.astype(np.float64))
    table /= table.sum(axis=1, keepdims=True)
    order = np.argsort(np.array(paths, object))
    findings = FindingFiles(folder / "training")
    findings.folder.mkdir(exist_ok=True)
    write_predictions(
        findings.probe,
        Predictions(
            world.names,
            [paths[i] for i in order],
            [digests[i] for i in order],
            labels[order],
            logits[order],
            table[order],
        ),
    )
    (folder / "history.csv").write_text(HISTORY)
    findings.label_issues.write_text("path,split,label,suggested,score\n")
    (folder / "validation.json").write_text(json.dumps(VALIDATION))
    Image.new("RGB", (64, 32), "#336699").save(findings.augmented)
    network = world.create_network()
    about = ModelCard(world.names, form, "mosaics", "none", 1.0, "fine-tune", {"test": digest})
    save_model(folder / "model.keras", network, about)
    with start_recorded_run(Mlflow(), folder / "run.json"):
        pass


def measure_report(folder: Path, images: int, classes: int) -> None:
    """Print seconds and megabytes."""
    write_room(folder, World(classes, 128), images)
    reports = folder / "reports"
    outputs = Outputs(
        predictions=reports / "predictions.parquet",
        metrics=reports / "metrics.json",
        latency=reports / "latency.json",
        plots=reports / "plots",
        report=reports / "report.html",
        labels=reports / "labels.html",
        model_card=reports / "model_card.md",
    )
    inputs = Inputs(
        model=folder / "model.keras",
        shards=folder / "shards",
        manifest=folder / "manifest.parquet",
        splits=folder / "splits.parquet",
        history=folder / "history.csv",
        findings=folder / "training",
        validation=folder / "validation.json",
        run=folder / "run.json",
    )
    watch = time.perf_counter()
    run(inputs, outputs, Params())
    seconds = time.perf_counter() - watch
    print(
        f"{images:,} test images of {classes} classes: the whole stage {seconds:.1f} s, the report "
        f"{outputs.report.stat().st_size / 1e6:.1f} MB"
    )


def measure_ratio(folder: Path, images: int, rounds: int) -> None:
    """Print evaluation against the bare forward pass over the same pixels, in memory."""
    from components.train.networks.backbones import create_body, find_backbone
    from components.train.networks.network import create_network

    backbone, size, batch = find_backbone("EfficientNetLite0"), 224, Params().batch_size
    world = World(10, size)
    write_room(folder, world, images)
    body = create_body(backbone, "imagenet", size)
    whole = create_network(backbone, body, world.names, size_px=size, dropout=0.0)
    network, dataset = take_part(whole, LOGITS), read_dataset(folder / "shards")
    pixels = read_split(folder / "shards", "test").pixels

    def forward() -> None:
        for start in range(0, len(pixels), batch):
            part = pixels[start : start + batch]
            full = np.pad(part, ((0, batch - len(part)), (0, 0), (0, 0), (0, 0)))
            network.predict_on_batch(full)

    def evaluate() -> None:
        card = read_card(folder / "model.keras")
        found = predict_split(network, card, folder / "shards", dataset, batch)
        rows = read_rows(folder / "manifest.parquet", found)
        found = replace(found, groups=read_groups(folder / "splits.parquet", found))
        sampling = Sampling(number_groups(found.groups), 0.95, 1000)
        slices = judge_slices(create_slices(rows), found.correct, sampling, 30)
        probe = read_probe(FindingFiles(folder / "training").probe, found)
        rivals = compare_with_rivals(found, probe, dataset, sampling)
        cost = count_cost(whole, folder / "model.keras")
        findings = Findings(slices, rivals, [], Sanity(0, None, None), cost)
        create_evaluation(found, sampling, dataset, findings, Params())

    seconds: dict[str, list[float]] = {"forward": [], "evaluate": []}
    network.predict_on_batch(pixels[:batch])  # compiles
    for _ in range(rounds):
        for name, action in (("forward", forward), ("evaluate", evaluate)):
            watch = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - watch)
    bare, all_of_it = (min(values) for values in seconds.values())
    print(
        f"{images:,} images of {size} px through {backbone.name}: forward pass {bare:.2f} s, "
        f"evaluation {all_of_it:.2f} s, {all_of_it / bare:.2f} times as long"
    )


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--ratio", action="store_true", help="measure evaluation / forward pass")
    parser.add_argument("--rounds", type=int, default=3, help="of each, with --ratio")
    parser.add_argument("--keep", type=Path, help="folder to make and leave the room in")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (flags.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)  # where mlflow.db goes
        if flags.ratio:
            measure_ratio(folder, flags.images, flags.rounds)
        else:
            measure_report(folder, flags.images, flags.classes)


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
