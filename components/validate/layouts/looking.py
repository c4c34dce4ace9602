"""A folder in figures, before any image is decoded: what settings for it can be chosen from."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.common.artifacts.manifest import SPLITS
from components.common.errors import DarkroomError
from components.common.images.formats import open_image
from components.validate.folders.doubts import LabellessError
from components.validate.folders.folders import FILL_OR_IGNORE
from components.validate.folders.listing import is_image_name
from components.validate.layouts.layout import Layout, read_layout
from components.validate.layouts.suspicions import note_depth, note_groups, note_twins
from components.validate.spec import Params

SAMPLED = 100  # images whose heads are read: their sizes vary little where a camera took them


@dataclass(frozen=True)
class Sight:
    """What a folder holds, as far as names, tables and the heads of a few images say it."""

    images: int  # that are there, and of which a class is known
    classes: dict[str, dict[str, int]]  # class → split, empty where none is given → images
    groups: int
    shorter_px: int | None  # median of the shorter sides of the sample; None: none could be read
    settings: dict[str, tuple[Any, str]] = field(default_factory=dict)  # dotted key → value, why
    lines: list[str] = field(default_factory=list)  # all of it in words


def look(folder: Path, params: Params, sampled: Sequence[str] | None = None) -> Sight:
    """Return what a folder holds.

    Args:
        folder: of images, or the outline of one, with ingest's placing and empty files.
        params: settings; where they do not fit the folder, the defaults are tried.
        sampled: of an outline: the files that are not empty.

    Raises:
        DarkroomError: if nothing says what is a class and what is a split.
    """
    layout, settings = _read_fitting(folder, params)
    files = layout.files[layout.files["label"] != ""]
    files = files[[(folder / path).exists() for path in files["path"]]]  # a table may name more
    classes: dict[str, dict[str, int]] = {}
    for (label, split), count in files.groupby(["label", "split"]).size().items():
        classes.setdefault(str(label), {})[str(split)] = int(count)
    paths = list(files["path"])
    sides, formats, broken = _measure(folder, paths, sampled)
    lines = [
        *_describe_classes(classes, len(files)),
        *_describe_sizes(sides, formats, broken),
        *layout.notes,
        *(
            f"{name}: a class folder with no image in it, at which a run ends: {FILL_OR_IGNORE}"
            for name in layout.empty_classes
        ),
        *note_depth(files, params.layout.class_depth),
        *note_groups(files),
        *([] if sampled is not None else note_twins(folder, files)),
    ]
    groups = files["group"].replace("", None).nunique()
    shorter = sorted(map(min, sides))
    median = shorter[len(shorter) // 2] if shorter else None
    return Sight(len(files), classes, int(groups), median, settings, lines)


def _read_fitting(folder: Path, params: Params) -> tuple[Layout, dict[str, tuple[Any, str]]]:
    """Return the layout, and the settings that it took to read it."""
    own = _list_own(params)
    try:
        return _read_names(folder, params)
    except DarkroomError as error:
        if own == _list_own(Params()):
            raise
        plain = dataclasses.replace(params, layout=Params().layout, classes=Params().classes)
        try:
            layout, settings = _read_names(folder, plain)
        except DarkroomError:
            raise error from None
        why = "the earlier value is of other images: with it, nothing could be read"
        defaults = _list_own(plain)
        back = {key: (defaults[key], why) for key, value in own.items() if value != defaults[key]}
        return layout, back | settings


def _read_names(folder: Path, params: Params) -> tuple[Layout, dict[str, tuple[Any, str]]]:
    try:
        return read_layout(folder, params), {}
    except LabellessError as error:
        if not error.pattern or params.layout.label_pattern:
            raise
        layout = dataclasses.replace(params.layout, label_pattern=error.pattern)
        why = "no folder and no table says the classes; the names of the files do"
        found = read_layout(folder, dataclasses.replace(params, layout=layout))
        return found, {"validate.layout.label_pattern": (error.pattern, why)}


def _list_own(params: Params) -> dict[str, Any]:
    """Return the settings that say which files are examples of what, by their dotted keys."""
    parts = {"layout": params.layout, "classes": params.classes}
    return {
        f"validate.{name}.{one.name}": getattr(part, one.name)
        for name, part in parts.items()
        for one in dataclasses.fields(part)  # type: ignore[arg-type]
    }


def _measure(
    folder: Path, paths: Sequence[str], sampled: Sequence[str] | None
) -> tuple[list[tuple[int, int]], Counter[str], list[str]]:
    """Return width and height, px, and formats of a sample, and what of it is no image."""
    whole = set(sampled or ())
    there = [path for path in paths if sampled is None or path in whole]
    step = max(1.0, len(there) / SAMPLED)
    chosen = [there[int(n * step)] for n in range(min(SAMPLED, len(there)))]
    sides, formats, broken = [], Counter[str](), []
    for path in chosen:
        try:
            with open_image(folder / path) as image:
                sides.append((image.width, image.height))
                formats[image.format or "?"] += 1
        except Exception:  # decoders raise nearly anything of what is no image
            broken.append(path)
    return sides, formats, broken


def _describe_classes(classes: dict[str, dict[str, int]], images: int) -> list[str]:
    totals = Counter({name: sum(counts.values()) for name, counts in classes.items()})
    ordered = totals.most_common()
    shown = ordered if len(ordered) <= 8 else [*ordered[:5], ("…", 0), *ordered[-2:]]
    named = ", ".join(f"{name} {count:,}" if count else name for name, count in shown)
    lines = [f"{images:,} images of {len(classes):,} classes: {named}"]
    splits = Counter[str]()
    for counts in classes.values():
        splits.update(counts)
    if any(splits):
        told = ", ".join(
            f"{name or 'no split'} {splits[name]:,}" for name in (*SPLITS, "") if splits[name]
        )
        lines.append(f"given splits: {told}")
    return lines


def _describe_sizes(
    sides: list[tuple[int, int]], formats: Counter[str], broken: list[str]
) -> list[str]:
    lines = []
    if sides:
        width, height = (sorted(side)[len(sides) // 2] for side in zip(*sides, strict=True))
        kinds = ", ".join(name for name, _ in formats.most_common())
        smallest, largest = min(map(min, sides)), max(map(max, sides))
        lines.append(
            f"{width} × {height} px at the median, {smallest} to {largest} px, {kinds} "
            f"({len(sides)} of them looked at)"
        )
    if broken:
        share = f"{len(broken)} of {len(sides) + len(broken)} looked at"
        lines.append(
            f"{share} {'is' if len(broken) == 1 else 'are'} no image, such as "
            f"{broken[0]}: validate leaves such files out and says why"
        )
    odd = [path for path in broken if not is_image_name(path)]
    if odd:
        lines.append(f"not named as images, though in class folders: {', '.join(odd[:3])}")
    return lines
