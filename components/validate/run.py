"""Validate: folder of images → manifest, quarantine, expectations with their site, and a verdict."""

from __future__ import annotations

from components.common.errors import DarkroomError
from components.common.files import write_json, writing, writing_folder
from components.common.manifest import COLUMNS, OK, write_manifest
from components.common.terminal import Stopwatch, say
from components.validate.expectations import run_expectations
from components.validate.findings import find_oddities
from components.validate.layout import read_layout
from components.validate.scan import scan_files
from components.validate.signs import add_signs
from components.validate.spec import Inputs, Outputs, Params
from components.validate.verdict import create_verdict, describe_failure


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Look at every file, judge the data, and fail where a critical expectation is not met.

    The verdict, the quarantine and the site are written in any case, so that a person can see why; the
    manifest, which later stages need, only if the data passes.
    """
    import pandas as pd

    watch = Stopwatch()
    layout = read_layout(inputs.images)
    if layout.empty_classes:
        raise DarkroomError(
            f"{inputs.images}: no files in class folder {', '.join(layout.empty_classes)}; add images or "
            "remove the folder"
        )
    scanned = scan_files(inputs.images, list(layout.files["path"]), params.min_side_px)
    manifest = layout.files.merge(pd.DataFrame(scanned), on="path")
    manifest = manifest[[*COLUMNS, *(c for c in manifest.columns if c not in COLUMNS)]]
    rejected = manifest[manifest["status"] != OK]
    say(f"{len(manifest):,} files, {len(rejected):,} rejected ({watch})")
    with writing(outputs.quarantine) as temporary:
        rejected[["path", "label", "reason"]].to_csv(temporary, index=False)
    if len(rejected) == len(manifest):
        raise DarkroomError(
            f"{inputs.images}: no usable image; {outputs.quarantine} says why, such as "
            f"{rejected['path'].iloc[0]}: {rejected['reason'].iloc[0]}"
        )
    usable = add_signs(manifest, params)
    with writing_folder(outputs.data_docs) as docs:
        results = run_expectations(manifest, usable, params, docs)
    findings = find_oddities(usable, params)
    verdict = create_verdict(manifest, results, findings)
    write_json(outputs.validation, verdict)
    for line in verdict["summary"]:
        say(line)
    if verdict["status"] == "failed":
        raise DarkroomError(describe_failure(inputs.images, results, usable, params))
    write_manifest(outputs.manifest, manifest)
    say(f"{verdict['status']}: {outputs.data_docs / 'index.html'} ({watch})")
