"""Which column of a table holds the file names, which the labels, splits and groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from components.common.artifacts.manifest import COLUMNS
from components.common.errors import DarkroomError
from components.validate.folders.listing import is_image_name
from components.validate.folders.words import (
    TRAIN,
    name_split,
    plain,
    split_words,
)
from components.validate.tables.objects import SEVERAL, is_object, open_cells
from components.validate.tables.reading import as_text
from components.validate.tables.splits import FLAGS, FOLDS, NO, YES, suggest_splits

if TYPE_CHECKING:
    import pandas as pd

    from components.validate.spec import LayoutSettings

# Folded, without spaces and punctuation; the likeliest first.
PATH_NAMES = (
    *("path", "filepath", "filename", "imagepath", "imagefilename", "imagefile", "imagename"),
    *("imgpath", "imgname", "imgfile", "image", "img", "file", "fname", "photo", "picture"),
    *("datei", "dateiname", "bild", "fichier", "archivo", "imagen", "immagine"),
    *("imageid", "imgid", "photoid", "fileid", "id", "idcode", "isicid", "name", "key", "uid"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "classname", "classlabel", "category", "categoryname"),
    *("target", "species", "breed", "diagnosis", "dx", "variety", "labelname", "groundtruth"),
    *("klasse", "kategorie", "classe", "clase", "categorie", "etiqueta"),
    *("tag", "tags", "findinglabels", "kind", "type", "y", "classid", "labelid", "categoryid"),
    *("displayname", "choice", "choices", "annotations"),
)
SPLIT_NAMES = ("split", "subset", "set", "partition", "phase", "usage", "dataset", "fold", "mluse")
# Such as is_train: numbers in it may mean anything. So may those of folds.
FOLD_NAMES = {*SPLIT_NAMES, "folds", "kfold", "cvfold", "foldid"} - {"set", "dataset"}
GROUP_NAMES = (
    *("patient", "patientid", "subject", "subjectid", "person", "personid", "lesionid", "case"),
    *("caseid", "studyid", "sequence", "sequenceid", "video", "videoid", "productid", "animalid"),
    *("individual", "individualid", "specimen", "specimenid", "animal", "plantid", "burst"),
    *("session", "sessionid", "scene", "sceneid", "userid", "customer", "customerid", "kunde"),
)
# A column of words with so many values, of so many images each, may be of persons, things or days.
GROUPS, GROUP_MEAN = 10, (2, 20)
TOLD = ("label", "split", "group")
# What is written into a column a class.
BINARY = ({"0", "1"}, {"0.0", "1.0"}, {"false", "true"})
SHARE = 0.5  # of the values of a column that are files: then it names them
SAMPLE = 200
Share = Callable[[Sequence[str]], float]


@dataclass
class Chosen:
    """Columns by their part."""

    path: str = ""
    label: str = ""
    split: str = ""
    group: str = ""
    one_hot: list[str] = field(default_factory=list)  # a column a class, 0 or 1 in it
    marks: list[str] = field(default_factory=list)  # of yes and no, any number of yes in a row
    is_guess: bool = False  # whether the label is known by what is in its column alone
    meant: dict[str, str] = field(default_factory=dict)  # what stands in split → split, if told
    notes: list[str] = field(default_factory=list)


def check_columns(file: object, columns: Sequence[str]) -> None:
    """Refuse columns without a name, and two of one name."""
    if "" in columns:
        raise DarkroomError(f"{file}: has a column without a name; name or remove it")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise DarkroomError(f"{file}: has two columns {twice[0]!r}; rename or remove one")


def check_slices(file: object, slices: Sequence[str]) -> None:
    """Refuse a slice column that has a name of the manifest's."""
    taken = [column for column in slices if column in COLUMNS]
    if taken:
        raise DarkroomError(
            f"{file}: column `{taken[0]}` has a name that the manifest uses itself; rename it"
        )


