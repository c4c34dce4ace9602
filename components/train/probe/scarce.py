"""Laws through points of a few trainings, each judged by the validation images alone.

The probe's curve has folds: every image judges. A curve of whole trainings has a tenth of that, and
what was judged without a mistake has an error none the less. Two things keep its interval honest
(stand-ins for networks in `benchmarks/curve_laws.py`): a few images beyond those that there are,
and laws that fall on as the last points do beside those that come to rest on a floor.
"""

from __future__ import annotations

import numpy as np

from components.common.statistics.bootstrap import draw_weights
from components.train.probe.part_fits import DRAWS, Curves
from components.train.probe.power_law import Laws, fit_laws

# Images beyond those that there are, for each point, spread evenly over the ways in which an image
# may be learnt: by the first network already, by the second …, by none.
BEYOND = 2.0


def draw_curves(sizes: np.ndarray, wrong: np.ndarray, groups: np.ndarray, seed: int) -> Curves:
    """Return curves through the errors of networks that learnt more and more images.

    Args:
        sizes: images learnt, (points,), rising.
        wrong: which of the judged images each network names wrongly, 0 or 1, (points, images).
        groups: of the judged images, numbers, (images,).
        seed: of the draws.
    """
    points, images = wrong.shape
    random = np.random.default_rng((seed, 2))
    ways = np.tri(points + 1, points, -1)  # an image of way j is named wrongly by the first j
    each = BEYOND * points / len(ways)
    own = np.unique(groups, return_inverse=True)[1]
    drawn = []
    for weights in draw_weights(own, DRAWS, seed):  # (some, images)
        beyond = random.gamma(each, 1.0, (len(weights), len(ways)))
        total = weights.sum(axis=1) + beyond.sum(axis=1)
        drawn.append((weights @ wrong.T + beyond @ ways) / total[:, None])
    errors = np.concatenate(drawn)  # (draws, points)
    # Answers that change between neighbours, as for the probe: one way lies between two points.
    changes = ((np.diff(wrong, axis=0) ** 2).sum(axis=1) + each) / (images + BEYOND * points)
    around = np.concatenate([changes[:1], (changes[1:] + changes[:-1]) / 2, changes[-1:]])
    spread = np.sqrt(around / 2 / images)
    resting = fit_laws(sizes, errors, spread, random)
    falling = fit_laws(sizes[1:], errors[:, 1:], spread[1:], random, may_rest=False)
    laws = Laws(
        np.concatenate([resting.floor, falling.floor]),
        np.concatenate([resting.scale, falling.scale]),
        np.concatenate([resting.exponent, falling.exponent]),
    )
    return Curves(sizes, wrong.mean(axis=1), errors, laws, float(changes[-1]))
