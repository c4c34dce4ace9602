"""labels.html: the page on which a person keeps, changes or drops the labels that look wrong.

One file that needs no server: photos, words and script are in it, and it saves corrections.csv as
a download, which `data.corrections` names and validate applies (layouts/corrections.py there).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.artifacts.dataset import read_dataset
from components.common.files.bidi import read_script
from components.common.shards.stored import open_split
from components.evaluate.checks.suspects import Decision, Suspect, find_twins, list_decisions
from components.evaluate.report.pictures import encode_picture
from components.evaluate.report.templating import TEMPLATES, create_environment, hash_source

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 2000  # an afternoon of one person; the next page has what is left
MOST_PICTURES_BYTES = 12_000_000  # so that the page stays under 15 MB
# Longer side of the photos, and quality: a photograph takes about 13 kB, of many about 4.5 kB.
LARGE, SMALL = (256, 82), (144, 76)
FEW = 500
AT_ONCE = 64  # images whose pixels are in memory
MOST_PATHS = 8  # of copies of one photo
KEYS = "1234567890"  # in the order of a keyboard: each chooses a class


@dataclass(frozen=True)
class Review:
    """What the page shows."""

    suspects: list[Suspect]  # the likeliest first
    twins: Mapping[str, Sequence[tuple[str, str]]]  # sha256 → (path, label) of contradicting copies
    decisions: list[Decision]  # of earlier pages: the next file repeats them
    pictures: dict[str, str]  # sha256 → data URI
    class_names: list[str]
    experiment: str


def create_review(
    shards: Path,
    suspects: list[Suspect],
    manifest: pd.DataFrame,
    class_names: list[str],
    experiment: str,
) -> Review:
    """Return what the page shows, photos read.

    Args:
        shards: folder of shards and dataset.json.
        suspects: the likeliest first.
        manifest: all files.
        class_names: those that a label may be changed to.
        experiment: in MLflow, for the title.
    """
    pictured = manifest[manifest["thumbnail"].fillna("").str.startswith("data:image/jpeg;base64,")]
    thumbnails = dict(zip(pictured["sha256"], pictured["thumbnail"], strict=True))
    return Review(
        suspects=suspects,
        twins=find_twins(manifest),
        decisions=list_decisions(manifest),
        pictures=read_review_pictures(shards, suspects, thumbnails),
        class_names=class_names,
        experiment=experiment,
    )


def render_review(review: Review) -> str:
    """Return the page as HTML; its policy lets nothing in but what it holds itself."""
    from markupsafe import Markup

    style = _read("style.css") + _read("labels.css")
    script = _read("corrections.js") + read_script() + _read("labels.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{hash_source(style)}'; "
        f"script-src '{hash_source(script)}'; base-uri 'none'; form-action 'none'"
    )
    suspects = [one for one in review.suspects if one.sha256 in review.pictures]
    page: str = (
        create_environment()
        .get_template("labels.html.j2")
        .render(
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            data=Markup(_write_data(review, suspects)),  # noqa: S704 - escaped there
            experiment=review.experiment,
            shown=len(suspects),
            left=len(review.suspects) - len(suspects),
            earlier=len(review.decisions),
        )
    )
    return page


def read_review_pictures(
    shards: Path, suspects: Sequence[Suspect], thumbnails: Mapping[str, str]
) -> dict[str, str]:
    """Return sha256 → data URI, of as many of the first suspects as the page may hold.

    Args:
        shards: folder of shards and dataset.json.
        suspects: the likeliest first.
        thumbnails: sha256 → data URI, of images that the shards may not hold.
    """
    some = suspects[:MOST_SHOWN]
    side_px, quality = LARGE if len(some) <= FEW else SMALL
    found = {one.sha256: thumbnails[one.sha256] for one in some if one.sha256 in thumbnails}
    for digest, picture in _read_stored(shards, some, side_px, quality):
        found[digest] = picture
    kept: dict[str, str] = {}
    left = MOST_PICTURES_BYTES
    for one in some:
        left -= len(found.get(one.sha256, ""))
        if left < 0:
            break
        if one.sha256 in found:
            kept[one.sha256] = found[one.sha256]
    return kept


def _read_stored(
    shards: Path, suspects: Sequence[Suspect], side_px: int, quality: int
) -> Iterator[tuple[str, str]]:
    dataset = read_dataset(shards)
    for split in sorted({one.split for one in suspects} & set(dataset.splits)):
        wanted = {one.sha256 for one in suspects if one.split == split}
        stored = open_split(shards, split, dataset)
        rows = {digest: row for row, digest in enumerate(stored.sha256) if digest in wanted}
        # An older list of train knows the path alone.
        paths = {one.files[0][0]: one.sha256 for one in suspects if one.split == split}
        rows |= {paths[path]: row for row, path in enumerate(stored.paths) if path in paths}
        digests, places = list(rows), list(rows.values())
        for start in range(0, len(places), AT_ONCE):
            batch = stored.pixels[places[start : start + AT_ONCE]]
            for digest, pixels in zip(digests[start : start + AT_ONCE], batch, strict=True):
                yield digest, encode_picture(pixels, side_px, quality)


def _write_data(review: Review, suspects: Sequence[Suspect]) -> str:
    """Return what the script reads, as JSON that may stand in a script element."""
    items = [
        {
            "digest": one.sha256,
            "why": one.why,
            "files": _choose_files(one),
            "twins": [list(twin) for twin in review.twins.get(one.sha256, ())][:MOST_PATHS],
            "split": one.split,
            "likely": one.likely,
            "own": one.own_score,
            "sure": one.likely_score,
            "picture": review.pictures[one.sha256],
        }
        for one in suspects
    ]
    earlier = [[o.sha256, o.path, o.label, o.action, o.new_label, ""] for o in review.decisions]
    digests = "".join(one.sha256 for one in suspects)
    data: dict[str, Any] = {
        "id": hashlib.sha256(digests.encode()).hexdigest()[:16],
        "classes": review.class_names,
        "keys": _choose_keys(review.class_names, suspects),
        "items": items,
        "earlier": earlier,
    }
    # ASCII alone: names that are no Unicode are told as what they are.
    return json.dumps(data).replace("<", "\\u003c")


def _choose_files(suspect: Suspect) -> list[tuple[str, str]]:
    """Return a file for each label, and more as long as they are few."""
    firsts = {label: (path, label) for path, label in reversed(suspect.files)}
    rest = [one for one in suspect.files if firsts[one[1]] != one]
    return [*reversed(firsts.values()), *rest[:MOST_PATHS]]


def _choose_keys(class_names: Sequence[str], suspects: Sequence[Suspect]) -> list[tuple[str, str]]:
    """Return keys and their classes: all, or those that are in question most often.

    Classes that are called by digits have their own: 7 means 7.
    """
    names = list(class_names)
    if len(names) > len(KEYS):
        asked = Counter(one.likely for one in suspects if one.likely)
        asked.update(label for one in suspects for _, label in one.files)
        names = sorted(sorted(names, key=lambda name: -asked[name])[: len(KEYS)])
    return list(zip(names if set(names) <= set(KEYS) else KEYS, names, strict=False))


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
