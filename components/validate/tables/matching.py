"""Which file a row of a table means: as it is written, or by the loosest rule that is still sure.

    cat/a.jpg → cat/a.jpg      in any Unicode form
    CAT/a.JPG → cat/a.jpg      in any case
    cat/a     → cat/a.jpg      ids without a suffix
    a.jpg     → train/a.jpg    without its folder
    /kaggle/input/x/cat/a.jpg → cat/a.jpg   with folders of another machine
    a.png     → a.jpg          with another suffix
    a%20b.jpg → a b.jpg        as addresses write it
    /data/upload/1/3fa2b1c0-a.jpg → a.jpg   as Label Studio calls what is uploaded
    7, 7.0    → 0007.jpg       numbers that lost their zeros

A file that two rows might mean, and a row that might mean two files, find none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from components.validate.folders.words import fold, normalise

DROPPED = "folders before it dropped"
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/?#]*/?")  # scheme and host
SAMPLED = 300  # rows that a pattern is sought from
Key = Callable[[str], str]


@dataclass(frozen=True)
class Rule:
    """One way of finding the file of a row."""

    words: str
    of_row: Key
    of_file: Key


@dataclass(frozen=True)
class Match:
    """The files of the rows, and how they were found."""

    files: list[str]  # a path a row; empty where there is none
    rules: Counter[str]  # words of a rule → rows found by it; those found as written are not in it
    unsure: int  # rows that may mean several files


def _stem(path: str) -> str:
    """Return a path without its suffix; of `1.5` nothing is taken, it is a number."""
    head, dot, tail = path.rpartition(".")
    return head if dot and head and not tail.isdigit() and "/" not in tail else path


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _number(path: str) -> str:
    """Return the number that a name is, without leading zeros; empty if it is none."""
    name = _stem(re.sub(r"(\d)\.0+$", r"\1", _base(path)))
    return name.lstrip("0") or "0" if name.isdigit() else ""


def _row_number(name: str) -> str:
    return "" if "/" in name else _number(name)


def _fold_stem(path: str) -> str:
    return _stem(fold(path))


def _unquote(path: str) -> str:
    return fold(unquote(path)) if "%" in path else ""


def _name(path: str) -> str:
    return fold(_base(path))


def _own_name(path: str) -> str:
    name = _name(path)
    return name[9:] if re.match(r"[0-9a-f]{8}-.", name) else ""


RULES = (
    Rule("", normalise, normalise),
    Rule("case apart", fold, fold),
    Rule("its %20 and the like read", _unquote, fold),
    Rule("a suffix put behind it", fold, _fold_stem),
    Rule("another suffix", _fold_stem, _fold_stem),
)
LOOSE = (
    Rule("its folder put before it", fold, fold),
    Rule("its folder put before it, its %20 and the like read", _unquote, fold),
    Rule("its folder put before it, a suffix behind it", fold, _fold_stem),
    Rule(
        "its folder put before it, another suffix",
        _fold_stem,
        _fold_stem,
    ),
)
EXACT = (
    Rule("the eight letters before it left away, which Label Studio puts there", _own_name, _name),
    Rule("its number, with leading zeros", _row_number, _number),
)


def clean(path: str) -> str:
    """Return a path with `/`, without `./` and doubled slashes; of an address its path."""
    if address := ADDRESS.match(path):
        path = f"/{path[address.end() :].partition('?')[0].partition('#')[0]}"
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    return ("/" if path.startswith(("/", "\\")) else "") + "/".join(parts)


def match_rows(names: Sequence[str], files: Sequence[str], below: str = "") -> Match:
    """Find the file of each row.

    Args:
        names: what the rows say, cleaned.
        files: paths of the folder.
        below: the folder that the table lies in, with `/`: its own files come first.
    """
    found = [""] * len(names)
    rules: Counter[str] = Counter()
    unsure: set[int] = set()
    keys: dict[tuple[str, Key], list[str]] = {}
    own = [path for path in files if path.startswith(below)] if below else files
    for scope, prefix in [(own, below), (files, "")] if below else [(own, "")]:
        for rule, cut in _steps():
            left = [i for i, path in enumerate(found) if not path and names[i]]
            if not left:
                break
            known = keys.get((prefix, rule.of_file))
            if known is None:
                known = [rule.of_file(path[len(prefix) :]) for path in scope]
                keys[prefix, rule.of_file] = known
            hits = _find(rule, cut, [names[i] for i in left], scope, known)
            taken = {*found, ""}
            pairs = [*zip(left, hits, strict=True)]
            sure = {i: hit for i, hit in pairs if hit and hit[0] not in taken}
            # A row whose file is gone must not get a namesake of another folder: where folders are
            # dropped, they are in most rows, or in none.
            dropped = [i for i, (_, words) in sure.items() if words == DROPPED]
            if len(dropped) < len(names) / 2:
                sure = {i: hit for i, hit in sure.items() if hit[1] != DROPPED}
            for i, (path, words) in sure.items():
                found[i] = path
                if words:
                    rules[words] += 1
            unsure |= {i for i, hit in pairs if hit is None}
    return Match(found, rules, len([i for i in unsure if not found[i]]))


def _steps() -> Iterable[tuple[Rule, bool]]:
    yield from ((rule, False) for rule in RULES)
    yield from ((rule, True) for rule in LOOSE)
    yield from ((rule, False) for rule in EXACT)


def _find(
    rule: Rule, cut: bool, names: Sequence[str], files: Sequence[str], keys: Sequence[str]
) -> list[tuple[str, str] | None]:
    """Return for each row its file and how it was found; an empty file if none, None if several.

    Args:
        rule: how rows and files are compared.
        cut: whether without their first folders too.
        names: what the rows say.
        files: paths.
        keys: what the rule makes of each of the files.
    """
    forms = [[*_tails(key)] if cut else [key] for key in map(rule.of_row, names)]
    wanted = {form for some in forms for form in some if form}
    if not wanted:  # no row is of this kind
        return [("", "")] * len(names)
    index: dict[str, str | None] = {}  # key → file; None: several files have it
    for path, key in zip(files, keys, strict=True):
        for form in _tails(key) if cut else (key,):
            if form in wanted:
                index[form] = None if form in index else path
    found: list[tuple[str, str] | None] = []
    for some in forms:
        form = next((form for form in some if form in index), "")
        hit = index.get(form, "")
        found.append(None if hit is None else (hit, rule.words if form == some[0] else DROPPED))
    return found


def _tails(key: str) -> Iterable[str]:
    """Yield a path, then the same without its first folder, and so on to the bare name."""
    parts = key.lstrip("/").split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def suggest_pattern(names: Sequence[str], files: Sequence[str], column: str) -> str:
    """Return the pattern under which rows that found no file would find one; empty if none is seen.

    Args:
        names: rows without a file.
        files: files without a row.
        column: name of the column that the rows stand in.
    """
    wanted = {_stem(_base(name)) for name in [name for name in names if name][:SAMPLED]} - {""}
    # What an id may be in a file's name: a run of digits or letters, or what `_`, `-`, `.` parts.
    pieces: dict[str, set[str]] = {}
    for path in files[: 20 * SAMPLED]:
        base = _base(path)
        stem = _stem(base)
        cuts = [m.start() for m in re.finditer(r"[_\-. ]", stem)]
        found = {*re.findall(r"\d+|[^\W\d_]+", stem), *re.split(r"[_\-. ]", stem)}
        found |= {stem[cut + 1 :] for cut in cuts} | {stem[:cut] for cut in cuts}
        for piece in found & wanted:
            pieces.setdefault(piece, set()).add(base)
    patterns = Counter(
        base.replace(name, f"{{{column}}}")
        for name, bases in pieces.items()
        for base in bases
        if base.count(name) == 1
    )
    if not patterns:
        return ""
    pattern, count = patterns.most_common(1)[0]
    return pattern if count >= max(2, len(wanted) / 2) else ""
