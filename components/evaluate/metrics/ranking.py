"""ROC-AUC and average precision of one class against the rest, under many weightings at once."""

from __future__ import annotations

import numpy as np


class Ranking:
    """The images of one class and of all others, sorted by the probability of that class."""

    def __init__(self, scores: np.ndarray, positive: np.ndarray) -> None:
        """Sort.

        Args:
            scores: (images,), the probability of the class.
            positive: bool (images,), whether an image is of the class; some are, some are not.
        """
        from scipy.sparse import csr_array

        steps = np.unique(scores[positive])[::-1]  # (steps,), from the highest down
        count = len(steps)
        # Slot 2k + 1: scores equal to step k; slot 2k: between step k - 1 and step k.
        above = np.searchsorted(-steps, -scores, side="left")
        tied = (above < count) & (steps[np.minimum(above, count - 1)] == scores)
        images = np.arange(len(scores))

        def create_sums(of: np.ndarray, slots: np.ndarray, width: int) -> csr_array:
            ones = np.ones(int(of.sum()))
            return csr_array((ones, (slots[of], images[of])), (width, len(scores)))

        self._positives = create_sums(positive, above, count)
        self._negatives = create_sums(~positive, 2 * above + tied, 2 * count + 1)

    def compute(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ROC-AUC and average precision of each weighting; NaN without both kinds.

        Args:
            weights: C-contiguous (images, weightings), how often each image counts.
        """
        hits = self._positives @ weights  # (steps, weightings)
        others = self._negatives @ weights  # (2 · steps + 1, weightings)
        below = np.cumsum(others, axis=0)
        alarms, ties = below[1::2], others[1::2]  # negatives at least as high; as high
        found = np.cumsum(hits, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.nan_to_num(found / (found + alarms))
            average = (hits * precision).sum(axis=0) / found[-1]
            beaten = (hits * (alarms - 0.5 * ties)).sum(axis=0)
            area = 1 - beaten / (found[-1] * below[-1])
        return area, average

    def lose(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what each image takes from ROC-AUC and from average precision.

        Both figures are 1 minus the mean of these. An image of the class takes the share of the
        others that rank above it, and the share of others among all that rank at least as high; one
        of the others takes the share of the class that ranks below it.

        Returns:
            Of ROC-AUC and of average precision, (positives,); of ROC-AUC, (others,); in the order
            of the images.
        """
        once = np.ones((self._positives.shape[1], 1))
        others = (self._negatives @ once)[:, 0]
        below = np.cumsum(others)
        alarms, ties = below[1::2], others[1::2]
        found = np.cumsum((self._positives @ once)[:, 0])
        # Row: step, column: image; in the order of the columns.
        steps = self._positives.tocsc().indices
        beaten = (alarms - 0.5 * ties) / below[-1]
        # Slots: above each step, and level with it; then below all.
        under = (found[-1] - found)[:, None] + [1.0, 0.5] * np.diff(found, prepend=0)[:, None]
        passed = np.append(under.ravel(), 0) / found[-1]
        slots = self._negatives.tocsc().indices
        return beaten[steps], (alarms / (found + alarms))[steps], passed[slots]
