"""Validate: folder of images → manifest, quarantine, data docs and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from components.common.files.writing import write_text, writing, writing_folder
from components.common.terminal import Stopwatch, say
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
    watch = Stopwatch()
    reference = Path(params.reference_manifest) if params.reference_manifest else None
    before = read_manifest(reference) if reference else None
    corrections = read_corrections(params.data.corrections)
    layout = read_layout(inputs.images, params)
    for note in layout.notes:
        say(note)
    if scanned is None:
        paths, place = list(layout.files["path"]), outputs.manifest.parent
        scanned = scan_images(inputs.images, paths, params, place)
    manifest, remarks = create_manifest(inputs.images, layout, params, scanned, compared)
    del scanned  # the sketches go with it
    manifest, corrected = apply_corrections(manifest, corrections, params.data.corrections)
    manifest["thumbnail"] = picture_contradictions(inputs.images, manifest)
    manifest = leave_out_small(manifest, params.classes.min_images, layout.notes)
    usable = manifest[manifest["status"] == OK]
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
                *find_remarks(list(layout.files["path"]), remarks),
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
) -> tuple[pd.DataFrame, list[list[str]]]:
    """Return the manifest of a folder, a row a file, sorted by path; and what is said of each."""
    import pandas as pd

    paths = list(layout.files["path"])
    scanned = scanned or scan_images(folder, paths, params)
    rows = scanned.rows
    if list(rows.pop("path")) != paths:
        raise DarkroomError(
            f"{len(rows):,} files were looked at, and {len(paths):,} are there: not the same "
            "ones; run the whole pipeline again"
        )
    remarks = take_remarks(rows)
    manifest = pd.concat([layout.files, rows], axis="columns")
    usable = manifest["status"] == OK
    told = manifest["path"].map(layout.rejected)
    reasons = told.where(told.notna(), "no label: neither class folder nor table names one")
    rejected = usable & (told.notna() | (manifest["label"] == ""))
    manifest.loc[rejected, "status"] = QUARANTINED
    manifest.loc[rejected, "reason"] = reasons[rejected]
    usable = manifest["status"] == OK
    manifest["picture"] = ""
    manifest.loc[usable, "picture"] = (
        find_pictures(folder, manifest[usable], scanned.book, compared)
        if params.copies == "changed"
        else manifest.loc[usable, "sha256"]
    )
    manifest["label_before"] = manifest["thumbnail"] = ""
    return manifest[[*COLUMNS, *layout.slices]], remarks


def scan_images(
    folder: Path, paths: Sequence[str], params: Params, place: Path | None = None
) -> Scanned:
    """Return what is found in files, within the limits that the settings name.

    Args:
        folder: folder of images, or a listing of some.
        paths: files in it.
        params: settings.
        place: folder on whose disk the sketches lie meanwhile; None: that of temporary files.
    """
    book = Sketchbook(len(paths), place)
    rows = scan_files(folder, paths, **find_rules(params), limits=find_limits(params), book=book)
    rows.insert(0, "path", list(paths))
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
        f"{len(manifest):,} files read, {size:,.0f} MB ({watch}): {len(usable):,} usable images of "
        f"{usable['label'].nunique():,} classes"
    )
