"""A manifest made by hand, so that preprocess is tested without validate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from components.common.artifacts.manifest import COLUMNS, OK, write_manifest
from components.common.files.writing import compute_sha256
from components.common.images.pixels import find_images
from components.preprocess.spec import Outputs


@pytest.fixture
def make_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the manifest of a folder of class folders."""

    def make(images: Path, **columns: object) -> Path:
        rows = []
        for file in find_images(images):
            with Image.open(file) as image:
                width, height = image.size
            rows.append(
                {
                    "path": file.relative_to(images).as_posix(),
                    "label": file.parent.name,
                    "sha256": compute_sha256(file),
                    "bytes": file.stat().st_size,
                    "width_px": width,
                    "height_px": height,
                    "split": "",
                    "phash": "",
                    "group": "",
                    "status": OK,
                }
            )
        manifest = pd.DataFrame(rows).reindex(columns=list(COLUMNS)).assign(**columns)
        write_manifest(tmp_path / "manifest.parquet", manifest)
        return tmp_path / "manifest.parquet"

    return make


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "out" / "splits.parquet", tmp_path / "out" / "shards")
