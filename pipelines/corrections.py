"""A person's corrections travel to the cluster inside the parameter that names their file."""

from __future__ import annotations

import base64
import csv
import gzip
import io
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.settings.spec import EMBEDDED, NO_CORRECTIONS

# KFP hands all parameters to a pod as one argument, and Linux takes none of more than 128 KiB.
MOST_BYTES = 96_000
COLUMNS = ("sha256", "label", "action", "new_label")  # what validate joins by; the rest is to read


def embed_corrections(named: str) -> str:
    """Return what `data.corrections` is on a cluster: the table that it names, packed.

    Args:
        named: the setting: a file, or what stands for none.

    Raises:
        DarkroomError: if the file is missing, no such table, or too large.
    """
    if named in ("", NO_CORRECTIONS) or named.startswith(EMBEDDED):
        return named
    try:
        text = Path(named).read_bytes().decode("utf-8-sig")  # line ends in a name stay
        # A spreadsheet may have saved it with `;` or tabs.
        separator = max(",;\t", key=text.split("\n", 1)[0].count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        rows = list(reader)
    except FileNotFoundError:
        raise DarkroomError(
            f"{named}: no such file (data.corrections); save it on the page reports/labels.html, "
            f"or leave {NO_CORRECTIONS} there for none"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DarkroomError(f"{named}: no readable CSV table (data.corrections): {error}") from None
    kept = io.StringIO()
    table = csv.writer(kept, quoting=csv.QUOTE_ALL, lineterminator="\n")
    # What is missing is said by validate, in words, for a table on any machine.
    columns = [name for name in COLUMNS if name in (reader.fieldnames or ())]
    table.writerow(columns)
    table.writerows([row[name] or "" for name in columns] for row in rows)
    packed = base64.b64encode(gzip.compress(kept.getvalue().encode(), mtime=0)).decode()
    if len(packed) > MOST_BYTES:
        raise DarkroomError(
            f"{named}: {len(rows):,} corrections are more than a pipeline's parameter holds "
            f"({len(packed):,} of {MOST_BYTES:,} bytes packed). Leave out the rows that say keep, "
            "or move the images that were corrected into the folders of their classes"
        )
    return EMBEDDED + packed
