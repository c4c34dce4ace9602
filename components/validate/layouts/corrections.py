"""corrections.csv: what a person decided on the page of suspects, joined by the images' bytes.

    sha256,path,label,action,new_label,decided_at
    9f86d0…,shirt/1.jpg,shirt,change,t-shirt,2026-11-28T10:00:00Z

A row speaks of every file with these bytes that is filed under its label: `keep` says that a person
looked and it is right, `change` gives it the new label, `drop` puts it into quarantine. The files
themselves stay as they are. `path` and `decided_at` are for people.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.common.artifacts.manifest import DROPPED, OK, QUARANTINED
from components.common.errors import DarkroomError
from components.common.files.cells import unshield_text
from components.common.files.plain import check_plain
from components.common.settings.params import suggest
from components.common.settings.spec import EMBEDDED, NO_CORRECTIONS
from components.validate.folders.words import fold

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("sha256", "label", "action")
KEEP, CHANGE, DROP = "keep", "change", "drop"
ACTIONS = (KEEP, CHANGE, DROP)
DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_BYTES = 64 << 20  # some 300,000 rows; whoever names an archive by mistake is told so
DROP_REASON = f"{DROPPED}a person took it out (data.corrections)"


@dataclass(frozen=True)
class Correction:
    """One row of corrections.csv."""

    sha256: str
    path: str  # as it was then, for messages
    label: str  # under which it was filed then
    action: str  # of ACTIONS
    new_label: str  # of a change, else empty

    @property
    def outcome(self) -> tuple[str, str]:
        """What becomes of the image: dropped, or the label that it has in the end."""
        if self.action == DROP:
            return DROP, ""
        return KEEP, self.new_label if self.action == CHANGE else self.label


@dataclass(frozen=True)
class Applied:
    """What became of the rows: paths of images, or of rows where there is none."""

    file: str = ""  # empty: no corrections were named
    kept: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    no_image: list[str] = field(default_factory=list)  # no file has these bytes
    conflicting: list[str] = field(default_factory=list)  # rows want different things of one image
    label_moved: list[str] = field(default_factory=list)  # neither the old label nor the new one
    unknown_class: dict[str, list[str]] = field(default_factory=dict)  # new label → paths

    def as_json(self) -> dict[str, str | int]:
        """Return the counts that validation.json holds."""
        counts = {
            name: len(getattr(self, name))
            for name in ("kept", "changed", "dropped", "no_image", "conflicting", "label_moved")
        }
        unknown = sum(map(len, self.unknown_class.values()))
        return {"file": self.file, **counts, "unknown_class": unknown}


def read_corrections(named: str) -> list[Correction]:
    """Read the file that `data.corrections` names; none where it is empty or the default.

    On a cluster it is the table itself, as `pipelines.corrections` packs it.

    Raises:
        DarkroomError: if it is not there, or not such a table, with the line.
    """
    if named in ("", NO_CORRECTIONS):
        return []
    if named.startswith(EMBEDDED):
        table = gzip.decompress(base64.b64decode(named.removeprefix(EMBEDDED)))
        return parse_corrections(table.decode(), "data.corrections, as it was submitted")
    file = Path(named)
    about = f"{file} (data.corrections)"
    check_plain(file)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DarkroomError(
                f"{about}: {file.stat().st_size:,} bytes are no table of corrections; name the "
                "file that reports/labels.html saved"
            )
        text = file.read_bytes().decode("utf-8-sig")  # line ends in a name stay
    except FileNotFoundError:
        raise DarkroomError(
            f"{about}: no such file; save it on the page reports/labels.html, or leave "
            f"{NO_CORRECTIONS} there for none"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DarkroomError(f"{about}: cannot be read as UTF-8 text ({error})") from None
    return parse_corrections(text, about)


def parse_corrections(text: str, about: str) -> list[Correction]:
    """Return the rows of a table; spreadsheets may have saved it with `;` or tabs.

    Args:
        text: the table.
        about: names the file in messages.

    Raises:
        DarkroomError: if a column is missing or a row says what is not legal, with its line.
    """
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise DarkroomError(
                f"{about}: lacks the column {', '.join(missing)}; its first line must name "
                "sha256,path,label,action,new_label, as in the file that reports/labels.html saves"
            )
        return [
            _read_row({k: v for k, v in row.items() if k}, f"{about}, line {reader.line_num}")
            for row in reader
            if any(row.values())
        ]
    except csv.Error as error:
        raise DarkroomError(f"{about}: not a CSV table ({error})") from None


def _read_row(row: dict[str, str | None], where: str) -> Correction:
    cells = {name: unshield_text(cell or "") for name, cell in row.items()}
    digest, action = (cells[name].strip().lower() for name in ("sha256", "action"))
    if not DIGEST.fullmatch(digest):
        raise DarkroomError(
            f"{where}: sha256 must be 64 hexadecimal digits of the image's bytes; got {digest!r}"
        )
    if action not in ACTIONS:
        raise DarkroomError(f"{where}: action must be {', '.join(ACTIONS)}; got {action!r}")
    new = cells.get("new_label", "")
    if action == CHANGE and not new.strip():
        raise DarkroomError(f"{where}: a change needs the new_label that the image is to have")
    return Correction(digest, cells.get("path", ""), cells["label"], action, new)


def apply_corrections(
    manifest: pd.DataFrame, corrections: Iterable[Correction], file: str
) -> tuple[pd.DataFrame, Applied]:
    """Return the manifest with the corrected labels, and what became of each row.

    A row is applied where an image of its bytes has its label, or already the new one. Rows of one
    digest that end in different labels are not applied, nor those that name a class nobody has.

    Args:
        manifest: all files, with sha256, label, status, reason.
        corrections: rows of the file.
        file: as `data.corrections` names it.
    """
    manifest = manifest.assign(label_before="")
    applied = Applied(_name_file(file))
    rows: dict[str, list[Correction]] = defaultdict(list)
    for one in corrections:
        rows[one.sha256].append(one)
    if not rows:
        return manifest, applied
    texts = ["label", "label_before", "status", "reason"]
    told_of = manifest[["sha256", "path", *texts]][manifest["sha256"].isin(list(rows))]
    places: dict[str, list[int]] = defaultdict(list)
    for place, digest in enumerate(told_of["sha256"]):
        places[digest].append(place)
    paths = list(told_of["path"])
    labels, before, status, reason = (list(told_of[name]) for name in texts)
    names = {str(name) for name in manifest["label"].unique() if name}
    by_form = {_form(name): name for name in names}
    for digest, some in rows.items():
        outcomes = {one.outcome for one in some}
        what, wanted = next(iter(outcomes))
        new = wanted if wanted in names else by_form.get(_form(wanted), "")
        if digest not in places:
            applied.no_image.append(some[0].path)
            continue
        if len(outcomes) > 1:
            applied.conflicting.extend(paths[place] for place in places[digest])
            continue
        if what == KEEP and not new:
            applied.unknown_class.setdefault(wanted, []).append(paths[places[digest][0]])
            continue
        told = {_form(one.label) for one in some} | {_form(new)}
        for place in places[digest]:
            if _form(labels[place]) not in told:
                applied.label_moved.append(paths[place])
                continue
            before[place] = labels[place]
            if what == DROP:
                applied.dropped.append(paths[place])
                if status[place] == OK:
                    status[place], reason[place] = QUARANTINED, DROP_REASON
                continue
            (applied.kept if labels[place] == new else applied.changed).append(paths[place])
            labels[place] = new
    for name, values in zip(texts, (labels, before, status, reason), strict=True):
        manifest[name] = manifest[name].astype("str")
        manifest.loc[told_of.index, name] = values
    return manifest, applied


def _name_file(named: str) -> str:
    """Return how to speak of the file that `data.corrections` names."""
    if named.startswith(EMBEDDED):
        return "data.corrections"
    return "" if named == NO_CORRECTIONS else named


def _form(label: str) -> str:
    """Return a label as it compares: a spreadsheet may have changed its case or its ends."""
    return fold(label).strip()


def describe_unknown(applied: Applied, names: Iterable[str]) -> str:
    """Return which new labels no class has, each with the nearest that there is."""
    known = list(names)
    return "; ".join(
        f"{name!r} ({len(paths):,}; {suggest(name, known).rstrip() or 'no class is called so'})"
        for name, paths in sorted(applied.unknown_class.items())
    )
