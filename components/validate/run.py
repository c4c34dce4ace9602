"""Validate: folder of images → manifest, quarantine, data docs and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.common.artifacts.manifest import (
    COLUMNS,
    OK,
    QUARANTINED,
    read_manifest,
    write_manifest,
)
from components.common.artifacts.validation import write_validation
from components.common.errors import DarkroomError
from components.common.files.cells import shield_path, shield_text
from components.common.files.laid import check_memory, lay_down, lay_text, laying_in
from components.common.files.writing import write_text, writing, writing_folder
from components.common.images.listing import count_files
from components.common.terminal import Stopwatch, count_of, say
from components.validate.copies.compared import Compared
from components.validate.copies.copies import find_pictures
from components.validate.copies.sketchbook import Sketchbook
from components.validate.data_docs.page import render_page
from components.validate.data_docs.thumbnails import picture_contradictions
from components.validate.judgement.drift import compare_manifests, find_drift
from components.validate.judgement.expectations import CRITICAL, create_expectations
from components.validate.judgement.findings import describe_results, find_oddities
from components.validate.judgement.labels import find_corrected, find_lost_labels
from components.validate.judgement.remarks import find_remarks, take_remarks
from components.validate.judgement.shortcuts import find_shortcuts
from components.validate.judgement.signs import create_signs
from components.validate.judgement.suite import run_suite
from components.validate.judgement.verdict import create_verdict, describe_failure, sort_findings
from components.validate.layouts.classes import leave_out_small
from components.validate.layouts.corrections import apply_corrections, read_corrections
from components.validate.layouts.layout import Layout, read_layout
from components.validate.scan.confined import Limits
from components.validate.scan.scan import scan_files
from components.validate.spec import Inputs, Outputs, Params

if TYPE_CHECKING:
    import pandas as pd


# Memory, as docs/operations.md measures it: what each image takes, and what is taken without any.
IMAGE_BYTES, LEAST_BYTES = {"changed": 1500, "bytes": 800}, 300_000_000
ADVICE = "validate.copies: bytes takes 800 bytes each, and finds no changed copies"
NO_LABEL = "no label: neither class folder nor table names one"
# Columns of the manifest by which copies are found, and those that are judged of all images.
LOOKED_AT = ["path", "sha256", "width_px", "height_px", "exif_orientation"]
JUDGED = [
    "path",
    "label",
    "split",
    "group",
    "format",
    "mode",
    "width_px",
    "height_px",
    "brightness",
]


@dataclass(frozen=True)
class Scanned:
    """What was found in all files, in the order of their paths."""

    rows: pd.DataFrame  # of `scan_files`, with `path`
    book: Sketchbook


def run(
    inputs: Inputs,
    outputs: Outputs,
    params: Params,
    scanned: Scanned | None = None,
    compared: Compared | None = None,
) -> None:
    """Look at every file, judge the data, and fail where something critical is wrong.

    Verdict, quarantine and data docs are written in any case, so that a person can see why; the
    manifest, which later stages need, only if the data passes.

    Args:
        inputs: the images.
        outputs: what is written.
        params: settings.
        scanned: where others have looked at the files.
        compared: pairs of pictures that others have compared; it receives the others.
    """
    with laying_in(outputs.manifest.parent):
        _run(inputs, outputs, params, scanned, compared)


def _run(
    inputs: Inputs,
    outputs: Outputs,
    params: Params,
    scanned: Scanned | None,
    compared: Compared | None,
) -> None:
    watch = Stopwatch()
    check_memory(count_files(inputs.images), IMAGE_BYTES[params.copies], ADVICE, LEAST_BYTES)
    reference = Path(params.reference_manifest) if params.reference_manifest else None
    before = read_manifest(reference) if reference else None
    corrections = read_corrections(params.data.corrections)
    layout, place = read_layout(inputs.images, params), outputs.manifest.parent
    layout = replace(layout, files=lay_down(layout.files))
    for note in layout.notes:
        say(note)
    if scanned is None:
        scanned = scan_images(inputs.images, layout.files["path"], params, place)
    manifest, remarks = create_manifest(inputs.images, layout, params, scanned, compared)
    del scanned  # the sketches go with it
    manifest, corrected = apply_corrections(manifest, corrections, params.data.corrections)
    manifest["thumbnail"] = picture_contradictions(inputs.images, manifest)
    manifest = leave_out_small(manifest, params.classes.min_images, layout.notes)
    usable = _find_usable(manifest, layout.slices)
    _say_counts(manifest, usable, watch)

    signs = create_signs(manifest, params)
    expectations = create_expectations(params)
    with writing_folder(outputs.data_docs, "validate") as docs:
        results, results_page = run_suite(signs, expectations, docs)
        drift = compare_manifests(before, manifest, params.max_drift) if before is not None else []
        findings = sort_findings(
            [
                *describe_results(results, expectations, manifest, signs, params),
                *find_lost_labels(manifest, layout.notes),
                *find_corrected(corrected, usable),
                *find_oddities(usable, layout.slices, layout.empty_classes, params),
                *find_shortcuts(usable, params.max_class_shift),
                *find_remarks(remarks),
                *find_drift(drift),
            ]
        )
        verdict = create_verdict(manifest, results, findings, drift)
        verdict["corrections"] = corrected.as_json()
        page = render_page(inputs.images, verdict, manifest, results_page, params.examples_shown)
        write_text(docs / "index.html", page)
    with writing(outputs.quarantine) as temporary:
        rejected = manifest.loc[manifest["status"] != OK, ["path", "label", "reason"]].copy()
        shields = {"path": shield_path, "label": shield_text, "reason": shield_text}
        for name, shield in shields.items():
            rejected[name] = rejected[name].map(shield, na_action="ignore")
        rejected.to_csv(temporary, index=False)
    write_validation(outputs.validation, verdict)
    for finding in findings:
        if finding.kind == "layout":
            continue  # said at the start
        say(f"{finding.severity} · {finding.message}")
    front = outputs.data_docs / "index.html"
    if any(finding.severity == CRITICAL for finding in findings):
        raise DarkroomError(describe_failure(inputs.images, findings, front))
    write_manifest(outputs.manifest, manifest)
    say(f"{verdict['status'].replace('_', ' ')} ({watch}), see {front}")


def create_manifest(
    folder: Path,
    layout: Layout,
    params: Params,
    scanned: Scanned | None = None,
    compared: Compared | None = None,
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the manifest of a folder, a row a file, sorted by path; and what is said of some."""
    import pandas as pd

    scanned = scanned or scan_images(folder, layout.files["path"], params)
    rows = scanned.rows
    if not rows["path"].equals(layout.files["path"]):
        raise DarkroomError(
            f"{len(rows):,} files were looked at, and {len(layout.files):,} are there: not the "
            "same ones; run the whole pipeline again"
        )
    remarks = take_remarks(rows)
    manifest = pd.concat([layout.files, rows.drop(columns="path")], axis="columns")
    usable = manifest["status"] == OK
    told = manifest["path"].map(layout.rejected) if layout.rejected else None
    bare = manifest["label"] == ""
    rejected = usable & (bare if told is None else bare | told.notna())
    if rejected.any():
        why = pd.Series(NO_LABEL, manifest.index[rejected])
        if told is not None:
            why = told[rejected].fillna(NO_LABEL)
        manifest.loc[rejected, "status"] = QUARANTINED
        manifest.loc[rejected, "reason"] = why
    manifest["picture"] = _name_pictures(folder, manifest, params, scanned.book, compared)
    manifest["label_before"] = manifest["thumbnail"] = ""
    return manifest[[*COLUMNS, *layout.slices]], remarks


