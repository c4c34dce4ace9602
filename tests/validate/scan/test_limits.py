"""Files that are made to exhaust time or memory are told and cost no more than they may."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from components.common.artifacts.manifest import OK, QUARANTINED
from components.common.errors import DarkroomError
from components.common.images import formats
from components.common.images.formats import MAX_PASSES, count_passes, refuse_endless
from components.common.images.pixels import ImageForm, read_pixels
from components.validate.scan.confined import Limits
from components.validate.scan.scan import scan_files
from tests.processes import run_python

ROOT = Path(__file__).parents[3]
FORM = ImageForm(32, "crop", "#ffffff")


def encode(kind: str, side: int = 160, **options: object) -> bytes:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    stream = io.BytesIO()
    coarse.resize((side, side), Image.Resampling.BICUBIC).save(stream, kind, **options)
    return stream.getvalue()


def write_png(width: int, height: int) -> bytes:
    """Return a black picture that this process never held: it would leave the memory free."""
    packer, rows = zlib.compressobj(1), bytes(width + 1)
    packed = b"".join(packer.compress(rows) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    )


def add_passes(photo: bytes, count: int) -> bytes:
    """Repeat the last pass of a progressive JPEG, which says what was said already."""
    start = photo.rindex(b"\xff\xda")
    return photo[:-2] + photo[start:-2] * count + photo[-2:]


PROGRESSIVE = encode("JPEG", progressive=True)


def scan(tmp_path: Path, limits: Limits | None = None, **files: bytes) -> dict[str, str]:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    rows = scan_files(tmp_path, list(files), 8, 400, limits=limits)
    assert set(rows["status"]) <= {OK, QUARANTINED}
    return dict(zip(files, rows["reason"], strict=True))


def test_a_jpeg_of_endless_passes_is_refused_undecoded(tmp_path: Path) -> None:
    usual = count_passes(PROGRESSIVE)
    assert 2 < usual <= 12
    endless = add_passes(PROGRESSIVE, 5000)
    assert count_passes(endless) == usual + 5000
    began = time.monotonic()
    found = scan(tmp_path, good=PROGRESSIVE, endless=endless)
    with pytest.raises(DarkroomError, match=rf"{usual + 5000:,} passes"):
        read_pixels(endless, FORM)
    assert time.monotonic() - began < 5
    assert found["good"] == ""
    assert found["endless"].startswith(f"too slow: a JPEG of {usual + 5000:,} passes")


def test_a_film_behind_a_photo_is_no_pass(tmp_path: Path) -> None:
    film = np.random.default_rng(0).bytes(1000) + b"\xff\xda" * (2 * MAX_PASSES)
    refuse_endless(PROGRESSIVE + film)
    (tmp_path / "a.jpg").write_bytes(PROGRESSIVE + film)
    refuse_endless(tmp_path / "a.jpg")
    assert count_passes(PROGRESSIVE + film) == count_passes(PROGRESSIVE)


def test_a_decoder_that_takes_too_long_is_ended_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MAX_PASSES", 10**6)
    large = encode("JPEG", 2000, progressive=True)
    slow = add_passes(large, 3000)
    found = scan(tmp_path, Limits(seconds=1), a=PROGRESSIVE, slow=slow, z=PROGRESSIVE)
    assert found["slow"].startswith("too slow: more than 1 s of a core to decode it")
    assert found["a"] == found["z"] == ""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is kept on Linux")
def test_a_decoder_that_wants_too_much_memory_is_told(tmp_path: Path) -> None:
    huge = write_png(20_000, 12_000)
    (tmp_path / "good").write_bytes(PROGRESSIVE)
    (tmp_path / "huge").write_bytes(huge)
    # In a process of its own: what this one has used and freed, its children may use again.
    code = (
        "import sys; from pathlib import Path\n"
        "from components.validate.scan.confined import Limits\n"
        "from components.validate.scan.scan import scan_files\n"
        "limits = Limits(memory_mb=100)\n"
        "rows = scan_files(Path(sys.argv[1]), ['good', 'huge'], 8, 400, limits=limits)\n"
        "print(*rows['reason'], sep='|')"
    )
    assert run_python(code, tmp_path).startswith("|too large: more memory to decode it than")


def test_no_worker_outlives_a_killed_stage(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").write_bytes(encode("PNG", 700))
    code = (
        "import sys; from pathlib import Path\n"
        "from components.validate.scan.scan import scan_files\n"
        "f = Path(sys.argv[1]); scan_files(f, [p.name for p in f.iterdir()] * 400, 8, 400)"
    )
    stage = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    workers: list[psutil.Process] = []
    while not workers:
        assert stage.poll() is None
        time.sleep(0.05)
        workers = psutil.Process(stage.pid).children()
    os.kill(stage.pid, signal.SIGKILL)
    stage.wait()
    assert psutil.wait_procs(workers, timeout=10)[1] == []
