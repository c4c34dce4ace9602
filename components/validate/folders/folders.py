"""Class folders, in given splits or not: what a file's place says of it, no table asked.

cat/1.jpg                      a class folder
train/cat/1.jpg test/cat/2.jpg   given splits, under any of their names (see `words.py`)
cat/train/1.jpg cat/test/2.jpg   the same, the other way round
images/cat/1.jpg annotations/…   side folders are no classes
mine/cat/1.jpg                 a folder that holds all the rest is stepped into
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from components.common.terminal import count_of
from components.validate.folders.listing import Listing, is_image_name
from components.validate.folders.splitting import Top, choose_splits, note_parts
from components.validate.folders.tree import Tree, last_name, lies_in
from components.validate.folders.words import (
    fold,
    is_unlabelled,
    is_wrapper,
    name_split,
    name_splits,
    normalise,
    sounds_like_split,
)

if TYPE_CHECKING:
    from components.validate.spec import LayoutSettings

FILL_OR_IGNORE = (
    "add images, remove the folder, or name it, with / behind it, in validate.layout.ignore"
)


@dataclass
class Place:
    """What its folders say of a file."""

    path: str
    label: str
    split: str
    root: str  # the folder that holds its class folder: of its split, or of all


@dataclass
class Places:
    """What the folders say of all files."""

    rows: list[Place] = field(default_factory=list)
    base: str = ""  # the folder below which the classes, or the splits, lie; with `/`
    splits: dict[str, str] = field(default_factory=dict)  # root → split; empty: none is given
    empty_classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Why the folders alone do not say what is a class; a table that gives labels may.
    doubt: str = ""
    refusal: str = ""  # the same, where a table does not help


def place_files(listing: Listing, told: LayoutSettings) -> Places:
    """Return what the folders say of each file."""
    tree, places = Tree(listing), Places()
    # Beside a column of splits the mapping is of what stands in it.
    names = told.splits if isinstance(told.splits, dict) and not told.split_column else ()
    wanted = set(map(fold, names))
    _pass_over(tree, "", places)
    places.base = _step_in(tree, told, wanted, places)
    _set_splits(tree, told, places)
    roots = {root: _step_into_split(tree, root, places) for root in places.splits}
    places.splits = {roots[root]: split for root, split in places.splits.items()}
    for root in [] if told.class_depth != 1 or told.label_pattern else places.splits:
        places.notes += note_parts(root, [_measure(tree, name) for name in tree.list_inner(root)])
    depth = told.class_depth if isinstance(told.class_depth, int) else None
    outer = {} if places.splits else _find_outer(tree, told, places)
    sides = _find_inner_sides(tree, places)
    for path in listing.paths:
        row = _place(path, places, outer, depth)
        if row and not (sides and lies_in(path, sides)):
            places.rows.append(row)
    _note_twins(places)
    places.empty_classes = _find_empty(listing, tree, places, outer, depth)
    return places


def _note_twins(places: Places) -> None:
    """Say which classes lie in two folders whose names differ in their Unicode form alone."""
    forms: dict[str, set[str]] = {}
    for row in places.rows:
        if not row.label.isascii():
            above = row.path[len(row.root) :].split("/")[:-1]
            forms.setdefault(row.label, set()).add("/".join(above[: row.label.count("/") + 1]))
    places.notes += [
        f"{label}: {len(names)} folders of this name, in different Unicode forms (NFC, NFD), are "
        "one class"
        for label, names in sorted(forms.items())
        if len(names) > 1
    ]


def _set_splits(tree: Tree, told: LayoutSettings, places: Places) -> None:
    """Fill in which folders are splits, or why that cannot be known."""
    tops = [_measure(tree, name) for name in tree.list_inner(places.base)]
    choice = choose_splits(tops, told, places.base)
    places.notes += choice.notes
    places.doubt, places.refusal = choice.doubt, choice.refusal
    places.splits = {f"{places.base}{name}/": split for name, split in choice.splits.items()}


def _measure(tree: Tree, folder: str) -> Top:
    root = _step_into_split(tree, folder, Places())
    return Top(
        name=last_name(folder),
        images=tree.direct.get(root, 0),
        files=tree.total.get(folder, 0),
        photos=tree.photos.get(folder, 0),
        inner=frozenset(last_name(name) for name in tree.list_inner(root)),
    )


def _step_in(tree: Tree, told: LayoutSettings, wanted: set[str], places: Places) -> str:
    """Return the folder in which the classes or splits lie: a single one that holds all others."""
    folder = ""
    while not tree.direct.get(folder):
        inner = tree.list_inner(folder)
        inner, aside = _find_around(tree, inner)
        if len(inner) != 1 or fold(last_name(inner[0])) in wanted:
            break
        (child,) = inner
        holds = tree.list_inner(child)
        flat = tree.direct.get(child, 0)
        # A single folder of images is a class, unless its name says that images are in it, or a
        # table beside them says of which class each is.
        is_around = is_wrapper(last_name(child)) or child in tree.with_table
        if not (holds and not flat) and not (flat and is_around):
            break
        if sounds_like_split(last_name(child)) and not holds:
            break
        # Where classes are paths, a single top folder may be the first part of all of them.
        is_deep = told.class_depth == 1 or any(map(sounds_like_split, map(last_name, holds)))
        if not is_deep and (told.class_depth == "all" or tree.depth(child) < told.class_depth):
            break
        folder = child
        _pass_over(tree, folder, places)
        places.notes += [
            f"{name}: {count_of(tree.total[name], 'file')} passed over: no labels, so for predict"
            for name in aside
        ]
    if folder:
        places.notes.append(f"everything lies in {folder}: what is in there is read as the top")
    return folder


def _find_around(tree: Tree, inner: list[str]) -> tuple[list[str], list[str]]:
    """Return the folders without photos for predict beside a single one that holds splits."""
    aside = [
        name
        for name in inner
        if is_unlabelled(last_name(name)) and _measure(tree, name).is_flat and len(inner) > 1
    ]
    rest = [name for name in inner if name not in aside]
    holds = [last_name(name) for name in tree.list_inner(rest[0])] if len(rest) == 1 else []
    splits = set(name_splits(holds).values())
    return (rest, aside) if "train" in splits and len(splits) > 1 else (inner, [])


def _step_into_split(tree: Tree, top: str, places: Places) -> str:
    """Return the folder that holds a split's classes: `seg_train/seg_train`, `train/images`."""
    root, own = top, last_name(top)
    while True:
        _pass_over(tree, root, places)
        inner = tree.list_inner(root)
        if tree.direct.get(root) or len(inner) != 1:
            return root
        name = last_name(inner[0])
        is_same = fold(name) == fold(own) or name_split(name) == name_split(own) != ""
        if not is_same and not is_wrapper(name):
            return root
        root = inner[0]


