"""Answer one partition of a batch: a Parquet file, whole or not at all, and not twice the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.files.writing import compute_sha256, writing
from components.common.images.stores.transfer import Remote
from components.common.terminal import Stopwatch, bar
from components.common.tracking.registered import IN_REGISTRY, find_registered
from components.predict.answers import UNKNOWN, Row
from components.predict.batch.images import Brought, bring_images
from components.predict.batch.listing import (
    Asked,
    compute_digest,
    is_store,
    list_remotes,
    read_listing,
    read_rows,
)
from components.predict.batch.notes import ANSWERS, is_ours, read_note, take_note, write_note
from components.predict.run import BATCH_SIZE, create_rows, tell
from components.predict.source import Source, open_model

if TYPE_CHECKING:
    from components.common.serving.classifier import Classifier

FOLDER = "answers"  # in the output: read as one table, so nothing else lies in it
COLUMNS = {
    "path": "string",
    "sha256": "string",  # of the file's bytes; null where it could not be read
    "label": "string",
    "probability": "double",
    "unsure": "bool",  # null where the model carries no limit for it, as with unknown
    "unknown": "bool",
    "reason": "string",  # why there is no answer; else empty
    "model_version": "string",  # null for a model that is in no registry
}
ROWS = 8192  # of a row group of the answers


@dataclass(frozen=True)
class Note:
    """What a file of answers says of itself: to what, by whom, and how it went."""

    rows: str  # digest of what was asked
    model: str  # sha256 of the model file
    decisions: str  # digest of the limits by which it answered
    version: str | None
    class_names: list[str]
    images: int
    lost: int  # that were gone or another when they were read: asked about again next time
    seconds: float

    def answers(self, rows: str, other: Answering) -> bool:
        """Whether these are the answers that a model would give to the same images."""
        same = (self.rows, *self.key) == (rows, *other.key)
        return same and not self.lost

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What answered."""
        return self.model, self.decisions, self.version


class Answering:
    """A version that answers for partitions; the network is loaded when the first is asked for."""

    def __init__(self, source: Source) -> None:
        """Take an open model, of :func:`open_model`, for as long as it is open."""
        self.version, self.decisions, self._file = source.version, source.decisions, source.file
        self.key = (compute_sha256(source.file), source.decisions.compute_digest(), source.version)

    @cached_property
    def classifier(self) -> Classifier:
        """The network."""
        from components.common.serving.classifier import Classifier

        return Classifier(self._file)


def pin_model(model: str) -> str:
    """Return the version that an alias means now, so that a whole batch has answers of one.

    Raises:
        DarkroomError: if there is no such version.
    """
    if not IN_REGISTRY.fullmatch(model):
        return model
    _, version = find_registered(model)
    return f"models:/{version.name}/{version.version}"


def find_answers(output: Path, partition: int) -> Path:
    """Return where the answers of a partition are, by its number from 0."""
    return output / FOLDER / f"part-{partition:06d}.parquet"


def read_answers_note(file: Path) -> Note | None:
    """Return what a file of answers says of itself; None if there is none."""
    return take_note(Note, read_note(file, ANSWERS))


def answer_partitions(listing: Path, source: str, output: Path, part: int, parts: int) -> int:
    """Answer the partitions `part`, `part + parts`, …; return how many were not answered yet.

    Args:
        listing: of :func:`write_listing`; its version answers.
        source: as the listing was made of it.
        output: folder of the batch.
        part: which of them, from 0.
        parts: how many share the work.

    Raises:
        DarkroomError: if the version is not to be had, or a store does not give an image.
    """
    about = read_listing(listing)
    remotes: dict[bytes, Remote] = {}
    done = 0
    with open_model(about.model) as opened:
        model = Answering(opened)
        for number in range(part, about.partitions, parts):
            rows, file = read_rows(listing, number), find_answers(output, number)
            digest, watch = compute_digest(rows), Stopwatch()
            where = f"partition {number + 1} of {about.partitions}, {len(rows):,} images"
            note = read_answers_note(file)
            if note and note.answers(digest, model):
                tell(f"{where}: answered before")
                continue
            if is_store(source) and not remotes:
                remotes = list_remotes(source)
            with bar("answering", "images", len(rows)) as progress:
                bad = write_answers(file, model, rows, remotes, progress.update)
            done += 1
            tell(f"{where}: {len(rows) - bad:,} answered ({watch})")
    return done


def empty_beyond(output: Path, partitions: int) -> None:
    """Leave no answers of an earlier, longer listing among those of this one.

    A table is read from all files of the folder, so what is beyond the last partition has no row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in sorted((output / FOLDER).glob("part-*.parquet")):
        note = read_answers_note(file)
        if file < find_answers(output, partitions) or note is None or not note.images:
            continue
        with writing(file, edits=True) as temporary:
            schema = _create_schema(pa)
            with pq.ParquetWriter(temporary, schema) as writer:
                empty = {"rows": "", "images": 0, "lost": 0, "seconds": 0.0}
                write_note(writer, ANSWERS, asdict(note) | empty)
        tell(f"{file}: of an earlier batch with more images; emptied")


def write_answers(
    file: Path,
    model: Answering,
    asked: Sequence[Asked],
    remotes: Mapping[bytes, Remote],
    advance: Callable[[int], Any],
) -> int:
    """Write the answers to a partition, whole or not at all; return how many images have none.

    Args:
        file: to be written; earlier answers there are replaced.
        model: that answers.
        asked: the images.
        remotes: of the store that they lie in; empty: they are files.
        advance: is called with counts of images, for a bar.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _create_schema(pa)
    rows: list[Row] = []
    watch, bad, lost = Stopwatch(), 0, 0
    with (
        writing(file, edits=is_ours(file, ANSWERS)) as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        for row, is_lost in _answer(model, bring_images(asked, remotes)):
            rows.append(row)
            bad, lost = bad + bool(row["reason"]), lost + is_lost
            advance(1)
            if len(rows) == ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))
        names = model.classifier.class_names
        digest, seconds = compute_digest(asked), round(watch.seconds, 3)
        note = Note(digest, *model.key, names, len(asked), lost, seconds)
        write_note(writer, ANSWERS, asdict(note))
    return bad


def _answer(model: Answering, images: Iterator[Brought]) -> Iterator[tuple[Row, bool]]:
    """Yield a row an image, and whether the image was lost since it was listed."""
    sent: deque[Brought] = deque()

    def list_files() -> Iterator[Path]:
        for one in images:
            sent.append(one)
            yield one.file

    classifier, decisions = model.classifier, model.decisions
    extra = [UNKNOWN] if decisions.unknown_above is not None else []
    for answers in classifier.classify_all(list_files(), BATCH_SIZE):
        asked = [sent.popleft() for _ in answers.reasons]
        files = [one.file for one in asked]
        rows = create_rows(files, answers, classifier.class_names, extra, decisions)
        for one, row in zip(asked, rows, strict=True):
            is_lost = one.is_lost(has_answer=not row["reason"])
            one.remove()
            more = {"path": one.name, "sha256": one.sha256, "model_version": model.version}
            yield row | more, is_lost


def _create_schema(pa: Any) -> Any:
    return pa.schema(list(COLUMNS.items()))
