"""Whether networks of timm, transformers and KerasHub answer in Darkroom as they do at home.

`make bench BENCH=networks ARGS="--torch-python VENV/bin/python"`: VENV is an environment with
torch, timm, transformers and safetensors. Tiny random networks are saved there as checkpoints,
loaded by Darkroom, and their features compared; the same with the whole classifier saved and loaded
again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks._flags import Flags

TOLERANCE = 1e-4  # of features of size 1


def main() -> None:
    """Print one line a network; exit with 1 if one answers differently."""
    parser = Flags(__file__, __doc__, "--torch-python VENV/bin/python")
    parser.add_argument("--torch-python", type=Path, help="with torch, timm and transformers")
    parser.add_argument("--folder", type=Path, help="keep the checkpoints there, or find them")
    parser.add_argument("--only", default="", help="part of the names of those to compare")
    flags = parser.parse_args()
    if not flags.torch_python and not flags.folder:
        parser.error("needs a Python with torch, timm and transformers, or a folder of checkpoints")
    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        folder = flags.folder or Path(temporary)
        script = Path(__file__).with_name("_networks_torch.py")
        if flags.torch_python:
            subprocess.run([flags.torch_python, script, folder], check=True)  # noqa: S603
        print("compared with", json.loads((folder / "versions.json").read_text()))
        folders = [one for one in sorted(folder.iterdir()) if one.is_dir()]
        worst = [compare(one) for one in folders if flags.only in one.name]
    if not worst or max(worst) > TOLERANCE:
        raise SystemExit(f"{len(worst)} networks, the worst gap {max(worst, default=np.inf):.2g}")


def compare(folder: Path) -> float:
    """Load a checkpoint, print how far its features are from the answers kept beside it."""
    from components.common.errors import DarkroomError
    from components.train.networks.backbones import create_body, find_backbone

    kept = np.load(folder / "answers.npz")
    images, expected = kept["images"], kept["features"]
    try:
        backbone = find_backbone(str(folder))
        body = create_body(backbone, "imagenet", images.shape[1])
    except DarkroomError as error:
        print(f"{folder.name:<48} {error}")
        return float("inf")
    gap = measure_gap(body, images, expected)
    print(f"{folder.name:<48}{backbone.parameters:>9,} parameters   gap {gap:.1e}", flush=True)
    return gap


def measure_gap(body: Any, images: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of a feature, in units of the features' own spread."""
    found = np.asarray(body(images, training=False))
    return float(np.abs(found - expected).max() / max(1.0, expected.std()))


if __name__ == "__main__":
    main()
