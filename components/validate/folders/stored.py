"""What holds images or labels in a form of its own, which is not read, and what to do then."""

from __future__ import annotations

import re

from components.validate.folders.listing import Listing

# Names of files → whose form it is.
_FORMS = (
    (r"\.parquet$", "Parquet"),
    (r"\.arrow$", "Arrow"),
    (r"\.tfrec(ord)?s?(-\d+-of-\d+)?(\.gz)?$", "TFRecord"),
    (r"-idx\d-ubyte(\.gz)?$", "the form of MNIST"),
    (r"(^|/)(data_batch_\d|test_batch)(\.bin)?$", "the form of CIFAR"),
    (r"\.np[zy]$", "NumPy's form"),
    (r"\.(h5|hdf5)$", "HDF5"),
    (r"\.(pkl|pickle)$", "pickle"),
    (r"\.mat$", "MATLAB's form"),
    (r"\.(mdb|lmdb)$", "LMDB"),
    (r"\.rec$", "RecordIO"),
    (r"\.[ct]sv$", "tables, as numbers of pixels"),
)
_NOTES = {".xml", ".json", ".txt"}  # kinds of files that annotators write one an image
PAGE = "docs/data.md, Images inside other files"


def describe_stored(listing: Listing) -> str:
    """Return what the images of a folder without any may be inside of; empty if unknown."""
    names = [*listing.paths, *listing.tables, *(suffix for _, suffix in listing.side)]
    found = [form for pattern, form in _FORMS if any(re.search(pattern, name) for name in names)]
    if not found:
        return ""
    return (
        f". If they are inside these, in {' and '.join(found)}, write them out first, a file each: "
        f"{PAGE}, shows how"
    )


def describe_unread(listing: Listing, images: int) -> str:
    """Return which files beside images without labels may hold them, and are not read."""
    counts: dict[str, int] = {}
    for (_, suffix), count in listing.side.items():
        counts[suffix] = counts.get(suffix, 0) + count
    words = []
    if counts.get(".mat"):
        words.append(
            f"{counts['.mat']:,} .mat, MATLAB's own files, are not read: {PAGE}, shows how a table "
            "is made of them"
        )
    each = [kind for kind in sorted(_NOTES) if 2 * counts.get(kind, 0) >= max(images, 2)]
    if each:
        words.append(
            f"{', '.join(f'{counts[kind]:,} {kind}' for kind in each)} are not read: one an image, "
            "they mostly tell of objects in it; let the program that wrote them export class "
            "folders or a table of one label an image"
        )
    elif counts.get(".xml"):
        words.append(
            f"{counts['.xml']:,} .xml {'is' if counts['.xml'] == 1 else 'are'} not read: let CVAT "
            "export the form ImageNet, other programs class folders or a table"
        )
    return "".join(f"; {text}" for text in words)
