"""Make small archives of real images, whole and hostile."""

from __future__ import annotations

import io
import shutil
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.files.ownership import STAMP


def encode_png(shade: int = 128) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((9, 9, 3), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def make_tar(file: Path, contents: dict[str, bytes | tarfile.TarInfo], mode: str = "w") -> Path:
    """Write a tar of name → content; a TarInfo stands for a link, a device …, without content."""
    with tarfile.open(file, mode) as tar:
        for name, content in contents.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                tar.addfile(info)
    return file


def make_zip(file: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file


def make_link(target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def list_files(folder: Path) -> list[str]:
    """Return the files of a folder, without the list that Darkroom keeps of what it wrote."""
    found = (f for f in folder.rglob("*") if f.is_file() and f.name != STAMP)
    return sorted(f.relative_to(folder).as_posix() for f in found)


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no program {program} here (Debian: apt-get install {program})")


def write_files(place: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(encode_png(number))
    return place


# A name with umlauts as Windows and Linux (NFC) and as macOS (NFD) hand it to a program.
UMLAUTS = [unicodedata.normalize(form, "Äpfel/größe ß.png") for form in ("NFC", "NFD")]
