"""The model file: a plain Keras model that carries its class names, its image form and its origin.

model.keras is a zip that `keras.models.load_model` reads as it is: bytes of pixels in (0 to 255),
calibrated probabilities out, no class of ours inside. One more member of the zip, darkroom.json,
says what the outputs mean; it is read without importing Keras.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import DarkroomError
from components.common.files.schema import Schema
from components.common.files.writing import writing
from components.common.images.pixels import ImageForm

if TYPE_CHECKING:
    import keras
    import numpy as np

SCHEMA = Schema("model", stage="train")
CARD = "darkroom.json"
MODEL_FILE = "model.keras"  # its name in a registered version
# Names of the last three layers: logits → calibrated, divided by the temperature → softmax.
LOGITS, TEMPERATURE, PROBABILITIES = "logits", "temperature", "probabilities"
# Of a network of tokens, before its last block: the patches as a map of places (high, wide,
# channels), and the tokens beside them (tokens, channels).
PLACES, PREFIX = "places", "prefix_tokens"
HUB = "keras_hub"  # the library of layers that a model may need beside Keras
# Weights hardly pack, so a file that would grow more is a bomb; small ones may grow to so much.
MAX_GROWTH, ALWAYS_ALLOWED_BYTES = 20, 64 << 20


@dataclass(frozen=True)
class Calibration:
    """From logits to honest probabilities: softmax(scales · logits / temperature + offsets)."""

    temperature: float = 1.0
    scales: list[float] = field(default_factory=list)  # of each class; empty: 1
    offsets: list[float] = field(default_factory=list)  # of each class; empty: 0

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Return the logits that the softmax is taken of, float64 (images, classes)."""
        import numpy as np

        scaled = np.asarray(logits, np.float64) / self.temperature
        return scaled * np.array(self.scales) + np.array(self.offsets) if self.scales else scaled


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself."""

    class_names: list[str]  # position = column of the probabilities
    form: ImageForm  # form of the images it was trained on
    backbone: str
    weights: str
    temperature: float  # logits were divided by this; fitted on the validation split
    phase: str  # probe or fine-tune: which phase made the weights that were kept
    digests: dict[str, str] = field(default_factory=dict)  # manifest, splits, train, val, test
    params: dict[str, Any] = field(default_factory=dict)  # settings that shaped it, dotted keys
    versions: dict[str, str] = field(default_factory=dict)  # of the packages that made it
    scales: list[float] = field(default_factory=list)  # vector scaling, see Calibration
    offsets: list[float] = field(default_factory=list)

    @property
    def calibration(self) -> Calibration:
        """What the model does with its logits."""
        return Calibration(self.temperature, self.scales, self.offsets)


def save_model(file: Path, model: keras.Model, card: ModelCard) -> None:
    """Write a Keras model and its card as one file, whole or not at all."""
    with writing(file) as temporary:
        # Keras leaves a temporary folder where a save fails; here it goes with what was begun.
        before, tempfile.tempdir = tempfile.tempdir, str(temporary.parent)
        try:
            model.save(temporary)
        finally:
            tempfile.tempdir = before
        with zipfile.ZipFile(temporary, "a") as archive:
            said = asdict(card) | {"form": card.form.describe()}
            archive.writestr(CARD, json.dumps(SCHEMA.put_on(said), indent=2))


def read_card(file: Path) -> ModelCard:
    """Read the card of a model file, without Keras."""
    try:
        with zipfile.ZipFile(file) as archive:
            found = SCHEMA.take_off(file, json.loads(_read_text(archive, CARD)))
        card = ModelCard(**(found | {"form": ImageForm(**found["form"])}))
    except FileNotFoundError:
        raise DarkroomError(f"{file}: no model there; run train first") from None
    except DarkroomError:
        raise
    except Exception as error:  # of damaged zips it is nearly anything
        raise DarkroomError(f"{file}: not a model that Darkroom trained ({error!r})") from None
    if wrong := _find_wrong(card):
        raise DarkroomError(f"{file}: not a model that Darkroom trained ({wrong})")
    return card


def _find_wrong(card: ModelCard) -> str:
    """Return what of a card no training wrote; empty where all is well."""
    names, form = card.class_names, card.form
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        return "its class names are no list of texts"
    if len(set(names)) < len(names):
        return "two of its classes have one name"
    if not all(isinstance(one, int) and one > 0 for one in (form.size_px, form.max_pixels)):
        return "its images have no size"
    return ""


def load_model(file: Path) -> keras.Model:
    """Load the Keras model of a model file; nothing in the file is unpickled or run."""
    from components.common.backend import keras

    check_growth(file)
    _import_layers(file)
    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # of a config that is none it is nearly anything
        if "arbitrary code execution" in str(error):  # Keras's words; its advice is to run it
            raise DarkroomError(
                f"{file}: {_name_code(str(error))}, and Darkroom runs no code of a model file; "
                "save the model without it, or give weights alone (.weights.h5)"
            ) from None
        raise DarkroomError(f"{file}: not a readable Keras model ({error})") from None


def _name_code(told: str) -> str:
    """Return what of a model would run code, by Keras's words: layers of several kinds can."""
    if "TFSMLayer" in told:
        return "leads to code outside it (a TFSMLayer, which runs the SavedModel that it names)"
    return f"holds code of its own{' (a Lambda layer)' if 'lambda' in told.lower() else ''}"


