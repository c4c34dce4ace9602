"""Further forms of the model, for servers that know no Keras; each answers as Keras does."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.common.artifacts.model import load_model, read_card
from components.common.artifacts.sample import Sample
from components.common.errors import DarkroomError
from components.common.images.pixels import read_pixels

EXPORTS = "darkroom.exports"  # tag of a version: the forms beside the Keras model
TOLERANCE = 1e-4  # of a probability: other kernels sum in another order
FILES = {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}
# What a form needs beside TensorFlow: modules, and how pip is asked for each.
NEEDS = {
    "onnx": {"onnx": "onnx>=1.18", "onnxruntime": "onnxruntime>=1.20", "tf2onnx": "tf2onnx>=1.16"}
}


def check_installed(forms: Sequence[str]) -> None:
    """Raise DarkroomError, before anything is registered, if a form's packages are missing."""
    for form in forms:
        needs = NEEDS.get(form, {})
        missing = [name for name in needs if importlib.util.find_spec(name) is None]
        if missing:
            wanted = " ".join(f"'{needs[name]}'" for name in missing)
            raise DarkroomError(
                f"promote.exports: {form} needs {', '.join(missing)}: python -m pip install "
                f"{wanted}, or take it off the list"
            )


def export(model: Path, forms: Sequence[str], sample: Sample, folder: Path) -> dict[str, float]:
    """Write a model in further forms and compare their answers.

    All of them take pixels, float32 (images, size_px, size_px, 3), 0 to 255, as the Keras model
    does; decoding and resizing are the caller's.

    Args:
        model: the model file.
        forms: names of FILES.
        sample: test images to compare the answers on.
        folder: gets a file or folder for each form.

    Returns:
        Form → the largest difference of a probability.

    Raises:
        DarkroomError: if a form answers differently.
    """
    check_installed(forms)
    network, card = load_model(model), read_card(model)
    images = [read_pixels(image, card.form) for image in sample.images]
    pixels = np.stack(images).astype(np.float32)  # (images, size_px, size_px, 3)
    expected = np.asarray(network.predict_on_batch(pixels))
    gaps = {}
    for form in forms:
        target = folder / FILES[form]
        try:
            _write(network, form, target)
            answers = READERS[form](target, pixels)
        except Exception as error:  # each of the three libraries has its own exceptions
            raise DarkroomError(
                f"promote.exports: {form} cannot hold this network, {card.backbone} "
                f"({str(error).splitlines()[0][:200]}); take it off the list"
            ) from None
        gap = float(np.abs(answers - expected).max())
        if not gap <= TOLERANCE:
            raise DarkroomError(
                f"promote.exports: {form} answers differently, a probability by {gap:.2g}; take it "
                "off the list, or export with another version of its package"
            )
        gaps[form] = gap
    return gaps


def _write(network: Any, form: str, target: Path) -> None:
    import keras

    size = network.input_shape[1]
    signature = [keras.InputSpec(shape=(None, size, size, 3), dtype="float32", name="pixels")]
    kind = {"saved_model": "tf_saved_model"}.get(form, form)
    more: dict[str, Any] = {} if form == "litert" else {"input_signature": signature}
    network.export(str(target), format=kind, verbose=False, **more)


def _ask_saved_model(target: Path, pixels: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(target))  # its variables live as long as it does
    return np.asarray(loaded.serve(pixels))


def _ask_onnx(target: Path, pixels: np.ndarray) -> np.ndarray:
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: pixels})[0])


def _ask_litert(target: Path, pixels: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(target))
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(given["index"], [1, *pixels.shape[1:]])
    interpreter.allocate_tensors()
    found = []
    for image in pixels:
        interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(answer["index"])[0].copy())
    return np.stack(found)


READERS: dict[str, Callable[[Path, np.ndarray], np.ndarray]] = {
    "saved_model": _ask_saved_model,
    "onnx": _ask_onnx,
    "litert": _ask_litert,
}


def add_exports(
    registry: Any, version: str, model: Path, forms: Sequence[str], sample: Sample
) -> dict[str, float]:
    """Add the forms that a version does not have yet; return those, with their differences."""
    tags = registry.client.get_model_version(registry.name, version).tags
    known = [form for form in tags.get(EXPORTS, "").split(",") if form]
    new = [form for form in forms if form not in known]
    if not new:
        return {}
    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        folder = Path(temporary) / "exports"
        folder.mkdir()
        gaps = export(model, new, sample, folder)
        registry.add_files(version, Path(temporary))
    registry.set_tags(version, {EXPORTS: ",".join([*known, *new])})
    return gaps
