"""What training costs, against the tutorial's recipe and against a plain PyTorch loop, in one run.

python benchmarks/train.py probe    # the first phase against a frozen network run again each epoch
python benchmarks/train.py step     # a step fed by real input against one fed from memory
python benchmarks/train.py step --torch-python VENV/bin/python           # … and against PyTorch
python benchmarks/train.py step --backend jax --precision bfloat16 --batch-size 256
    --backbones EfficientNetLite0 ResNet50 --torch-python VENV/bin/python    # one line, on a GPU

Photos are the shards that `dvc repro` wrote: --shards. PyTorch lives in an environment of its own:
`python -m venv VENV && VENV/bin/pip install torch numpy efficientnet-lite-pytorch` (ResNet50 needs
torchvision as well). Each figure is a ratio of two measurements of this run, taken in turns, so it
means the same on another machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._flags import Flags, existing  # noqa: E402
from components.common.terminal import exit_on_error  # noqa: E402


def main() -> None:
    """Measure what the flags ask for."""
    parser = Flags(__file__, __doc__, "step")
    commands = parser.add_subparsers(dest="command", required=True)
    probe = commands.add_parser("probe", help="the first phase against the tutorial's")
    probe.add_argument("--epochs", type=int, default=10, help="of the tutorial's first phase")
    probe.add_argument("--split", choices=("val", "test"), default="val", help="to judge by")
    step = commands.add_parser("step", help="training steps: input, memory, PyTorch")
    step.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    step.add_argument("--backbones", nargs="+", default=["EfficientNetLite0"], metavar="NAME")
    step.add_argument("--precision", default="auto", help="as train.precision")
    step.add_argument("--batch-size", type=int, default=32)
    step.add_argument("--steps", type=int, default=31, help="in one measurement: an epoch")
    step.add_argument("--repeats", type=int, default=3, help="measurements of each kind")
    step.add_argument("--torch-python", type=existing, help="Python of an environment with PyTorch")
    step.add_argument("--torch-compile", action="store_true", help="torch.compile as well")
    step.add_argument(
        "--size-px", type=int, help="generated images of this side, instead of the shards"
    )
    for command in (probe, step):
        command.add_argument("--shards", type=existing, default=ROOT / "data/shards")
    flags = parser.parse_args()
    os.environ["KERAS_BACKEND"] = getattr(flags, "backend", "tensorflow")
    if flags.command == "probe":
        from benchmarks._train_probe import compare_probes

        compare_probes(flags.shards, flags.epochs, flags.split)
    else:
        from benchmarks._train_step import compare_steps

        for backbone in flags.backbones:
            compare_steps(backbone, flags)


if __name__ == "__main__":
    with exit_on_error():
        main()
