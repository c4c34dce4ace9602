"""Which top folders are splits and which are classes; where nothing says so, that is said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from components.common.terminal import count_of
from components.validate.folders.words import (
    fold,
    is_homonym,
    is_side_folder,
    is_unlabelled,
    is_wrapper,
    name_splits,
    sounds_like_split,
)

if TYPE_CHECKING:
    from components.validate.spec import LayoutSettings

CANONICAL = {"train", "val", "validation", "valid", "test"}  # these need no word said
# Of the subfolders of all top folders so many are in each: then they look like splits. A class may
# be missing in one of them.
SHARED = 0.5
SHOWN = 12  # folders in a line to copy; folds are mostly 5 or 10
SECTION = "in section validate.layout of params.yaml"


@dataclass(frozen=True)
class Top:
    """A top folder."""

    name: str
    images: int  # directly in it
    files: int  # in it and below
    photos: int  # those of them that may be images, by their names
    inner: frozenset[str]  # names of the folders in it that hold anything

    @property
    def is_flat(self) -> bool:
        """Whether there are no folders in it."""
        return not self.inner


@dataclass
class Choice:
    """Which top folders are which splits; a doubt where that cannot be told."""

    splits: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubt: str = ""
    refusal: str = ""  # a doubt that no table removes


def choose_splits(tops: Sequence[Top], told: LayoutSettings, base: str) -> Choice:
    """Return which of the top folders are splits.

    Args:
        tops: the top folders that hold anything.
        told: settings of the layout.
        base: the folder that they lie in, with `/`, for messages.
    """
    if isinstance(told.splits, dict) and not told.split_column:
        return _follow(tops, told.splits)
    if told.splits == "none":
        return Choice()
    # train_tfrecords beside train_images is no split of images.
    named = name_splits(top.name for top in tops if top.photos or not any(t.photos for t in tops))
    given = set(named.values())
    others = [top for top in tops if top.name not in named]
    if "train" in given and (len(given) > 1 or _may_train_alone(tops, named, others)):
        return _take(named, others)
    says_more = told.class_depth != 1 or told.label_pattern
    doubt = _doubt_names(tops, named) or _doubt_parts(tops)
    doubt = doubt or ("" if says_more else _doubt_inner(tops))
    notes = [] if doubt or says_more else [*_note_shared(tops), *_note_inner_splits(tops)]
    return Choice(notes=notes, doubt=doubt and f"{doubt}{' (in ' + base + ')' if base else ''}")


def _follow(tops: Sequence[Top], told: Mapping[str, str]) -> Choice:
    by_name = {fold(top.name): top.name for top in tops}
    splits = {by_name.get(fold(name), ""): split for name, split in told.items()}
    seen = _list(sorted(by_name.values())) or "none"
    for name in told:
        if fold(name) not in by_name:
            return Choice(
                refusal=f"validate.layout.splits names a folder {name!r} that is not there; the "
                f"top folders are {seen}"
            )
    rest = sorted(set(by_name.values()) - set(splits))
    left = [name for name in rest if not is_side_folder(name) and not is_unlabelled(name)]
    if left:
        return Choice(
            refusal=f"validate.layout.splits does not name the top folders {_list(left)}; name "
            f'them there, or add "{left[0]}/" to `ignore` {SECTION}'
        )
    notes = [f"{_list(rest)}: named in no split, passed over"] if rest else []
    return Choice(splits, notes)


def _may_train_alone(tops: Sequence[Top], named: dict[str, str], others: Sequence[Top]) -> bool:
    """Whether only train is given, and beside it only what is no class."""
    trains = [top for top in tops if top.name in named]
    if any(not top.is_flat for top in trains):
        return all(_is_aside(top) for top in others)
    # All flat: classes, unless there is nothing else, as in Kaggle's `train.csv` beside `train`.
    return not others or all(is_unlabelled(top.name) and top.is_flat for top in others)


def _is_aside(top: Top) -> bool:
    """Whether a folder beside splits is for predict, or of annotations."""
    is_bare = is_unlabelled(top.name) and top.is_flat
    return is_bare or is_side_folder(top.name) or not top.photos


def _take(named: dict[str, str], others: Sequence[Top]) -> Choice:
    left = [top.name for top in others if not _is_aside(top)]
    if left:
        seen = ", ".join(sorted(named))
        lines = ", ".join(f"{name}: {named[name]}" for name in sorted(named))
        return Choice(
            refusal=f"holds splits ({seen}), and beside them {_list(sorted(left))}; move what is "
            f'neither train, val nor test out of it, or add "{sorted(left)[0]}/" to `ignore`, or '
            f"name its split, `splits: {{{lines}, {sorted(left)[0]}: train}}`, or say that none is "
            f"a split, `splits: none`, {SECTION}"
        )
    notes = []
    if any(fold(name) not in CANONICAL for name in named):
        pairs = ", ".join(f"{name} is {named[name]}" for name in sorted(named))
        notes.append(f"splits by the names of the folders: {pairs}; `splits` {SECTION} says else")
    for top in others:
        what = "no labels, it is for predict" if is_unlabelled(top.name) else "no split"
        what = what if top.photos else "no image is among them"
        notes.append(f"{top.name}: {count_of(top.files, 'file')} passed over: {what}")
    missing = [split for split in ("val", "test") if split not in named.values()]
    if missing:
        notes.append(
            f"no {' and no '.join(missing)} is given: preprocess draws it from train, by content"
        )
    return Choice(dict(named), notes)


def _doubt_names(tops: Sequence[Top], named: dict[str, str]) -> str:
    """Return why names that look like splits cannot be taken for such, empty where none do."""
    names = [top.name for top in tops]
    sounds = {name: sounds_like_split(name) for name in names}
    is_flat = all(top.is_flat for top in tops)
    if set(named.values()) == {"train"} and is_flat and all(map(is_homonym, named)):
        return ""  # a folder of trains, beside one of buses
    if len(named) == 1 and len(tops) > 1:
        (name,) = named
        if is_homonym(name) and all(top.is_flat for top in tops):
            return ""
    if len(named) == 1 and all(top.is_flat for top in tops) and len(tops) > 1:
        (name,) = named
        others = _list(sorted(set(names) - set(named)))
        return (
            f"{name} holds images and looks like a split, beside class folders ({others}); nothing "
            f'says what it is: if its images are for predict, add "{name}/" to `ignore`; if it is '
            f"a class, `splits: none`, {SECTION}"
        )
    if named and len(tops) > 1:
        return _ask(
            f"{_list(sorted(named))} look{'s' if len(named) == 1 else ''} like "
            f"{'a split' if len(named) == 1 else 'splits'}"
            + (
                f", {_list(sorted(set(names) - set(named)))} not"
                if set(names) - set(named)
                else ", but none of them is train"
            ),
            tops,
            named,
        )
    if len(names) > 1 and all(sounds.values()) and len(set(sounds.values())) > 1:
        seen = f"{_list(sorted(names))} sound like splits"
        return _ask(seen, tops, sounds, _suggest_both(names))
    return ""


def _doubt_parts(tops: Sequence[Top]) -> str:
    """Return that a folder of photos sounds like a split beside such of folders: val_large."""
    parts = [top for top in tops if top.is_flat and sounds_like_split(top.name)]
    rest = [top for top in tops if top not in parts]
    if not parts or not rest or any(top.is_flat or top.images for top in rest):
        return ""
    sound = "sound like splits" if parts[1:] else "sounds like a split"
    seen = f"{_list(sorted(top.name for top in parts))} {sound}"
    return _ask(f"{seen}, and {_list(sorted(top.name for top in rest))} hold folders", tops, {})


def _doubt_inner(tops: Sequence[Top]) -> str:
    """Return that all top folders hold the same folders, so that they may be splits."""
    if len(tops) < 2 or any(10 * top.images > top.files for top in tops):
        return ""
    shared = frozenset.intersection(*(top.inner for top in tops))
    union = frozenset.union(*(top.inner for top in tops))
    if len(shared) < 2 or len(shared) < SHARED * len(union):
        return ""
    if set(name_splits(union)) == set(union):
        return ""  # cat/train, cat/test: the names say it
    names = _list(sorted(top.name for top in tops))
    return _ask(f"{names} all hold {_list(sorted(shared))}", tops, {})


def _note_shared(tops: Sequence[Top]) -> list[str]:
    """Say that class folders share the names of folders in them, which may be the classes."""
    if len(tops) < 2 or any(top.is_flat for top in tops):
        return []
    shared = sorted(frozenset.intersection(*(top.inner for top in tops)))
    if all(is_wrapper(name) or name_splits([name]) for name in shared):
        return []
    names = _list(sorted(top.name for top in tops))
    return [f"{names} are read as classes, though all hold {_list(shared)}; see docs/data.md"]


def _note_inner_splits(tops: Sequence[Top]) -> list[str]:
    """Say that some class folders hold splits, and others none: they are not taken for splits."""
    named = {top.name: name_splits(top.inner) for top in tops}
    given = sorted(name for name, splits in named.items() if len(set(splits.values())) > 1)
    if not given or len(given) == len(tops):
        return []
    others = _list(sorted(set(named) - set(given)))
    return [
        f"{_list(given)}: in {'it' if len(given) == 1 else 'each'} lie folders that look like "
        f"splits ({_list(sorted(named[given[0]]))}), in {others} none: they are read as parts of "
        "the class, and preprocess draws its own splits"
    ]


def note_parts(split: str, classes: Sequence[Top]) -> list[str]:
    """Say that all class folders of a split hold the same folders, which may be the classes."""
    if not _doubt_inner(classes):
        return []
    names = _list(sorted(f"{split}{top.name}" for top in classes))
    inner = _list(sorted(frozenset.intersection(*(top.inner for top in classes))))
    return [
        f"{names} are read as classes, though all hold {inner}; if those are the classes: "
        f"`label_pattern: '/[^/]+/([^/]+)/'` {SECTION}"
    ]


def _suggest_both(names: Sequence[str]) -> str:
    """Return the line that reads split and class from names such as train_cat, empty if none."""
    pattern = r"^(?P<split>[^\W_]+)[-_ .](?P<label>[^/]+)/"
    hits = [re.match(pattern, f"{name}/") for name in names]
    if all(hit and sounds_like_split(hit["split"]) for hit in hits):
        return f"if they are both, `label_pattern: '{pattern}'`"
    return ""


def _ask(seen: str, tops: Sequence[Top], named: dict[str, str], line: str = "") -> str:
    """Return what was seen, and the lines that settle it."""
    names = sorted((top.name for top in tops), key=_count_up)
    meant = {name: named.get(name) or sounds_like_split(name) for name in names}
    if not any(meant.values()):  # folds: the last but one for val, the last for test
        meant = dict(zip(names[-3:], ("train", "val", "test"), strict=False))
    example = [f"{_quote(name)}: {meant.get(name) or 'train'}" for name in names[:SHOWN]]
    more = ", …" if len(names) > SHOWN else ""
    lines = [
        f"if they are splits, `splits: {{{', '.join(example)}{more}}}`",
        "if they are classes, `splits: none`",
    ]
    if line:
        lines.append(line)
    if any(top.inner for top in tops) and not named:
        lines.append("if the classes are the folders in them, `label_pattern: '/([^/]+)/'`")
    return f"{seen}; nothing says whether they are splits or classes: {'; '.join(lines)}, {SECTION}"


def _count_up(name: str) -> tuple[int, str]:
    """Order fold_10 behind fold_9."""
    number = re.search(r"\d+$", name)
    return (int(number[0]) if number else -1, name)


def _quote(name: str) -> str:
    """Return a name as a YAML key."""
    return name if name.replace("_", "").replace("-", "").isalnum() else f"'{name}'"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
