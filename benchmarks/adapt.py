"""Whether a small backbone gains by imitating a large one on unlabelled photos, before the probe.

python benchmarks/adapt.py --sets digits                       # nothing to download
python benchmarks/adapt.py --clothing clothing-photos.tar --signs sign-digits.tar
    --teachers EfficientNetLite2 data/weights/dinov2_small     # one line

Of a set the labels of most photos are hidden: 10, 20 or 50 a class are known. All photos of the
training part, without labels, serve to adapt: the student's features, through a linear layer that
begins as the best one, learn to tell the teacher's, on changed views of the photos (Beyer et al.
2022). Then probes are fitted to the labelled photos, on features of the student as it was, of the
adapted one and of the teacher, and judged by photos that nothing has seen. With --finetune the
whole training follows, as `python -m components.train` does it, from either student. Features of
teachers are kept (--cache). How a DINOv2 is had without a hub says benchmarks/_dinov2.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._adaptation import STUDENT, Features, adapt, extract, look, make_views
from benchmarks._features import CACHE
from benchmarks._flags import Flags, existing
from benchmarks.recipe import run
from benchmarks.recipe_sets import Picture, read_archive, read_digits, write_splits
from components.common.terminal import exit_on_error

SIZES = {"digits": 56, "clothing": 224, "signs": 112}  # px, multiples of the patches of DINOv2
TEST = 0.3  # of a set without splits
VAL = 5  # one labelled photo in so many is for validation


@dataclass(frozen=True)
class Pool:
    """A set: photos whose labels may be known, and others to judge by."""

    name: str
    size_px: int
    pictures: list[Picture]
    test: list[Picture]
    class_names: list[str]
    pixels: np.ndarray  # uint8 (photos, side, side, 3)
    test_pixels: np.ndarray

    def label(self, pictures: list[Picture]) -> np.ndarray:
        """Return the numbers of the pictures' classes."""
        return np.array([self.class_names.index(one.label) for one in pictures])


def main() -> None:
    """Print a table for each set and teacher."""
    parser = Flags(__file__, __doc__, "--sets digits")
    parser.add_argument("--sets", nargs="+", choices=SIZES, help="default: all that can be had")
    parser.add_argument("--clothing", type=existing, help="archive of clothing photos with splits")
    parser.add_argument("--signs", type=existing, help="archive of hand signs in class folders")
    parser.add_argument("--size-px", type=int, help="another side, a multiple of 14 for DINOv2")
    parser.add_argument("--teachers", nargs="+", default=["EfficientNetLite2"], metavar="BACKBONE")
    parser.add_argument("--labelled", nargs="+", type=int, default=[10, 20, 50], help="a class")
    parser.add_argument("--draws", type=int, default=10, help="of the labelled photos")
    parser.add_argument("--steps", type=int, default=300, help="of adapting")
    parser.add_argument("--views", type=int, default=3, help="of each photo, for adapting")
    parser.add_argument("--rate", type=float, default=2e-4, help="highest learning rate of it")
    parser.add_argument("--finetune", nargs="*", type=int, default=[], help="labelled, a class")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of features")
    flags = parser.parse_args()
    parser.need_archives(flags, {name: name for name in flags.sets or ()})
    archives = {"digits": Path(), "clothing": flags.clothing, "signs": flags.signs}
    for name, archive in archives.items():
        if archive is not None and name in (flags.sets or archives):
            pool = read_pool(name, archive, flags.size_px or SIZES[name])
            for teacher in flags.teachers:
                compare(pool, teacher, flags)


def read_pool(name: str, archive: Path, size_px: int) -> Pool:
    """Return a set, parted as it is given, or by chance."""
    from components.common.images.pixels import ImageForm, read_pixels

    form = ImageForm(size_px, "crop", "#ffffff")
    pictures = read_digits() if name == "digits" else read_archive(archive)
    if pictures[0].split:
        test = [one for one in pictures if one.split != "train"]
        known = [one for one in pictures if one.split == "train"]
    else:
        order = np.random.default_rng(0).permutation(len(pictures))
        first = round(TEST * len(order))
        test, known = ([pictures[row] for row in rows] for rows in np.split(order, [first]))
    pixels, test_pixels = (
        np.stack([read_pixels(one.data, form) for one in some]) for some in (known, test)
    )
    names = sorted({one.label for one in pictures})
    return Pool(name, size_px, known, test, names, pixels, test_pixels)


