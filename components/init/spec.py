"""Look at a folder, an archive or a bucket, and write the settings that fit into params.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.common.settings.spec import path


@dataclass(frozen=True)
class Inputs:
    """What init reads."""

    source: str = path(
        "a folder of images; an archive, or its address https://, s3://, gs:// or hf://; a folder "
        "of such a store; or digits"
    )
    sections: Mapping[str, type] = path("the sections of params.yaml, and the keys of each")
    minutes: float | None = path("how long a run may take; None: as long as it wants")
    name: str = path("of the model and of its experiment; empty: that of the source")


@dataclass(frozen=True)
class Outputs:
    """What init writes."""

    params: Path = path("params.yaml: read, and written with other values in it")


@dataclass(frozen=True)
class Params:
    """Init has no section of params.yaml: it writes all others."""
