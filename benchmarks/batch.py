"""What `predict batch` costs beside predict itself, and that its memory does not grow.

    python benchmarks/batch.py --images 4000 --images 16000

Images of 16 px and a linear network, so that what is measured is the way and not the network. Each
count is asked about three times: by batch, by batch again (answered before), and by predict; for
each the seconds of a core and the peak of memory of the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKE = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from tests.tiny_model import SIZE_PX, make_card, make_model

folder, count = Path(sys.argv[1]), int(sys.argv[2])
make_model(folder / "model.keras", make_card(("a", "b", "c")))
random = np.random.default_rng(0)
for number in range(count):
    place = folder / "photos" / f"{number // 1000:04d}"
    place.mkdir(parents=True, exist_ok=True)
    pixels = random.integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)
    Image.fromarray(pixels).save(place / f"{number:07d}.png")
"""


def main() -> None:
    """Print a line for each way and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, action="append", default=[])
    parser.add_argument("--partition-images", default="2000")
    flags = parser.parse_args()
    for count in flags.images or [4000]:
        with tempfile.TemporaryDirectory(prefix="darkroom-") as name:
            folder = Path(name)
            measure(folder, "-c", MAKE, name, str(count))
            ask = ("-m", "components.predict")
            what = ("photos", "--model", "model.keras", "--output")
            batch = (*ask, "batch", *what, "answers", "--partition-images", flags.partition_images)
            for way, words in {
                "batch": batch,
                "batch again": batch,
                "predict": (*ask, *what, "answers.parquet"),
            }.items():
                seconds, peak_mb = measure(folder, *words)
                print(f"{count:>8,} {way:<12} {seconds:6.1f} s of a core {peak_mb:6.0f} MB")


def measure(folder: Path, *words: str) -> tuple[float, float]:
    """Run Python in a folder; return its seconds of a core and its peak of memory, MB."""
    done = subprocess.Popen(  # noqa: S603
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(done.pid, 0)
    if status:
        sys.exit(f"{' '.join(words)}: failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from components.common.terminal import exit_on_error

    with exit_on_error():  # a reader may have enough: | head
        main()