def _name_pictures(
    folder: Path,
    manifest: pd.DataFrame,
    params: Params,
    book: Sketchbook,
    compared: Compared | None,
) -> pd.Series:
    """Return the name of the picture that each usable image shows, empty for the other files."""
    usable = manifest["status"] == OK
    names = manifest["sha256"].where(usable, "")
    if params.copies == "changed":
        images = manifest[LOOKED_AT][usable]
        shown = find_pictures(folder, images, book, compared)
        moved = shown != np.arange(len(images))
        if moved.any():
            leader = images["sha256"].iloc[shown[moved]].to_numpy(object)
            names.loc[images.index[moved]] = leader
    return lay_text(names)


def _find_usable(manifest: pd.DataFrame, slices: Sequence[str]) -> pd.DataFrame:
    """Return the usable images, with what is judged of all of them together."""
    return manifest[[*JUDGED, *slices]][manifest["status"] == OK]


def scan_images(
    folder: Path, paths: pd.Series, params: Params, place: Path | None = None
) -> Scanned:
    """Return what is found in files, within the limits that the settings name.

    Args:
        folder: folder of images, or a listing of some.
        paths: files in it.
        params: settings.
        place: folder on whose disk the sketches lie meanwhile; None: that of temporary files.
    """
    book = Sketchbook(len(paths), place)
    rules, limits = find_rules(params), find_limits(params)
    rows = scan_files(folder, paths.array, **rules, limits=limits, book=book)
    rows.insert(0, "path", paths)
    return Scanned(rows, book)


def find_rules(params: Params) -> dict[str, Any]:
    """Return the settings by which `scan_files` judges a file."""
    names = ("min_side_px", "max_megapixels", "frames")
    return {name: getattr(params, name) for name in names}


def find_limits(params: Params) -> Limits:
    """Return what one file may cost."""
    return Limits(params.max_decode_seconds, params.max_decode_mb)


def _say_counts(manifest: pd.DataFrame, usable: pd.DataFrame, watch: Stopwatch) -> None:
    size = manifest["bytes"].sum() / 1e6
    say(
        f"{count_of(len(manifest), 'file')} read, {size:,.0f} MB ({watch}): {len(usable):,} usable "
        f"images of {usable['label'].nunique():,} classes"
    )
