"""Bring images in: a bundled data set, an archive or a store → a folder of class folders."""

from dataclasses import dataclass
from pathlib import Path

from components.common.settings.addresses import refuse_secrets
from components.common.settings.spec import param, path


@dataclass(frozen=True)
class Inputs:
    """What ingest reads."""

    source: Path = path(
        "the folder that the pipeline reads its images from (data.source)", same_as="images"
    )


@dataclass(frozen=True)
class Outputs:
    """What ingest writes."""

    images: Path = path(
        "folder for the images; without any where `source` is another folder", folder=True
    )


@dataclass(frozen=True)
class Params:
    """Section `ingest` of params.yaml."""

    source: str = param(
        "digits",
        "`digits` (1,797 handwritten digits that scikit-learn ships), a tar, zip or 7z archive "
        "(a path, or an address https://, s3://, gs:// or hf://), or a folder of s3://, gs:// or "
        "hf://; no password or token in it",
    )
    sha256: str = param("", "sha256 of the archive, hex; an archive is refused without it")

    def __post_init__(self) -> None:
        """Refuse an address with a secret before anything is written."""
        refuse_secrets(self.source, "ingest.source")
