"""Where in a picture the evidence for a class lies: Grad-CAM (Selvaraju et al. 2017).

It reads the last feature map that still has places: each channel is weighted by the mean slope of
the class's logit, and what speaks for the class is kept. Of a network of tokens that map is made of
its patches before the last block, through which they still act on the class token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.common.artifacts.model import LOGITS, PREFIX
from components.common.errors import DarkroomError

SANITY_IMAGES = 16
# Maps of a trained and of a random network: a mean rank correlation under this is "they changed".
# Adebayo et al. 2018 draw no line; half is where one would call two maps alike by eye.
MOST_ALIKE = 0.5
# Shuffled weights make one random network, whose smooth maps of a few places are like others by
# chance: so many maps, all on one side of the line but for chance, are wanted for a verdict.
FEWEST_MAPS, LEVEL = 8, 0.95


@dataclass(frozen=True)
class Sanity:
    """Whether the maps depend on what the network has learnt (Adebayo et al. 2018)."""

    images: int  # whose maps show more than one strength
    correlation: float | None  # mean |rank correlation| of maps before and after the shuffle
    passed: bool | None  # None: nothing to compare, or too few maps to tell


class GradCam:
    """A network, cut at its last feature map."""

    def __init__(self, network: Any) -> None:
        """Cut.

        Raises:
            DarkroomError: if the network has no feature map.
        """
        from components.common.backend import keras

        cut = find_cut(network)
        logits = network.get_layer(LOGITS).output
        self._network = network
        self._body = keras.Model(network.input, cut)
        self._head = keras.Model(cut, logits)

    def compute_maps(
        self, pixels: np.ndarray, classes: np.ndarray, batch_size: int = 32
    ) -> np.ndarray:
        """Return how strongly each place speaks for a class, 0 to 1, float32 (images, high, wide).

        Args:
            pixels: uint8 (images, side, side, 3).
            classes: int64 (images,), the class to explain.
            batch_size: images at once.
        """
        cams = []
        for start in range(0, len(pixels), batch_size):
            stop = start + batch_size
            found = self._body.predict_on_batch(pixels[start:stop])
            maps, *beside = found if isinstance(found, list) else [found]
            maps = np.asarray(maps, np.float32)
            slopes = compute_slopes(self._head, maps, classes[start:stop], beside)
            weights = slopes.mean(axis=(1, 2), keepdims=True)  # (b, 1, 1, channels)
            cam = np.maximum((weights * maps).sum(axis=3), 0)  # (b, high, wide)
            top = cam.max(axis=(1, 2), keepdims=True)
            cams.append(np.divide(cam, top, out=np.zeros_like(cam), where=top > 0))
        return np.concatenate(cams)

    def check_sanity(self, pixels: np.ndarray, classes: np.ndarray) -> Sanity:
        """Compare the maps with those of the same network with shuffled weights.

        Maps that stay alike would show edges of the picture, not what was learnt.
        """
        pixels, classes = pixels[:SANITY_IMAGES], classes[:SANITY_IMAGES]
        before = self.compute_maps(pixels, classes)
        weights = self._network.get_weights()
        random = np.random.default_rng(0)
        try:
            self._network.set_weights(
                [random.permutation(one.ravel()).reshape(one.shape) for one in weights]
            )
            after = self.compute_maps(pixels, classes)
        finally:
            self._network.set_weights(weights)
        pairs = zip(before, after, strict=True)
        # A map of one place, or of nothing that speaks for the class, looks like any other such.
        alike = [_correlate(*pair) for pair in pairs if np.ptp(pair[0]) > 0]
        if not alike:
            return Sanity(0, None, None)
        return judge_sanity(np.abs(alike))


def judge_sanity(alike: np.ndarray) -> Sanity:
    """Return the verdict on maps whose |rank correlations| are given, (images,).

    There is none where they are few, or where the interval of their mean (Student's) holds the
    line between the two answers.
    """
    from scipy.stats import t

    count, mean = len(alike), float(np.mean(alike))
    if count < FEWEST_MAPS:
        return Sanity(count, mean, None)
    reach = float(t.ppf(0.5 + LEVEL / 2, count - 1) * np.std(alike, ddof=1) / np.sqrt(count))
    return Sanity(count, mean, mean < MOST_ALIKE if abs(mean - MOST_ALIKE) > reach else None)


def find_cut(network: Any) -> list[Any]:
    """Return the last tensor (places high, places wide, channels) on the way to the logits.

    What passes beside it, such as a class token, follows in the list.
    """
    # A layer's input is a tensor of this network; that of a network inside it would not be.
    for layer in reversed(network.layers[1:]):
        tensor = None if hasattr(layer, "layers") else layer.input
        if len(getattr(tensor, "shape", ())) == 4:
            return [tensor, *(one.input for one in network.layers if one.name == PREFIX)]
    raise DarkroomError(
        f"{network.name}: has no feature map of places, so Grad-CAM cannot show where it looks"
    )


def compute_slopes(
    head: Any, maps: np.ndarray, classes: np.ndarray, beside: Sequence[Any] = ()
) -> np.ndarray:
    """Return the slope of each image's class logit with its feature map, of the map's shape.

    Args:
        head: from the tensors of the cut to the logits.
        maps: (images, high, wide, channels).
        classes: (images,).
        beside: what passes beside the maps.
    """
    from components.common.backend import keras

    rows = np.arange(len(classes))
    beside = [keras.ops.convert_to_tensor(tensor) for tensor in beside]
    if keras.backend.backend() == "jax":
        import jax

        def total(values: Any) -> Any:
            return head(_pack(values, beside), training=False)[rows, classes].sum()

        return np.asarray(jax.grad(total)(jax.numpy.asarray(maps)))
    from components.common.backend import tf

    values = tf.convert_to_tensor(maps)
    with tf.GradientTape() as tape:
        tape.watch(values)
        logits = head(_pack(values, beside), training=False)
        chosen = tf.gather_nd(logits, np.stack([rows, classes], axis=1))
    return np.asarray(tape.gradient(chosen, values))


def _pack(values: Any, beside: Sequence[Any]) -> Any:
    return [values, *beside] if beside else values


def _correlate(first: np.ndarray, second: np.ndarray) -> float:
    """Return the rank correlation of two maps; 0 where one is flat or holds no numbers."""
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or not np.isfinite(second).all() or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first.ravel(), second.ravel()).statistic)
