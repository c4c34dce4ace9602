"""How long a promotion takes on a finished evaluation, served check and all.

    python benchmarks/promote.py .

The folder holds a finished run: data/images, models/, reports/, params.yaml. The first time also
makes MLflow's database, in a folder of its own; the second finds the version registered.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._flags import Flags, existing  # noqa: E402

FILES = {
    "images": "data/images",
    "model": "models/model.keras",
    "predictions": "reports/predictions.parquet",
    "metrics": "reports/metrics.json",
    "validation": "reports/validation.json",
    "run": "models/run.json",
}


def main(finished: Path) -> None:
    """Print the seconds of two promotions."""
    flags = [word for name, file in FILES.items() for word in (f"--{name}", str(finished / file))]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "components.promote", *flags]
        command += ["--verdict", f"{folder}/verdict.json", "--params", str(ROOT / "params.yaml")]
        variables = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
        variables["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        for what in ("with a new database", "again"):
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=folder, env=variables, stdout=2)  # noqa: S603
            print(f"promote {what}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        parser = Flags(__file__, __doc__, ".")
        parser.add_argument(
            "finished", type=existing, nargs="?", default=ROOT, help="default: this one"
        )
        folder = parser.parse_args().finished.resolve()
        missing = [file for file in FILES.values() if not (folder / file).exists()]
        if missing:
            parser.error(f"needs a finished run, and {folder / missing[0]} is not there: make run")
        main(folder)
