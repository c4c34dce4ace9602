"""What `dvc repro` costs when there is nothing to do, against `dvc status` on the same tree.

python benchmarks/repro.py        # after `make run`, in the project's folder

Both must look at every input and output; what repro takes beyond that is what this shows.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

# The project's own DVC first: another on the PATH would be measured with other libraries.
DVC = shutil.which("dvc", path=str(Path(sys.executable).parent)) or "dvc"


def main() -> None:
    """Run both in turns and print the medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=20, help="the median of so many counts")
    flags = parser.parse_args()
    if "up to date" not in run("status")[1]:
        sys.exit("something changed since the last run: `make run` first")
    seconds: dict[str, list[float]] = {"repro": [], "status": []}
    for _ in range(flags.repeats):  # in turns, so that a disturbance hits both
        for command, found in seconds.items():
            found.append(run(command)[0])
    medians = {command: statistics.median(found) for command, found in seconds.items()}
    for command, median in medians.items():
        print(f"dvc {command:<7} {median:.3f} s")
    print(f"ratio       {medians['repro'] / medians['status']:.2f}")


def run(command: str) -> tuple[float, str]:
    """Return the seconds that a DVC command takes, and what it prints."""
    start = time.perf_counter()
    found = subprocess.run([DVC, command], check=True, capture_output=True, text=True)  # noqa: S603
    return time.perf_counter() - start, found.stdout


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()
