"""Which test images the challenger names rightly and the champion does not, and the reverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from components.common.statistics.paired import compare
from components.promote.gate.comparison import find_groups
from components.promote.gate.evidence import Evidence
from components.promote.gate.outcomes import Champion
from components.promote.gate.sharing import share_images

MOST_PATHS = 200  # listed of each kind


def list_differences(challenger: Evidence, champion: Champion | None) -> dict[str, Any] | None:
    """Return the comparison on the images that both saw, with the paths that tell them apart.

    None where there is nothing to compare: no champion, or none that saw the same images.
    """
    if champion is None or champion.evidence is None:
        return None
    if challenger.predictions is None or champion.evidence.predictions is None:
        return None
    shared = share_images(challenger.predictions, champion.evidence.predictions)
    ours, theirs = shared.ours, shared.theirs
    if not len(ours):
        return None
    won, lost = ours.correct & ~theirs.correct, ~ours.correct & theirs.correct
    numbers = asdict(compare(ours.correct, theirs.correct, find_groups(ours)))
    return {
        "version": champion.version,
        "classes_differ": shared.differences.removeprefix("; "),
        **numbers,
        "won_paths": [ours.paths[i] for i in np.flatnonzero(won)[:MOST_PATHS]],
        "lost_paths": [ours.paths[i] for i in np.flatnonzero(lost)[:MOST_PATHS]],
    }


def describe_differences(found: Mapping[str, Any]) -> str:
    """Return how many images are won and lost, and where they are named."""
    line = (
        f"against the champion, version {found['version']}: {found['won']:,} images won, "
        f"{found['lost']:,} lost of {found['images']:,} that both saw"
    )
    line += f"; {found['classes_differ']}" if found.get("classes_differ") else ""
    return f"{line} (verdict.json names them)" if found["won"] or found["lost"] else line
