"""What is a picture, and what the others are called; how large one may be."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.errors import DarkroomError
from components.common.images.formats import is_heic, name_kind, open_image
from components.common.images.pixels import ImageForm, find_images, read_pixels
from tests.heic import HEIC, LEFT, RIGHT
from tests.processes import run_python

FORM = ImageForm(32, "stretch", "#ffffff", srgb=True, grey_window=())


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_heic_is_read(tmp_path: Path) -> None:
    (tmp_path / "IMG_0001.HEIC").write_bytes(HEIC)
    assert find_images(tmp_path) == [tmp_path / "IMG_0001.HEIC"]
    for source in (HEIC, tmp_path / "IMG_0001.HEIC"):
        pixels = read_pixels(source, FORM).astype(int)
        assert np.abs(pixels[:, :15] - LEFT).max() <= 6
        assert np.abs(pixels[:, 17:] - RIGHT).max() <= 6


def test_heic_without_its_decoder_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(DarkroomError, match=r"image: a HEIC picture.*`pip install pi-heif`"):
        read_pixels(HEIC, FORM)


def test_avif_is_no_heic() -> None:
    data = encode(Image.new("RGB", (64, 64), "red"), "AVIF")
    assert not is_heic(data[:64])
    assert is_heic(HEIC[:64])
    # The same file under the brand that both share: what is compatible tells.
    shared = data[:8] + b"mif1" + data[12:16] + b"avif" + data[20:]
    assert not is_heic(shared[:64])


@pytest.mark.parametrize(
    ("data", "kind", "name"),
    [
        (b"\xff\x0a" + bytes(90), "unknown format", "JPEG XL"),
        (b"8BPS\0\x01" + bytes(90), "unknown format", "Photoshop"),
        (b"FUJIFILMCCD-RAW 0201", "unknown format", "raw"),
        (b"II*\0\x10\0\0\0CR\x02\0", "unknown format", "raw"),
        (bytes(128) + b"DICM" + bytes(90), "unknown format", "DICOM"),
        (b"II*\0\x08\0\0\0" + bytes(90), "unknown format", "TIFF"),
        (HEIC[:50], "damaged", "HEIC"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "damaged", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "damaged", "PNG"),
        (b"%PDF-1.7\n", "not an image", "PDF"),
        (b"\0\0\0\x18ftypmp42" + bytes(90), "not an image", "video"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg>", "not an image", "SVG"),
        (b"\n <!DOCTYPE html><p>404", "not an image", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not an image", "Git LFS"),
        (b"cat,dog\n", "not an image", "none of JPEG"),
        (b"", "not an image", "none of JPEG"),
    ],
)
def test_what_is_not_decoded_is_named(data: bytes, kind: str, name: str) -> None:
    found, detail = name_kind(data)
    assert found == kind
    assert name in detail


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DarkroomError, match=r"pipe\.jpg: a pipe, socket or device, not a file"):
        read_pixels(tmp_path / "pipe.jpg", FORM)
    with pytest.raises(DarkroomError, match="a folder, not a file"):
        read_pixels(tmp_path, FORM)


def write_png(file: Path, width: int, height: int, channels: int) -> None:
    """Write a black PNG of any size, without holding it in memory."""
    packer, row = zlib.compressobj(1), bytes(1 + width * channels)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    kind = {1: 0, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    with file.open("wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for name, data in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")):
            stream.write(struct.pack(">I", len(data)) + name + data)
            stream.write(struct.pack(">I", zlib.crc32(name + data)))


def test_photos_of_108_megapixels_are_taken_in_bounded_memory(tmp_path: Path) -> None:
    """Transparent, so that it would be copied four times: 4 bytes a pixel are 0.4 GB each."""
    write_png(tmp_path / "a.png", 12_000, 9_000, 4)
    code = (
        "import re, sys, pathlib\n"
        "from dataclasses import replace\n"
        "from components.common.images.pixels import ImageForm, read_pixels\n"
        "from components.validate.scan.picture import inspect_file\n"
        "form = ImageForm(64, 'crop', '#336699', srgb=True, grey_window=(), max_pixels=10**8 * 2)\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "assert (read_pixels(file, form) == (0x33, 0x66, 0x99)).all()\n"
        "assert inspect_file(str(file), 8, 120)['status'] == 'ok'\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) >> 10)\n"
    )
    assert int(run_python(code, tmp_path / "a.png")) < 900
    with pytest.raises(DarkroomError, match="more than the 89 million"):
        open_image(tmp_path / "a.png")