def compare(pool: Pool, teacher: str, flags: argparse.Namespace) -> None:
    """Adapt the student to a teacher, and print what it gains."""
    known = f"{pool.name}-{Path(teacher).name}-{pool.size_px}"
    photos = f"{len(pool.pixels):,} photos of {pool.size_px} px without labels"
    print(f"\n{pool.name}: {photos}, judged by {len(pool.test):,}; teacher {teacher}", flush=True)
    start = time.perf_counter()
    # Mirrored digits and hands are others.
    views = make_views(pool.pixels, flags.views, flip=pool.name == "clothing")
    taught = keep(flags.cache / f"{known}-{flags.views}.npz", lambda: extract(teacher, views))
    teachers = keep_features(flags.cache / f"{known}.npz", pool, teacher)
    looked = time.perf_counter() - start
    before = keep_features(flags.cache / f"{pool.name}-{STUDENT}-{pool.size_px}.npz", pool, STUDENT)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        weights = Path(temporary) / "adapted.weights.h5"
        network = adapt(views, taught, weights, flags.steps, flags.rate)
        after = Features(look(network, pool.pixels), look(network, pool.test_pixels))
        spent = time.perf_counter() - start
        print(f"looking by the teacher {looked:.0f} s (0 if kept), adapting {spent:.0f} s")
        rivals = {"student": before, "adapted": after, "teacher": teachers}
        for count in flags.labelled:
            show(count, probe(pool, rivals, count, flags.draws))
        for count in flags.finetune:
            finetune(pool, count, weights)


def keep(file: Path, make: Any) -> np.ndarray:
    """Return an array from a file, made the first time."""
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, found=make())
    return np.asarray(np.load(file)["found"])


def keep_features(file: Path, pool: Pool, backbone: str) -> Features:
    """Return a published network's features of a pool."""
    both = np.concatenate([pool.pixels, pool.test_pixels])
    found = keep(file, lambda: extract(backbone, both))
    return Features(*np.split(found, [len(pool.pixels)]))


def deal(labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of the photos whose labels are known, to learn from and to validate by."""
    random = np.random.default_rng(seed)
    own = [random.permutation(np.flatnonzero(labels == one))[:count] for one in np.unique(labels)]
    val = [rows[: max(1, len(rows) // VAL)] for rows in own]
    train = [rows[max(1, len(rows) // VAL) :] for rows in own]
    return np.concatenate(train), np.concatenate(val)


def probe(pool: Pool, rivals: dict[str, Features], count: int, draws: int) -> dict[str, np.ndarray]:
    """Return the accuracies of probes on so many labelled photos a class, one a draw."""
    from components.train.probe.choice import Known, choose_head

    labels, expected = pool.label(pool.pictures), pool.label(pool.test)
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for draw in range(draws):
        train, val = deal(labels, count, draw)
        groups = np.arange(len(train) + len(val))
        for name, one in rivals.items():
            known = Known(
                one.pool[train],
                labels[train],
                one.pool[val],
                labels[val],
                len(pool.class_names),
                groups,
            )
            head, _ = choose_head(known, draw)
            right = head.compute_logits(one.test).argmax(axis=1) == expected
            found[name].append(float(right.mean()))
    return {name: np.array(own) for name, own in found.items()}


def show(count: int, found: dict[str, np.ndarray]) -> None:
    """Print the means over draws, and the gain with its standard error."""
    gain = found["adapted"] - found["student"]
    error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else float("nan")
    means = ", ".join(f"{name} {own.mean():.3f}" for name, own in found.items())
    said = f"gain {gain.mean():+.3f} ± {error:.3f}"
    print(f"  {count:>3} a class: probe of {means}; {said}", flush=True)


def finetune(pool: Pool, count: int, weights: Path) -> None:
    """Print what the whole training reaches from either student."""
    train, val = deal(pool.label(pool.pictures), count, 0)
    splits = {"train": train, "val": val}
    pictures = {name: [pool.pictures[row] for row in rows] for name, rows in splits.items()}
    with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
        shards = Path(temporary) / "shards"
        write_splits(shards, pictures | {"test": pool.test}, pool.class_names, pool.size_px)
        for name, start in (("student", "imagenet"), ("adapted", str(weights))):
            found = run(shards, {"train.backbone": STUDENT, "train.weights": start}, None)
            print(
                f"  {count:>3} a class: {name} fine-tuned {found.accuracy:.3f} (its probe "
                f"{found.probe:.3f}) in {found.seconds / 60:.1f} min, kept {found.kept}",
                flush=True,
            )


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