def check_growth(file: Path) -> None:
    """Refuse a file of weights, or a model with its own, that would fill the memory when read.

    HDF5 and zip pack: of a few megabytes may come all the memory that there is.

    Args:
        file: HDF5, or a zip that holds such; what cannot be read is left to whoever reads it next.

    Raises:
        DarkroomError: if its arrays are beyond reason larger than the file.
    """
    total, limit = 0, 0
    with suppress(OSError, zipfile.BadZipFile):
        limit = MAX_GROWTH * file.stat().st_size + ALWAYS_ALLOWED_BYTES
        if not zipfile.is_zipfile(file):
            total = _count_bytes(file)
        else:
            with zipfile.ZipFile(file) as archive:
                total = sum(info.file_size for info in archive.infolist())
                for name in archive.namelist() if total <= limit else []:
                    if name.endswith((".h5", ".npz")):
                        with archive.open(name) as stream:
                            total += _count_bytes(stream)
    if total > limit:
        raise DarkroomError(
            f"{file}: refused, because it would grow to {total / 1e9:,.1f} GB when it is read, "
            f"over {MAX_GROWTH} times its size; get it again, from somebody whom you trust"
        )


def _count_bytes(source: Any) -> int:
    """Return the bytes of all arrays of an HDF5 or NPZ file, unpacked; links are not followed."""
    import h5py

    sizes: list[int] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(int(item.nbytes))

    with suppress(Exception):  # of a damaged file it is nearly anything
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                return sum(info.file_size for info in archive.infolist())
        with h5py.File(source, "r") as found:
            found.visititems(note)
    return sum(sizes)


def _read_text(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member that holds words; a model's are of some megabytes at most."""
    if archive.getinfo(name).file_size > ALWAYS_ALLOWED_BYTES:
        raise ValueError(f"{name} in it is larger than {ALWAYS_ALLOWED_BYTES >> 20} MB")
    return archive.read(name)


def _import_layers(file: Path) -> None:
    """Import KerasHub where a model is made of its layers: Keras knows them only then."""
    try:
        with zipfile.ZipFile(file) as archive:
            if HUB.encode() not in _read_text(archive, "config.json"):
                return
    except (OSError, ValueError, zipfile.BadZipFile, KeyError):
        return  # whoever reads it next says what is wrong with it
    if importlib.util.find_spec(HUB) is None:
        said = read_card(file).versions.get(HUB, "")
        raise DarkroomError(
            f"{file}: is made of layers of KerasHub, which is not installed: pip install "
            f"keras-hub{f'=={said}' if said else ''}"
        )
    importlib.import_module(HUB)


def take_part(network: keras.Model, layer: str) -> keras.Model:
    """Return a network up to one of its layers, such as LOGITS, sharing the weights."""
    from components.common.backend import keras

    return keras.Model(network.input, network.get_layer(layer).output)


def split_outputs(network: keras.Model, with_features: bool = False) -> keras.Model:
    """Return a whole network that gives its logits beside its probabilities.

    Args:
        network: pixels → probabilities.
        with_features: give, as a third, what the logits are computed from, (images, channels).
    """
    from components.common.backend import keras

    last = network.get_layer(LOGITS)
    outputs = [network.output, last.output]
    return keras.Model(network.input, [*outputs, last.input] if with_features else outputs)


def compute_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(logits / temperature) in float64, (images, classes), rows summing to 1.

    Temperature scaling: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    import numpy as np

    scaled = np.asarray(logits, np.float64) / temperature  # (images, classes)
    scaled -= scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled)
    return exponentials / exponentials.sum(axis=1, keepdims=True)