def choose_columns(
    file: object, table: pd.DataFrame, told: LayoutSettings, share: Share, has_labels: bool
) -> Chosen:
    """Return which column is what, by the settings, by its name, or guessed and said.

    Args:
        file: the table, for messages.
        table: its columns.
        told: settings of the layout.
        share: how many of some values are names of files, 0 to 1.
        has_labels: whether the folders give labels, so that none need be guessed.

    Raises:
        DarkroomError: if a named column is not there, or none holds file names.
    """
    names = [str(name) for name in table.columns]
    chosen = Chosen()
    for part in ("path", *TOLD):
        name = getattr(told, f"{part}_column")
        if name and name not in names:
            raise DarkroomError(
                f"{file}: validate.layout.{part}_column is {name!r}, and it has no such column, "
                f"only {', '.join(names[:8])}"
            )
        setattr(chosen, part, name or (part if part in names else ""))
    if told.split_column and isinstance(told.splits, dict):
        chosen.meant = dict(told.splits)
    chosen.path = chosen.path or _find_path(file, table, share, chosen.notes)
    rest = [name for name in names if name not in (chosen.path, chosen.group)]
    asked: list[str] = []
    if not chosen.split:
        chosen.split, asked = _find_split(
            table, [n for n in rest if n != chosen.label], chosen.notes
        )
    rest = [name for name in rest if name != chosen.split]
    if not chosen.label and not has_labels:
        # What may be splits is no label, though nothing else may be one: 0, 1, 2 of CelebA.
        _find_label(table, [name for name in rest if name not in asked], chosen)
    if not chosen.group:
        chosen.notes += _suspect_groups(table[[name for name in rest if name != chosen.label]])
    return chosen


def _suspect_groups(table: pd.DataFrame) -> list[str]:
    """Say of which column images may belong together, by its name or by what is in it."""
    names = [str(name) for name in table.columns]
    near = [name for name in names if plain(name) in GROUP_NAMES]
    for name in near or names:
        values = table[name].dropna().astype(str)
        values = values[values != ""]
        count = values.nunique()
        few, many = GROUP_MEAN
        looks = count >= GROUPS and few <= len(values) / count <= many
        if near or (looks and values.str.contains(r"[^\W\d_]").mean() > SHARE):  # not measured
            return [
                f"column {name} makes no groups; if images of one {name} ({count:,} values) belong "
                f"together, so that they must not straddle splits: validate.layout.group_column: "
                f"{name}"
            ]
    return []


