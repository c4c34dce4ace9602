"""Hugging Face's `imagefolder`: a table in each split, its rows relative to the table.

train/metadata.csv   file_name,label
train/0001.png       0001.png,cat
test/metadata.jsonl  {"file_name": "0001.png", "label": "dog"}
"""

from __future__ import annotations

from components.validate.folders.folders import Places
from components.validate.folders.listing import Listing
from components.validate.layouts.table import NAMES, list_above
from components.validate.tables.sheets import Found


def find_imagefolder(listing: Listing, places: Places) -> list[Found]:
    """Return the tables named `metadata` that lie in folders, each with the split it is in."""
    found = []
    for path in listing.tables:
        above, _, name = path.rpartition("/")
        if name.lower() in NAMES and above and f"{above}/" not in list_above(places.base):
            split = next((s for root, s in places.splits.items() if f"{above}/" == root), "")
            split = split or next(
                (s for root, s in places.splits.items() if root.startswith(f"{above}/")), ""
            )
            found.append(Found(path, below=f"{above}/", split=split, by="imagefolder"))
    return found
