"""Pack a trained model for MLflow so that it answers to image bytes wherever it is loaded."""

from __future__ import annotations

import io
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import components
from components.common.artifacts.model import HUB, MODEL_FILE, ModelCard
from components.common.serving.classifier import ARTIFACT
from components.common.serving.decisions import DECISIONS, DECISIONS_FILE, Decisions

# The serving room and what it reaches, in the folder of components; a test holds it to the imports.
CARRIED = (
    "__init__.py",
    "common/__init__.py",
    "common/artifacts/__init__.py",
    "common/artifacts/model.py",
    "common/backend.py",
    "common/errors.py",
    "common/files/__init__.py",
    "common/files/ownership.py",
    "common/files/recorded.py",
    "common/files/schema.py",
    "common/files/temporary.py",
    "common/files/writing.py",
    "common/host.py",
    "common/images/__init__.py",
    "common/images/colour.py",
    "common/images/deep.py",
    "common/images/formats.py",
    "common/images/pixels.py",
    "common/serving/__init__.py",
    "common/serving/batching.py",
    "common/serving/classifier.py",
    "common/serving/decisions.py",
    "common/serving/encoded.py",
    "common/serving/served.py",
)
# What it imports from elsewhere; MLflow itself serves it. Pinned to what it was measured with.
REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas", "pillow", "pi-heif")
HOME = Path(components.__file__).parent


def save_package(
    folder: Path, model: Path, card: ModelCard, decisions: Decisions, meta: Any
) -> None:
    """Write a model in MLflow's form into a new folder, without loading it.

    Beside model.keras it holds decisions.json, a copy of the code that turns bytes into answers,
    CARRIED, then the signature, an example of the input, and the pinned requirements.

    Args:
        folder: must not exist.
        model: the model file.
        card: what it says of itself.
        decisions: the limits that answers are judged by.
        meta: an `mlflow.models.Model` that knows its id and run.
    """
    from mlflow.pyfunc import save_model

    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        code = Path(temporary) / "components"
        for name in CARRIED:
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HOME / name, code / name)
        # Predict looks for this name; in a cluster the file has another.
        named = Path(shutil.copy(model, Path(temporary) / MODEL_FILE))
        limits = Path(temporary) / DECISIONS_FILE
        limits.write_text(decisions.to_json(), encoding="utf-8")
        save_model(
            folder,
            python_model=str(HOME / "common/serving/served.py"),
            code_paths=[str(code)],
            artifacts={ARTIFACT: str(named), DECISIONS: str(limits)},
            signature=create_signature(card, decisions),
            input_example=create_example(card),
            pip_requirements=list_requirements(card),
            mlflow_model=meta,
            metadata={"class_names": card.class_names, "backbone": card.backbone},
        )


def list_requirements(card: ModelCard) -> list[str]:
    """Return what the served model needs, pinned; a network of KerasHub's layers needs that too."""
    names = (*REQUIREMENTS, HUB) if HUB in card.versions else REQUIREMENTS
    return [f"{name.replace('_', '-')}=={version(name)}" for name in names]


def create_signature(card: ModelCard, decisions: Decisions) -> Any:
    """Return the signature: bytes of an image → what is judged of it, or a reason."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Object, Property

    kinds = {
        "label": DataType.string,
        "probability": DataType.double,
        "unsure": DataType.boolean,
        "unknown": DataType.boolean,
        "sets": Array(DataType.string),
    }
    probabilities = Object([Property(name, DataType.double) for name in card.class_names])
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [
                *(ColSpec(kinds[name], name, required=False) for name in decisions.list_columns()),
                ColSpec(probabilities, "probabilities", required=False),
                ColSpec(DataType.string, "reason", required=False),
            ]
        ),
    )


def create_example(card: ModelCard) -> Any:
    """Return an input as the served model wants it: a table with one image, plain grey."""
    import pandas as pd
    from PIL import Image

    stream = io.BytesIO()
    size = (card.form.size_px, card.form.size_px)
    Image.new("RGB", size, (128, 128, 128)).save(stream, "PNG")
    return pd.DataFrame({"image": [stream.getvalue()]})
