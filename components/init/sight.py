"""What ingest and validate say of a source; rooms are asked as a person asks them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from components.common.errors import DarkroomError
from components.common.files.ownership import is_inside
from components.common.files.writing import read_json
from components.common.settings.addresses import hide_secrets, is_address, refuse_secrets

FILLED = Path("data/images")  # what ingest fills
# What stages write: photos that lie there would be taken for theirs.
WRITTEN = (FILLED, Path("data/shards"), Path("models"), Path("reports"))
TOLD = 1  # exit code of a room that has said on stderr what is wrong


class ToldError(DarkroomError):
    """Another room has said it already."""


@dataclass(frozen=True)
class Sight:
    """A source, as far as its names and a few of its files say it."""

    name: str  # what a person calls it
    folder: str  # data.source
    ingest: dict[str, str]  # what ingest is told; empty where images are read where they lie
    classes: dict[str, dict[str, int]]  # class → split, empty where none is given → images
    groups: int = 0
    shorter_px: int | None = None  # median of the shorter sides; None: unknown
    settings: dict[str, tuple[Any, str]] = field(default_factory=dict)  # dotted key → value, why

    @property
    def images(self) -> int:
        """Images of all classes."""
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Class → images."""
        return {name: sum(splits.values()) for name, splits in self.classes.items()}

    def count_split(self, split: str) -> int:
        """Return the images of a given split."""
        return sum(splits.get(split, 0) for splits in self.classes.values())


def see(source: str, params: Path) -> Sight:
    """Look at a source, and let the rooms that know such say what they see.

    Args:
        source: as a person gives it.
        params: the settings by which validate reads names and tables.

    Raises:
        DarkroomError: if there is nothing of that name, or it is of no use; ToldError, if the room
            that was asked has said so.
    """
    refuse_secrets(source, "the source")
    local = Path(source.removeprefix("file://")).expanduser()
    with tempfile.TemporaryDirectory(prefix="darkroom-init-") as made:
        answer = Path(made, "sight.json")
        if not is_address(source) and source != "digits":
            refuse_written(local)
            if not local.exists():
                if local.with_name(f"{local.name}.dvc").is_file():
                    raise DarkroomError(f"{source}: kept by DVC, and not here; dvc pull brings it")
                raise DarkroomError(
                    f"{source}: neither a folder nor a file; name a folder of images, an archive, "
                    "or an address of one, or `digits`, which come with scikit-learn"
                )
            if local.is_dir():
                _ask("validate", "look", str(local), "--params", str(params), "--json", str(answer))
                return _join(read_json(answer), local.resolve().name, shorten(local), {})
        outline, facts = Path(made, "photos"), Path(made, "facts.json")
        _ask("ingest", "outline", _make_plain(source, local), "--folder", str(outline),
             "--facts", str(facts))  # fmt: skip
        _ask("validate", "look", str(outline), "--params", str(params), "--json", str(answer),
             "--outline", str(facts))  # fmt: skip
        told = read_json(facts)
        name = local.name
        if is_address(source):
            address = urlsplit(hide_secrets(source))
            name = PurePosixPath(unquote(address.path)).name or address.netloc
        ingest = {"source": str(told["source"]), "sha256": str(told["sha256"])}
        return _join(read_json(answer), name, FILLED.as_posix(), ingest)


def refuse_written(folder: Path) -> None:
    """Raise DarkroomError if a folder of photos is, holds or lies in what stages write."""
    for written in WRITTEN:
        if is_inside(folder, written) or is_inside(written, folder):
            raise DarkroomError(
                f"{folder}: {written} is what the stages write, and photos of your own belong into "
                "a folder that none of them does; copy them to data/photos and name that"
            )


def shorten(path: Path) -> str:
    """Return a path as params.yaml says it: relative inside the project, else absolute."""
    # A link in the project leads where it likes; ../photos begins with the project's own path.
    whole, here = path.resolve() if ".." in path.parts else path.absolute(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.as_posix()


def _make_plain(source: str, local: Path) -> str:
    return source if is_address(source) or source == "digits" else shorten(local)


def _ask(room: str, *words: str) -> None:
    """Run a command of another room; what it says goes where our words go."""
    done = subprocess.run([sys.executable, "-m", f"components.{room}", *words], check=False)  # noqa: S603
    if done.returncode == TOLD:
        raise ToldError(f"{room} has said why")
    if done.returncode:
        raise DarkroomError(
            f"{room} ended with code {done.returncode} while it looked at {words[1]}"
        )


def _join(seen: dict[str, Any], name: str, folder: str, ingest: dict[str, str]) -> Sight:
    parts = (seen["classes"], seen["groups"], seen["shorter_px"], seen["settings"])
    return Sight(name, folder, ingest, *parts)
