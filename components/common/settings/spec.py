"""How a room declares what it reads, what it writes and what can be set.

A spec is stdlib-only, so that reading it costs nothing: ``--help``, the check of params.yaml and
the Kubeflow compiler all read specs without importing what a room works with.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from components.common.errors import DarkroomError

# MLflow takes 255 characters; the ledger's experiment adds a word, and folders are named after it.
MAX_NAME = 200


def param(default: Any, meaning: str) -> Any:
    """Declare a setting of params.yaml: its default, and its meaning with the unit."""
    if isinstance(default, (list, dict)):
        value = default
        return dataclasses.field(default_factory=value.copy, metadata={"help": meaning})
    return dataclasses.field(default=default, metadata={"help": meaning})


def section(kind: type, meaning: str) -> Any:
    """Declare a nested group of settings, a dataclass of its own."""
    return dataclasses.field(default_factory=kind, metadata={"help": meaning})


def shared(kind: type) -> Any:
    """Declare that a room also reads a top-level section of params.yaml, named as the field is."""
    return dataclasses.field(
        default_factory=kind, metadata={"help": (kind.__doc__ or "").strip(), "shared": True}
    )


def path(meaning: str, *, folder: bool = False, carried: bool = False, same_as: str = "") -> Any:
    """Declare a file or folder of a room's ``Inputs`` or ``Outputs``: a flag without default.

    Args:
        meaning: what it is.
        folder: of an output: it is a folder.
        carried: of an output: what an earlier run wrote there is read, and goes on in the new one.
        same_as: of an input: the output that it may also be; with all others it must be apart.
    """
    about = {"help": meaning, "folder": folder, "carried": carried, "same_as": same_as}
    return dataclasses.field(metadata=about)


def is_shared(field: dataclasses.Field[Any]) -> bool:
    """Whether a field of a room's ``Params`` comes from a top-level section of its own."""
    return bool(field.metadata.get("shared"))


@dataclass(frozen=True)
class Between:
    """The legal range of a number, ends included: ``Annotated[int, Between(1, 64)]``."""

    low: float
    high: float = float("inf")

    def check(self, value: Any) -> Any:
        """Return the value, or raise ValueError with the legal range."""
        if self.low <= value <= self.high and abs(value) != float("inf"):
            return value
        legal = (
            f"{self.low:g} or more"
            if self.high == float("inf")
            else f"{self.low:g} to {self.high:g}"
        )
        raise ValueError(f"must be {legal}")

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to apply :meth:`check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which also draws params.schema.json, the range."""
        ends = {"minimum": self.low} | ({} if self.high == float("inf") else {"maximum": self.high})
        return {**handler(core), **ends}


@dataclass(frozen=True)
class HexColour:
    """A colour as ``#rrggbb``: ``Annotated[str, HexColour()]``."""

    def check(self, value: str) -> str:
        """Return the value, or raise ValueError with the legal form."""
        if re.fullmatch("#[0-9a-fA-F]{6}", value):
            return value
        raise ValueError("must be a colour #rrggbb, such as #ffffff")

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to apply :meth:`check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which also draws params.schema.json, the form."""
        return {**handler(core), "pattern": "^#[0-9a-fA-F]{6}$"}


@dataclass(frozen=True)
class StoredName:
    """A name under which MLflow keeps something: ``Annotated[str, StoredName()]``."""

    more: str = ""  # signs that are legal too

    def check(self, value: str) -> str:
        """Return the value, or raise ValueError with the legal form."""
        signs = re.escape(self.more)
        is_plain = re.fullmatch(rf"[\w{signs}]([\w .{signs}-]*[\w.{signs}-])?", value)
        if is_plain and len(value) <= MAX_NAME:
            return value
        listed = " ".join(["-", "_", ".", *self.more])
        raise ValueError(
            f"must be 1 to {MAX_NAME} letters, digits, spaces and {listed}, with no space, - or . "
            "before them and no space behind"
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell pydantic, which checks params.yaml, to apply :meth:`check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


def check_name(value: str, setting: str) -> None:
    """Raise DarkroomError if a name, given elsewhere than in params.yaml, is none for MLflow."""
    try:
        StoredName().check(value)
    except ValueError as error:
        raise DarkroomError(f"{setting}: {value!r} is no legal name; it {error}") from None


# A table of no rows: the stage depends on the file, and DVC wants one that is there.
NO_CORRECTIONS = "components/validate/layouts/no_corrections.csv"

# On a cluster, where no such file is, the setting holds the table itself, packed.
EMBEDDED = "data:application/gzip;base64,"


@dataclass(frozen=True)
class Data:
    """The images: where they lie, and which of them show the same picture."""

    source: str = param(
        "data/images", "folder of images; `data/images` is the one that ingest fills"
    )
    corrections: str = param(
        NO_CORRECTIONS,
        "CSV file of the page reports/labels.html: labels that a person changed, images dropped; "
        "empty, or as it is: none",
    )
    near_duplicate_bits: Annotated[int, Between(0, 15)] = param(
        4,
        "an image is taken for a copy of one removed since the last split if their 64-bit "
        "perceptual hashes differ in no more bits",
    )


@dataclass(frozen=True)
class Mlflow:
    """Names on the MLflow server; its address comes from MLFLOW_TRACKING_URI."""

    experiment: Annotated[str, StoredName("/:@+()")] = param(
        "darkroom", "experiment that holds the runs"
    )
    registered_model: Annotated[str, StoredName()] = param("darkroom", "name in the model registry")


SHARED_SECTIONS = {"data": Data, "mlflow": Mlflow}
# Where files are read and records go changes no result: it is no part of what a run records.
PLACES = ("data.source", "data.corrections", "mlflow.experiment", "mlflow.registered_model")
