"""What the expectations look at: columns that are computed from the manifest as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from components.common.duplicates import group_near_duplicates
from components.common.manifest import OK

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import Params


def add_signs(manifest: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the usable rows of a manifest with the signs that speak for or against them.

    Added columns: `class_images`, how many usable images the row's class has; `aspect`, longer side by shorter;
    `copies`, how many files have the same bytes; `lookalikes`, how many other files look the same;
    `labels_of_copies` and `splits_of_copies`, under how many labels and in how many given splits one and the
    same picture is found.
    """
    usable = manifest[manifest["status"] == OK].copy()
    sides = usable[["width_px", "height_px"]].to_numpy(float)
    usable["aspect"] = sides.max(axis=1, initial=1) / np.maximum(1, sides.min(axis=1, initial=1e9))
    usable["class_images"] = usable.groupby("label")["path"].transform("size")
    same = usable.groupby("sha256")
    usable["copies"] = same["path"].transform("size")
    usable["labels_of_copies"] = same["label"].transform("nunique")
    near = group_near_duplicates(list(usable["phash"]), params.near_duplicate_bits)
    # Files of the same bytes always look the same, also where a picture is too small for a hash.
    lookalikes = usable.groupby(near)
    usable["lookalikes"] = lookalikes["sha256"].transform("nunique") - 1
    usable["splits_of_copies"] = np.maximum(
        same["split"].transform("nunique"), lookalikes["split"].transform("nunique")
    )
    return usable
