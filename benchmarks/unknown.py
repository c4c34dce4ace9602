"""Which score tells images of no class best, on features of a network that never saw their class.

    python benchmarks/unknown.py clothing-photos.tar

Two of the clothing classes are left out: the head learns the others, and what is asked about holds
the test photos of the others and those of the two. Then scikit-learn's digits are shown to the
clothing model. AUROC, and the share of images of no class that pass for known where 95 % of the
known ones do (FPR at 95 %). What is remembered are features of a test split, as evaluate has them:
half of the known photos that are held out, the other half is asked about.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._flags import Flags, existing
from components.common.images.pixels import ImageForm, find_images, read_pixels
from components.common.terminal import exit_on_error

FORM = ImageForm(224, "crop", "#ffffff")
LEFT_OUT, PAIRS = 2, 10
KNOWN_PASS = 0.95


def extract(folder: Path, digits: int) -> dict[str, np.ndarray]:
    """Return features and labels of the photos and of some digits, of the frozen network."""
    from sklearn.datasets import load_digits

    from components.common.backend import keras
    from components.train.networks.backbones import create_body, find_backbone
    from components.train.networks.network import HEAD_INPUT, create_network

    backbone = find_backbone("EfficientNetLite0")
    body = create_body(backbone, "imagenet", FORM.size_px)
    network = create_network(backbone, body, ["a", "b"], size_px=FORM.size_px, dropout=0.0)
    features = keras.Model(network.input, network.get_layer(HEAD_INPUT).output)
    files = find_images(folder)

    def run(pixels: list[np.ndarray]) -> np.ndarray:
        return np.asarray(features.predict_on_batch(np.stack(pixels)))

    found = [
        run([read_pixels(file, FORM) for file in files[start : start + 32]])
        for start in range(0, len(files), 32)
    ]
    from PIL import Image

    shown = [
        np.asarray(Image.fromarray(np.uint8(one * 15.9)).resize((224, 224)).convert("RGB"))
        for one in load_digits().images[:digits]
    ]
    strange = [run(shown[start : start + 32]) for start in range(0, digits, 32)]
    return {
        "features": np.concatenate(found),
        "labels": np.array([file.parent.name for file in files]),
        "splits": np.array([file.parent.parent.name for file in files]),
        "digits": np.concatenate(strange),
    }


def score_all(
    memory: np.ndarray,
    classes: np.ndarray,
    learnt: tuple[np.ndarray, np.ndarray],
    asked: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return how strange each image is by each score, (images,).

    Args:
        memory: (images, channels), features of known images that the head did not learn from.
        classes: (images,), their labels.
        learnt: features and labels that the head learnt.
        asked: (images, channels).
    """
    from scipy.special import logsumexp
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=0.1, max_iter=500).fit(*learnt)
    logits = asked @ head.coef_.T + head.intercept_
    found = {
        "1 - probability": 1 - np.exp(logits.max(axis=1) - logsumexp(logits, axis=1)),
        "energy": -logsumexp(logits, axis=1),
    }
    for where, features, labels in (("test", memory, classes), ("train", *learnt)):
        units, others = (
            one / np.linalg.norm(one, axis=1, keepdims=True) for one in (features, asked)
        )
        near = np.sort(1 - others @ units.T, axis=1)
        for k in (1, 5, 20):
            found[f"kNN, k = {k}, {where}"] = near[:, min(k, near.shape[1]) - 1]
        names = np.unique(labels)
        means = np.stack([features[labels == name].mean(axis=0) for name in names])
        rest = features - means[np.searchsorted(names, labels)]
        spread = rest.T @ rest / len(rest)
        shrunk = 0.5 * spread + 0.5 * np.eye(len(spread)) * np.trace(spread) / len(spread)
        whiten = np.linalg.cholesky(np.linalg.inv(shrunk))
        gaps = (asked @ whiten)[:, None] - (means @ whiten)[None]
        found[f"Mahalanobis, {where}"] = (gaps**2).sum(axis=2).min(axis=1)
    return found


def judge(strange: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Return AUROC and FPR at 95 % of the scores of images of no class against known ones."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([1, 0], [len(strange), len(known)])
    limit = np.quantile(known, KNOWN_PASS)
    return float(roc_auc_score(truth, np.concatenate([strange, known]))), float(
        (strange <= limit).mean()
    )


def main() -> None:
    """Print a line a score."""
    parser = Flags(__file__, __doc__, "photos.tar")
    parser.add_argument("photos", type=existing, help="folder, or tar, of split/class/photo")
    parser.add_argument("--digits", type=int, default=200)
    parser.add_argument("--cache", type=Path, help="npz file that keeps the features")
    flags = parser.parse_args()
    if flags.cache and flags.cache.is_file():
        found = dict(np.load(flags.cache))
    else:
        with tempfile.TemporaryDirectory() as folder:
            import tarfile

            if flags.photos.is_file():
                with tarfile.open(flags.photos) as archive:
                    archive.extractall(folder, filter="data")
            found = extract(Path(folder) if flags.photos.is_file() else flags.photos, flags.digits)
        if flags.cache:
            np.savez(flags.cache, **found)
    features, labels = found["features"], found["labels"]
    train = found["splits"] == "train"
    held = np.flatnonzero(~train)
    held = np.random.default_rng(0).permutation(held)
    results: dict[str, list[tuple[float, float, float, float]]] = {}
    pairs = list(combinations(np.unique(labels), LEFT_OUT))
    chosen = np.random.default_rng(0).permutation(len(pairs))[:PAIRS]
    for pair in (pairs[one] for one in chosen):
        out = np.isin(labels, pair)
        known = held[~out[held]]
        memory, asked = known[::2], known[1::2]
        every = np.concatenate([features[asked], features[held[out[held]]], found["digits"]])
        learnt = features[train & ~out], labels[train & ~out]
        scores = score_all(features[memory], labels[memory], learnt, every)
        for name, values in scores.items():
            first, second = len(asked), len(asked) + int(out[held].sum())
            left_out = judge(values[first:second], values[:first])
            digits = judge(values[second:], values[:first])
            results.setdefault(name, []).append((*left_out, *digits))
    print(f"{PAIRS} pairs of classes left out, {len(features):,} photos")
    print(f"{'score':<24}{'left out: AUROC':>16}{'FPR at 95 %':>13}{'digits: AUROC':>15}{'FPR':>8}")
    for name, rows in results.items():
        a, b, c, d = np.mean(rows, axis=0)
        print(f"{name:<24}{a:16.3f}{b:13.1%}{c:15.3f}{d:8.1%}")


if __name__ == "__main__":
    with exit_on_error():  # a reader may have enough: | head
        main()
