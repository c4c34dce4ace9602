"""Which version answers: an alias is followed, but only to what answers as it was measured."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from components.common.artifacts.sample import Sample, write_sample
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.serving.batching import Batcher, ClosedError, Gate
from components.common.serving.classifier import Classifier
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import continue_run
from components.common.tracking.server import import_mlflow
from components.common.tracking.tags import EVALUATION_RUN, MODEL_DIGEST, UNSURE_BELOW
from components.predict.serve.bodies import Unread
from components.predict.serve.champion import Champion
from components.predict.source import open_model
from components.predict.spec import Serve
from components.promote.registry.registry import Registry
from tests.predict.conftest import CLASSES
from tests.tiny_model import make_card, make_model

MODEL = "models:/darkroom@champion"


def keep_sample(registry: Registry, version: str, sample: Sample, folder: Path) -> None:
    """Keep test images with a version, as promote does."""
    write_sample(folder / version / "sample.parquet", sample)
    run_id = registry.client.get_model_version("darkroom", version).run_id
    registry.client.log_artifacts(run_id, str(folder / version), "evaluation")
    registry.client.set_model_version_tag("darkroom", version, EVALUATION_RUN, run_id)


def test_a_version_takes_over_only_if_it_answers_as_measured(
    registered: Registry, model: Path, photos: Path, tmp_path: Path
) -> None:
    other = make_model(tmp_path / "other" / "model.keras", make_card(CLASSES), seed=1)
    with continue_run(Mlflow(), tmp_path / "run.json"):
        registered.register(other, make_card(CLASSES), {MODEL_DIGEST: compute_sha256(other)}, {})
    images = [file.read_bytes() for file in sorted(photos.glob("[0-9].png"))]
    of_first, of_second = (Classifier(one).classify(images).probabilities for one in (model, other))
    paths = [str(number) for number in range(len(images))]
    keep_sample(registered, "1", Sample(list(CLASSES), paths, images, of_first), tmp_path)
    champion = Champion(MODEL, Serve(refresh_seconds=0))
    assert (champion.current.version, champion.state.checked_images) == ("1", len(images))
    assert not champion.refresh()

    # Both versions are of one run here: what it keeps now is not what the second answers.
    registered.set_alias("champion", "2")
    with pytest.raises(DarkroomError, match="its answers differ from what evaluate measured"):
        champion.refresh()
    assert champion.current.version == "1"
    assert not champion.refresh(patient=True)  # it is not loaded again and again
    assert champion.state.refused.startswith("version 2: its answers differ")
    assert np.abs(ask(champion, images) - of_first).max() <= 1e-5

    keep_sample(registered, "2", Sample(list(CLASSES), paths, images, of_second), tmp_path)
    before = champion.current
    assert champion.refresh()
    assert (champion.current.version, champion.state.refused) == ("2", "")
    assert np.abs(ask(champion, images) - of_second).max() <= 1e-5
    with pytest.raises(ClosedError):
        before.batcher.ask(images[0])
    _, (answer,) = champion.ask([Unread("it did not come")])
    assert answer.result().reason == "it did not come"
    champion.close()


def ask(champion: Champion, images: list[bytes]) -> np.ndarray:
    """Return probabilities (images, classes)."""
    _, answers = champion.ask(list(images))
    return np.stack([np.asarray(one.result().probabilities) for one in answers])


def test_a_downloaded_version_keeps_its_threshold(registered: Registry, tmp_path: Path) -> None:
    folder = import_mlflow().artifacts.download_artifacts(MODEL, dst_path=str(tmp_path / "model"))
    with open_model(folder) as source:
        assert (source.decisions.unsure_below, source.version) == (0.45, "1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(DarkroomError, match="no version that promote registered"):
        open_model(str(tmp_path / "empty")).__enter__()
    assert UNSURE_BELOW == "darkroom.unsure_below"


def test_images_of_many_clients_share_forward_passes(model: Path, photos: Path) -> None:
    """Eight at a time, in any mixture; the unreadable among them; none after the end."""
    classifier, sizes = Classifier(model), []
    infer = classifier.infer

    def count(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(pixels))
        return infer(pixels)

    classifier.infer = count  # type: ignore[method-assign]
    files = sorted(photos.glob("[0-9].png"))
    expected = Classifier(model).classify(files).probabilities
    batcher = Batcher(classifier, batch_size=8)
    bodies = [file.read_bytes() for file in files] * 40
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: batcher.ask(body).result(), bodies))
        broken = batcher.ask(b"junk").result()
    found = np.stack([np.asarray(one.probabilities) for one in answers])
    assert np.abs(found - np.tile(expected, (40, 1))).max() <= 1e-5
    assert (broken.probabilities, broken.reason[:27]) == (None, "image: not a readable image")
    assert sum(sizes) == len(bodies)
    assert max(sizes) <= 8
    waiting = [batcher.ask(body) for body in bodies]
    batcher.close()
    assert all(one.done() and one.result().probabilities is not None for one in waiting)
    with pytest.raises(ClosedError):
        batcher.ask(bodies[0])


def test_a_gate_lets_no_more_through_than_it_has_room_for() -> None:
    gate, held, peak, lock = Gate(10), 0, 0, threading.Lock()

    def pass_through(amount: int) -> None:
        nonlocal held, peak
        with gate.passing(amount):
            with lock:
                held += min(amount, 10)
                peak = max(peak, held)
            with lock:
                held -= min(amount, 10)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(pass_through, [1, 9, 40, 3, 10, 2] * 50))
    assert 0 < peak <= 10
