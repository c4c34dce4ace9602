"""What a whole batch says: how many answers of what, and what has none, and why."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import write_json
from components.predict.batch.listing import compute_digest, read_listing, read_rows
from components.predict.batch.partitions import Note, find_answers, read_answers_note

SUMMARY_FILE = "summary.json"
NAMED = re.compile(r": (['\"]).*\1\)$", re.DOTALL)  # a path, with which each reason is another
MOST_REASONS = 20  # the commonest; a reason may hold a number of its own image


def write_summary(listing: Path, output: Path) -> dict[str, Any]:
    """Count what the partitions say, a row group at a time; write and return the summary.

    Args:
        listing: of the batch.
        output: its folder, where `summary.json` is written.

    Raises:
        DarkroomError: if a partition has not been answered, or not one image could be read.
    """
    about = read_listing(listing)
    reasons, labels, told = Counter[str](), Counter[str](), Counter[str]()
    notes = [_check_note(listing, output, number) for number in range(about.partitions)]
    if len({note.key for note in notes}) > 1:
        raise DarkroomError(
            f"{output}: partitions were answered by more than one version; start the batch again"
        )
    for number in range(about.partitions):
        _count(find_answers(output, number), reasons, labels, told)
    answered, first = labels.total(), notes[0]
    common = dict(reasons.most_common(MOST_REASONS))
    if rest := reasons.total() - sum(common.values()):
        common["other reasons"] = rest
    found = {
        "source": about.source,
        "model": about.model,
        "version": first.version,
        "model_sha256": first.model,
        "images": about.images,
        "answered": answered,
        "unanswered": reasons.total(),
        "reasons": common,
        "lost": sum(note.lost for note in notes),  # gone or changed when they were read
        "skipped": about.skipped,  # files of the folder that are no images, by suffix
        "classes": {name: labels[name] for name in first.class_names},
        "unsure_share": _share(told["unsure"], told["unsure asked"]),
        "unknown_share": _share(told["unknown"], told["unknown asked"]),
        "partitions": about.partitions,
        "seconds": round(sum(note.seconds for note in notes), 3),  # of work, side by side or not
    }
    write_json(output / SUMMARY_FILE, found)
    if not answered:
        why = next(iter(common))
        raise DarkroomError(f"no image of {about.images:,} could be read ({why})")
    return found


def describe_summary(found: dict[str, Any]) -> list[str]:
    """Return a summary as a person reads it."""
    doubts = ", ".join(
        f"{found[f'{name}_share']:.1%} {name}"
        for name in ("unsure", "unknown")
        if found[f"{name}_share"] is not None
    )
    who = f"version {found['version']}" if found["version"] else found["model"]
    lines = [
        f"{found['answered']:,} of {found['images']:,} images answered by {who}"
        + (f", {doubts}" if doubts else "")
    ]
    most = sorted(found["classes"].items(), key=lambda item: -item[1])
    lines.append(", ".join(f"{name} {count:,}" for name, count in most[:MOST_REASONS]))
    if found["lost"]:
        lines.append(
            f"{found['lost']:,} were gone or changed when they were read; the next call asks again"
        )
    lines += [f"{count:,} unanswered: {reason}" for reason, count in found["reasons"].items()]
    return lines


def _check_note(listing: Path, output: Path, number: int) -> Note:
    file = find_answers(output, number)
    note = read_answers_note(file)
    if note is None or note.rows != compute_digest(read_rows(listing, number)):
        why = "is not answered" if note is None else "has answers to other images"
        raise DarkroomError(f"{file}: the partition {why}; start the batch again, it goes on there")
    return note


def _count(file: Path, reasons: Counter[str], labels: Counter[str], told: Counter[str]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as answers:
        for part in answers.iter_batches(columns=["label", "unsure", "unknown", "reason"]):
            columns = {name: part.column(name).to_pylist() for name in part.schema.names}
            labels.update(label for label in columns["label"] if label is not None)
            reasons.update(NAMED.sub(")", reason) for reason in columns["reason"] if reason)
            for name in ("unsure", "unknown"):
                asked = [value for value in columns[name] if value is not None]
                told[f"{name} asked"] += len(asked)
                told[name] += sum(asked)


def _share(count: int, total: int) -> float | None:
    return count / total if total else None
