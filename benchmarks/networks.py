"""Whether networks of timm, transformers and KerasHub answer in Darkroom as they do at home.

make bench BENCH=networks ARGS=--hub                                        # of KerasHub
make bench BENCH=networks ARGS="--hub --torch-python VENV/bin/python"       # … and the others

VENV is an environment with torch, timm, transformers and safetensors. Tiny random networks are
saved as checkpoints, loaded by Darkroom, and their features compared; then the whole classifier is
saved, loaded again and compared with itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks._flags import Flags, existing

ACTIVATIONS = {  # of ours, as PyTorch and timm print theirs
    "gelu": ("GELU()", "GELU(approximate='none')"),
    "gelu_tanh": ("GELUTanh()", "GELU(approximate='tanh')"),
    "quick_gelu": ("QuickGELU()",),
}
TOLERANCE = 1e-4  # of the features' standard deviation


def main() -> None:
    """Print one line a network; exit with 1 if one answers differently."""
    parser = Flags(__file__, __doc__, "--hub")
    parser.add_argument("--hub", action="store_true", help="networks of KerasHub, made here")
    parser.add_argument("--torch-python", type=existing, help="with torch, timm and transformers")
    parser.add_argument("--folder", type=Path, help="keep the checkpoints there, or find them")
    parser.add_argument("--only", default="", help="part of the names of those to compare")
    flags = parser.parse_args()
    if not (flags.hub or flags.torch_python or flags.folder):
        parser.error("needs --hub, a Python with torch, timm and transformers, or a folder")
    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        folder = flags.folder or Path(temporary)
        script = Path(__file__).with_name("_networks_torch.py")
        if flags.torch_python:
            subprocess.run([flags.torch_python, script, folder], check=True)  # noqa: S603
            print("compared with", json.loads((folder / "versions.json").read_text()))
        different = compare_names(folder / "names.json")
        if flags.hub:
            from benchmarks._networks_hub import write_presets

            write_presets(folder, flags.only)
            print("compared with keras-hub", version("keras-hub"))
        folders = [one for one in sorted(folder.iterdir()) if one.is_dir()]
        worst = [compare(one) for one in folders if flags.only in one.name]
    if different or not worst or max(worst) > TOLERANCE:
        raise SystemExit(f"{len(worst)} networks, the worst gap {max(worst, default=np.inf):.2g}")


def compare_names(file: Path) -> int:
    """Print which names of timm's transformers mean something else here; return how many do.

    A published config seldom says heads, activation and pooling: they follow from the name.
    """
    from components.common.errors import DarkroomError
    from components.train.networks.published import checkpoints
    from components.train.networks.published.vit_weights import TIMM, rename

    kinds = json.loads(file.read_text()) if file.is_file() else {}
    same, refused, different = 0, [], []
    for name, kind in kinds.items():
        config = {
            "architecture": name,
            "global_pool": kind["pool"],
            "pretrained_cfg": {"input_size": kind["input_size"]},
        }
        try:
            names = rename(kind["shapes"], TIMM, "")
            shapes = {names[key]: size for key, size in kind["shapes"].items() if key in names}
            vit = checkpoints.describe(shapes, **checkpoints.describe_timm(config, shapes))
        except (DarkroomError, KeyError):
            refused.append(name)
            continue
        heads, epsilon = kind["heads"] == vit.heads, kind["epsilon"] == vit.epsilon
        if heads and epsilon and (vit.gated or kind["activation"] in ACTIVATIONS[vit.activation]):
            same += 1
        elif not checkpoints.NOT_PLAIN.search(name):
            different.append(name)
    if kinds:
        print(
            f"names of timm: {same} mean the same, {len(refused)} are refused, {different} differ"
        )
    return len(different)


def compare(folder: Path) -> float:
    """Load a checkpoint, print how far its features are from the answers kept beside it."""
    from components.common.errors import DarkroomError
    from components.train.networks.backbones import create_body, find_backbone

    kept = np.load(folder / "answers.npz")
    images, expected = kept["images"], kept["features"]
    try:
        backbone = find_backbone(str(folder))
        body = create_body(backbone, "imagenet", images.shape[1])
        gap, again = measure_gap(body, images, expected), measure_saved(backbone, body)
    except (DarkroomError, ValueError) as error:  # Keras raises the latter
        print(f"{folder.name:<48}{error}", flush=True)
        return float("inf")
    kind = "KerasHub's layers" if backbone.needs else "plain Keras"
    print(
        f"{folder.name:<48}{backbone.parameters:>9,} parameters   gap {gap:.1e}, saved and loaded "
        f"{again:.1e}   {kind}",
        flush=True,
    )
    return max(gap, again)


def measure_gap(body: Any, images: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of a feature, in units of the features' own spread."""
    found = np.asarray(body(images, training=False))
    return float(np.abs(found - expected).max() / expected.std())


def measure_saved(backbone: Any, body: Any) -> float:
    """Return the largest difference of a probability once the classifier was saved and loaded."""
    from components.common.artifacts.model import Calibration, load_model, save_model
    from components.train.networks.network import create_network, to_float32
    from tests.tiny_model import make_card

    names, size = ["a", "b", "c"], body.input.shape[1]
    network = create_network(backbone, body, names, size_px=size, dropout=0.0)
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3)).astype(np.uint8)
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        file = Path(folder) / "model.keras"
        plain = to_float32(network, backbone, names, Calibration())
        versions = {name: version(name) for name in backbone.needs}
        save_model(file, plain, replace(make_card(tuple(names)), versions=versions))
        found = load_model(file)(pixels)
    return float(np.abs(np.asarray(found) - np.asarray(network(pixels))).max())


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()
