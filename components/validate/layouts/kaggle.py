"""Tables under any other name, as Kaggle and most exports have them.

    train.csv   id,breed          labels.csv   image,class
    train/…     000bec,boxer      photos/…     7.jpg,cat
    test/…      no labels: for predict

    train/_classes.csv   filename, cat, dog     Roboflow's, a column a class

They are read only for images of which the folders say no class, and only if their rows are files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from components.common.errors import DarkroomError
from components.validate.folders.folders import Places
from components.validate.folders.listing import EXPORTED, Listing, is_image_name
from components.validate.folders.tree import last_name
from components.validate.folders.words import is_side_folder, sounds_like_split, split_words
from components.validate.layouts.table import NAMES, list_above, suggest_tables
from components.validate.tables.sheets import Found, Sheet

# Answers to be handed in, with made-up labels.
NO_LABELS = {"submission", "sample", "example", "template"}
NO_CLASSES = {"split", "splits", "partition", "partitions"}
QUIET = (".txt", ".lst", ".json")
SHOWN = 6  # tables in a message
MOST = 30  # of such files that are looked into


def find_exported(listing: Listing, places: Places, quiet: bool = False) -> list[Found]:
    """Return the tables at the top, or in a folder of annotations, that may name labels.

    Args:
        listing: what lies in the folder of images.
        places: what its folders say.
        quiet: the kinds of files that may as well be anything else; those named as an image are
            left out, and all where there are many.
    """
    found = []
    outer = ("/", *list_above(places.base))
    images = filter(is_image_name, listing.paths if quiet else ())
    stems = {last_name(path).rpartition(".")[0] for path in images}
    for path in listing.tables:
        above, _, name = path.rpartition("/")
        stem, dot, kind = name.rpartition(".")
        is_near = f"{above}/" in outer or is_side_folder(last_name(above))
        # val/val_annotations.txt beside val/images, too.
        inner = [s for root, s in places.splits.items() if root.startswith(f"{above}/")]
        own = inner[0] if len(inner) == 1 and f"{above}/" not in outer else ""
        is_near |= bool(own)
        wanted = QUIET if quiet else EXPORTED
        if not is_near or dot + kind.lower() not in wanted or name.lower() in NAMES:
            continue
        if quiet and (stem in stems or NO_CLASSES & set(split_words(stem))):
            continue
        if not NO_LABELS & set(split_words(stem)):
            # Rows of train.csv come from the folder train where there is one.
            split = own or sounds_like_split(stem)
            roots = [root for root, name in places.splits.items() if name == split]
            found.append(Found(path, below=roots[0] if roots else places.base, split=split))
    return [] if quiet and len(found) > MOST else found


def choose_exported(folder: Path, sheets: Sequence[Sheet]) -> tuple[list[Sheet], list[Sheet]]:
    """Return the tables that give labels, and those that name images without one.

    Raises:
        DarkroomError: if several give labels, and their names do not say of which split each is;
            or if one gives many answers of yes and no, and no other is known to give labels.
    """
    fitting = [sheet for sheet in sheets if 2 * sheet.files >= sheet.named > 0]
    # What test.csv seems to hold as labels, and train.csv holds beside them, is none.
    others = {
        name: sum(name in sheet.rows.columns[4:] for sheet in fitting) for name in _guessed(fitting)
    }
    labelled = [
        sheet
        for sheet in fitting
        if sheet.has_labels and not (sheet.is_guess and others.get(sheet.columns.get("label", "")))
    ]
    answers = [sheet for sheet in fitting if sheet.marks and not sheet.has_labels]
    if answers and all(sheet.is_guess for sheet in labelled):
        raise DarkroomError(f"{folder}: {_describe_answers(answers[0])}")
    splits = [sheet.found.split for sheet in labelled]
    if len(labelled) > 1 and (not all(splits) or len(set(splits)) < len(splits)):
        names = sorted(sheet.found.path for sheet in labelled)
        shown = f"{' and '.join(names[:SHOWN])}{' and more' if len(names) > SHOWN else ''}"
        raise DarkroomError(
            f"{folder}: {shown} {'all' if names[2:] else 'both'} give labels; say which one is "
            f"meant: {suggest_tables(names)} in section validate.layout of params.yaml"
        )
    return labelled, [sheet for sheet in fitting if sheet not in labelled]


def _guessed(sheets: Iterable[Sheet]) -> set[str]:
    return {sheet.columns.get("label", "") for sheet in sheets if sheet.is_guess} - {""}


def _describe_answers(sheet: Sheet) -> str:
    path, first = sheet.found.path, sheet.marks[0]
    shown = f"{', '.join(sheet.marks[:4])}{' …' if len(sheet.marks) > 4 else ''}"
    return (
        f"{path} says of {sheet.files:,} images yes or no to {len(sheet.marks):,} questions "
        f"({shown}), several yes to one image, and a classifier here gives one answer; "
        f"`table: {path}` and `label_column: {first}` in section validate.layout learn this one"
    )


def list_unlabelled(sheets: Iterable[Sheet], labelled: Iterable[Sheet]) -> set[str]:
    """Return the files that a table such as test.csv names, and none that gives labels."""
    known = {path for sheet in labelled for path in sheet.rows["path"]}
    return {path for sheet in sheets for path in sheet.rows["path"]} - known