def _pass_over(tree: Tree, folder: str, places: Places) -> None:
    sides = tree.list_sides(folder)
    if sides:
        names = ", ".join(sides[:5])
        note = f"{names}: no class, passed over, by its name and for what lies beside it"
        if note not in places.notes:
            places.notes.append(note)


def _find_inner_sides(tree: Tree, places: Places) -> set[str]:
    """Return the folders of masks and the like in class folders: `cat/masks`, `cat/images`."""
    found = {
        side
        for folder in tree.inner
        if folder.startswith(places.base) and folder not in ("", places.base, *places.splits)
        for side in tree.list_sides(folder)
        if tree.total.get(side)
    }
    if found:
        count = sum(tree.total[name] for name in found)
        names = ", ".join(sorted(found)[:3])
        places.notes.append(
            f"{count_of(count, 'file')} in {count_of(len(found), 'folder')} passed over, by their "
            f"names and for what lies beside them: {names}"
        )
    return found


def _find_outer(tree: Tree, told: LayoutSettings, places: Places) -> dict[str, str]:
    """Return folder → split where each class holds its splits: `cat/train`, `cat/test`."""
    tops = tree.list_inner(places.base)
    if told.splits == "none" or places.doubt or len(tops) < 2:
        return {}
    found: dict[str, str] = {}
    for top in tops:
        inner = tree.list_inner(top)
        splits = {name: name_split(last_name(name)) for name in inner}
        if tree.direct.get(top) or not inner or not all(splits.values()):
            return {}
        found |= splits
    given = set(found.values())
    if "train" not in given or len(given) < 2:
        return {}
    if any(tree.list_inner(name) for name in found):
        places.doubt = (
            f"{', '.join(map(last_name, tops[:5]))} each hold splits, and class folders in them; "
            "set data.source to one of them, or say which folder is the class, as in "
            "`label_pattern: '/[^/]+/([^/]+)/'`, in section validate.layout of params.yaml"
        )
        return {}
    places.notes.append(
        f"each class folder holds its splits, such as {tree.list_inner(tops[0])[0]}; if they are "
        "none: `splits: none` in section validate.layout"
    )
    return found


def _place(path: str, places: Places, outer: Mapping[str, str], depth: int | None) -> Place | None:
    if not path.startswith(places.base):
        # Beside the folder that is read as the top: a licence; a picture there has no label.
        return Place(path, "", "", "") if _is_loose(path) else None
    rest = path[len(places.base) :]
    root = places.base
    if places.splits:
        root = next((root for root in places.splits if path.startswith(root)), "")
        if not root:
            return Place(path, "", "", "") if _is_loose(path, places.base) else None
        rest = path[len(root) :]
    split = places.splits.get(root, "")
    parts = rest.split("/")[:-1]
    if not parts and not is_image_name(path):
        return None
    if outer and len(parts) > 1:
        split = outer.get(f"{places.base}{parts[0]}/{parts[1]}/", "")
        parts.pop(1)
    return Place(path, _join(parts, depth), split, root)


def _is_loose(path: str, base: str = "") -> bool:
    return "/" not in path[len(base) :] and is_image_name(path)


def _join(parts: Sequence[str], depth: int | None) -> str:
    """Return the label that folders say; empty where they are fewer than the depth asks for."""
    if depth is not None and len(parts) < depth:
        return ""
    return normalise("/".join(parts[:depth]))


def _find_empty(
    listing: Listing, tree: Tree, places: Places, outer: Mapping[str, str], depth: int | None
) -> list[str]:
    """Return the class folders without a file; with given splits, those empty in every split."""
    filled = {row.label for row in places.rows}
    empty: dict[str, str] = {}
    roots = list(places.splits) or [places.base]
    for name in listing.folders:
        folder = f"{name}/"
        root = next((root for root in roots if folder.startswith(root) and folder != root), None)
        if root is None or tree.total.get(folder) or folder in outer:
            continue
        parts = folder[len(root) : -1].split("/")
        above = folder[: folder.rfind("/", 0, -1) + 1]
        if (depth is not None and len(parts) > depth) or folder in tree.list_sides(above):
            continue
        is_leaf = not tree.inner.get(folder)
        if len(parts) == depth or is_leaf:
            empty.setdefault(normalise("/".join(parts)), name)
    return sorted(place for label, place in empty.items() if label not in filled)
