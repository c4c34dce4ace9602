"""The whole of it: a model and a folder of unlabelled photos → a list of which to label first."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.cells import shield_path, shield_text
from components.common.files.ownership import check_file
from components.common.files.tables import read_table
from components.common.files.writing import write_text, writing
from components.common.serving.classifier import Classifier
from components.common.serving.decisions import parse_decisions
from components.common.settings.params import suggest as did_you_mean
from components.common.terminal import Stopwatch
from components.predict.listing import Source, list_some, name_source
from components.predict.run import tell
from components.predict.source import open_model
from components.predict.spec import Suggest
from components.predict.suggest.diversity import choose_spread
from components.predict.suggest.page import render_page
from components.predict.suggest.ranking import Candidate, rank

COLUMNS = ["rank", "path", "label", "probability", "second", "second_probability", "unknown"]
COLUMNS += ["worth"]
TOLD = 20  # unreadable images named one by one


def suggest(wanted: Suggest) -> list[Candidate]:
    """Choose, write the list and the page; return what was chosen, most wanted first.

    Raises:
        DarkroomError: if there is no such model, no readable image, or a file is in the way.
    """
    watch = Stopwatch()
    for file in (wanted.output, wanted.page):
        check_file(file)
    images, left_out = list_some(wanted.images, "choose among")
    known = _read_known(wanted.known) if wanted.known else []
    with open_model(wanted.model) as source:
        classifier = Classifier(source.file, with_features=True)
    unknown_above = source.decisions.unknown_above
    if unknown_above is None and wanted.metrics:
        unknown_above = _read_limit(wanted.metrics)
    if wanted.of is not None and wanted.of not in classifier.class_names:
        raise DarkroomError(
            f"--of {wanted.of}: {wanted.model} knows no such class; "
            f"{did_you_mean(wanted.of, classifier.class_names)}it knows "
            f"{', '.join(classifier.class_names[:40])}"
        )
    bad: list[str] = []

    def note(image: Source, reason: str) -> None:
        bad.append(name_source(image))
        if len(bad) <= TOLD:
            told = "image" if isinstance(image, bytes) else str(image)
            tell(f"{name_source(image)}: {reason.removeprefix(told + ': ')}")

    found = rank(
        classifier,
        images,
        count=wanted.count,
        of=wanted.of,
        unknown_above=unknown_above,
        near_duplicate_bits=wanted.near_duplicate_bits,
        known=known,
        tell=note,
    )
    if len(bad) > TOLD:
        tell(f"… and {len(bad) - TOLD:,} more that cannot be read")
    if len(bad) == len(images):
        raise DarkroomError(f"no image of {len(bad):,} could be read; the reasons are above")
    if not found.candidates:
        raise DarkroomError(
            f"nothing to suggest: none of {len(images) - len(bad):,} readable images "
            + (f"may be of {wanted.of}" if wanted.of is not None else "is wanted")
            + f"; {found.copies:,} are near-copies of images that are known"
        )
    chosen = [found.candidates[i] for i in choose_spread(found.stack(), found.worth, wanted.count)]
    write_list(wanted.output, chosen)
    write_text(wanted.page, render_page(chosen, len(images), found.copies, wanted))
    tell(
        f"{len(chosen):,} of {len(images):,} photos to label first, in {wanted.output}; as "
        f"pictures in {wanted.page} ({watch})"
    )
    counts = [f"{found.copies:,} near-copies" * bool(found.copies), left_out]
    counts.insert(1, f"{len(bad):,} unreadable" * bool(bad))
    if any(counts):
        tell(f"left out: {', '.join(filter(None, counts))}")
    return chosen


def write_list(file: Path, chosen: Sequence[Candidate]) -> None:
    """Write the CSV, whole or not at all."""
    with writing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for number, one in enumerate(chosen, start=1):
            table.writerow(
                [
                    number,
                    shield_path(name_source(one.image)),
                    shield_text(one.label),
                    f"{one.probability:.4f}",
                    shield_text(one.second),
                    f"{one.second_probability:.4f}",
                    str(one.unknown).lower(),
                    f"{one.worth:.4f}",
                ]
            )


def _read_known(manifest: Path) -> list[str]:
    """Return the hashes of the images in a manifest."""
    table = read_table(manifest, "manifest", ["phash"], "validate", others=False)
    return [str(phash) for phash in table["phash"] if isinstance(phash, str) and phash]


def _read_limit(metrics: Path) -> float | None:
    """Return the energy above which evaluate calls an image unknown."""
    try:
        found: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
        return parse_decisions(found["decisions"]).unknown_above
    except FileNotFoundError:
        raise DarkroomError(f"--metrics {metrics}: no such file; run evaluate first") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DarkroomError(f"--metrics {metrics}: not evaluate's metrics.json ({error})") from None
