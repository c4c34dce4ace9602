"""Photos as cameras and phones make them, through the whole room: taken, and said how."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.common.artifacts.manifest import read_manifest
from components.validate.judgement.remarks import find_remarks
from components.validate.run import run
from components.validate.spec import Inputs, Outputs, Params
from tests.heic import HEIC
from tests.profiles import BLUE, GREEN, RED, rgb


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of six plain photos each, and one of each odd kind beside them."""
    folder = tmp_path / "images"
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            photo = Image.fromarray(noise(number + ord(label[0])))
            (folder / label / f"{number}.png").write_bytes(encode(photo))
    photo = Image.fromarray(noise(500))
    deep = Image.fromarray(noise(501)[..., 0].astype(np.uint16) * 16)
    frames = [Image.fromarray(noise(502 + number)) for number in range(2)]
    for name, data in {
        "phone.heic": HEIC,
        "apple.jpg": encode(photo, "JPEG", icc_profile=rgb((BLUE, GREEN, RED), 2.2)),
        "broken.jpg": encode(Image.fromarray(noise(510)), "JPEG", icc_profile=b"no profile"),
        "xray.tif": encode(deep, "TIFF"),
        "moving.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    }.items():
        (folder / "cat" / name).write_bytes(data)
    return folder


def validate(images: Path, frames: str) -> tuple[dict, dict]:
    """Return the findings by kind, and path → row of the manifest."""
    place = images.parent
    outputs = Outputs(place / "m.parquet", place / "v.json", place / "q.csv", place / "docs")
    run(Inputs(images), outputs, Params(frames=frames, max_quarantined=0.5))
    verdict = json.loads(outputs.validation.read_text())
    rows = read_manifest(outputs.manifest).set_index("path").to_dict("index")
    return {finding["kind"]: finding for finding in verdict["findings"]}, rows


def test_all_are_taken_and_it_is_said_how(images, capsys):
    found, rows = validate(images, "first")
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert (rows["cat/phone.heic"]["format"], rows["cat/phone.heic"]["width_px"]) == ("HEIF", 48)
    assert found["first frame"]["examples"] == ["cat/moving.gif"]
    assert found["grey range"]["examples"] == ["cat/xray.tif"]
    assert "0 to 4080" in found["grey range"]["message"]
    assert "preprocess.grey_window: [0, 4095]" in found["grey range"]["advice"]
    assert found["colour profile"]["examples"] == ["cat/apple.jpg"]
    assert found["profile ignored"]["examples"] == ["cat/broken.jpg"]
    assert found["profile ignored"]["severity"] == "warning"
    assert "misnamed" not in found
    assert "each is spread from its own least" in capsys.readouterr().out


def test_by_default_only_the_animation_is_left_out(images):
    found, rows = validate(images, "reject")
    assert [path for path, row in rows.items() if row["status"] != "ok"] == ["cat/moving.gif"]
    assert "first frame" not in found


def test_many_remarks_are_counted_and_a_few_shown():
    remarks = {f"{number}.tif": [f"grey range: 0 to {number}"] for number in range(30)}
    (finding,) = find_remarks(remarks)
    assert (finding.count, len(finding.examples)) == (30, 20)
    assert finding.message.endswith(": 30 (0 to 0; 0 to 1; 0 to 2; …)")
