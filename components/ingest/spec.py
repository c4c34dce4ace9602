"""Bring images in: a bundled data set or an archive → a folder of class folders."""

from dataclasses import dataclass
from pathlib import Path

from components.common.settings.spec import param, path


@dataclass(frozen=True)
class Inputs:
    """What ingest reads."""

    source: Path = path("the folder that the pipeline reads its images from (data.source)")


@dataclass(frozen=True)
class Outputs:
    """What ingest writes."""

    images: Path = path("folder for the images; without any where `source` is another folder")


@dataclass(frozen=True)
class Params:
    """Section `ingest` of params.yaml."""

    source: str = param(
        "digits",
        "`digits` (1,797 handwritten digits that scikit-learn ships), or a tar, zip or 7z archive: "
        "a path or an http(s) address",
    )
    sha256: str = param("", "sha256 of the archive, hex; an archive is refused without it")