def read_one_hot(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Return the label of each row: the columns that hold 1, several of them parted by SEVERAL."""
    import pandas as pd

    marks = {name: _is_one(table[name]) for name in columns}
    labels = [
        SEVERAL.join(name for name in columns if marks[name][row]) for row in range(len(table))
    ]
    return pd.Series(labels, index=table.index, dtype=object)


def _by_name(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the columns of known names, the likeliest first."""
    forms = {name: plain(name).replace("_", "") for name in names}
    return sorted((n for n in names if forms[n] in known), key=lambda n: known.index(forms[n]))


def _find_path(file: object, table: pd.DataFrame, share: Share, notes: list[str]) -> str:
    names = [str(name) for name in table.columns]
    named = _by_name(names, PATH_NAMES)
    samples = {n: [value for value in as_text(table[n].head(SAMPLE)) if value] for n in names}
    shares: dict[str, float] = {}
    # Where names of images stand, the numbers beside them are of rows, tasks, annotations: that
    # some files are called by numbers too is chance.
    has_names = any(_are_image_names(values) for values in samples.values())
    for name in [*named, *(name for name in names if name not in named)]:
        values = samples[name]
        if has_names and all(value.isdecimal() for value in values):
            continue
        shares[name] = share(values) if values else 0.0
        if shares[name] >= SHARE:
            guessed = "" if name in named else ", a guess by what is in it"
            notes.append(f"file names from column {name}{guessed}")
            return name
    best = max(shares, key=lambda name: shares[name], default="")
    if named or (best and shares[best]):
        best = best if shares.get(best) else next((n for n in named if n in shares), named[0])
        is_number = best not in shares and share(samples[best]) >= SHARE
        why = "its numbers are names of files" if is_number else "few of them are files"
        notes.append(f"file names from column {best}, a guess: {why}")
        return best
    raise DarkroomError(
        f"{file}: has no column `path`, only {', '.join(names[:8])}; name the column of file "
        "names: `path_column: …` in section validate.layout of params.yaml"
    )


def _are_image_names(values: Sequence[str]) -> bool:
    """Whether most of some values end as names of images do, or as addresses of such."""
    return 2 * sum(is_image_name(value.partition("?")[0]) for value in values) > len(values)


def _find_split(
    table: pd.DataFrame, names: Sequence[str], notes: list[str]
) -> tuple[str, list[str]]:
    """Return a column that is named as one of splits and holds nothing else; and those that may."""
    for name in _by_name(names, SPLIT_NAMES):
        values = set(as_text(table[name])) - {""}
        if values and all(map(name_split, values)):
            notes.append(f"splits from column {name}")
            return name, []
    flags = [name for name in names if plain(name) in FLAGS and _is_mark(table[name])]
    if len(flags) == 1:
        notes.append(f"splits from column {flags[0]}: yes is {FLAGS[plain(flags[0])]}, no is train")
        return flags[0], []
    given = [name for name in names if plain(name) in FOLD_NAMES or _is_train(name)]
    given = [name for name in given if 2 <= len(set(as_text(table[name])) - {""}) <= FOLDS]
    if given:
        line = suggest_splits(as_text(table[given[0]]), is_train=_is_train(given[0]))
        notes.append(
            f"column {given[0]} looks like given splits and is no more than a slice, since nothing "
            f"says which is which; to keep them: `split_column: {given[0]}` and {line} in section "
            "validate.layout"
        )
    return "", given


def _is_train(name: str) -> bool:
    """Whether a column is named by the split to train on alone: train, is_training_image."""
    return name_split(" ".join(word for word in split_words(name) if word != "is")) == TRAIN


def _find_label(table: pd.DataFrame, names: Sequence[str], chosen: Chosen) -> None:
    named = _by_name(names, LABEL_NAMES)
    if named:
        others = f" (not {', '.join(named[1:4])})" if named[1:] else ""
        chosen.label = named[0]
        chosen.notes.append(f"labels from column {named[0]}{others}")
        return
    marks = [name for name in names if _is_mark(table[name])]
    if len(marks) > 1 and (_are_numbers(table, marks) or _is_one_each(table, marks)):
        # A class that no row has, as in the table of a small split, is no slice either.
        marks = [n for n in names if n in marks or set(as_text(table[n])) in ({"0"}, {"0.0"})]
        chosen.one_hot = marks
        chosen.notes.append(
            f"labels from {len(marks)} columns of 0 and 1, a class each: {', '.join(marks[:5])}"
        )
        return
    chosen.marks = marks if len(marks) > 1 else []
    rows = len(table)
    likely = [
        name
        for name in names
        if (len(names) == 1 and rows and not count_rows(list(as_text(table[name]))))
        or 2 <= len(set(_open(as_text(table[name]))) - {""}) <= max(2, rows // 2)
    ]
    if len(likely) == 1:
        chosen.label, chosen.is_guess = likely[0], True
        chosen.notes.append(f"labels from column {likely[0]}, a guess by what is in it")


def count_rows(cells: Sequence[str]) -> bool:
    """Whether numbers are those of rows: one after the other, or all different where shuffled."""
    if not all(cell.isdecimal() for cell in cells) or len(set(cells)) < len(cells):
        return False
    return len(cells) > 2 or [int(cell) - i for i, cell in enumerate(cells)] == [int(cells[0])] * 2


def _open(cells: pd.Series) -> pd.Series:
    """Return what cells hold; nothing where they are JSON objects of several names."""
    opened = open_cells(cells)
    if opened is not None:
        return opened
    return cells.map(lambda text: "" if is_object(text) else text)


def _is_mark(column: pd.Series) -> bool:
    """Whether a column holds both a mark and none: 0 and 1, yes and no, x and a gap."""
    forms = {text.lower() for text in as_text(column)}
    return forms <= YES | NO and len(forms & YES) == 1 and len(forms & NO) == 1


def _are_numbers(table: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether marks are 0 and 1, which several labels may have."""
    return all({text.lower() for text in as_text(table[name])} in BINARY for name in names)


def _is_one_each(table: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether each row has one mark; else columns of yes and no tell something else of images."""
    counts = [sum(row) for row in zip(*(_is_one(table[name]) for name in names), strict=True)]
    return set(counts) == {1}


def _is_one(column: pd.Series) -> list[bool]:
    return [text.lower() in YES for text in as_text(column)]
