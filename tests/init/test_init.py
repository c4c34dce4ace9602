"""`python -m components.init` as a person types it, on folders, archives and what is none."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from components.common.cli import read_room_params, run_room
from components.init.sight import shorten
from tests.conftest import load_digits

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def write_digits(folder: Path, each: int, name: str = "{label}/{number}.png") -> Path:
    pixels, labels = load_digits()
    for label in (0, 1):
        for number, index in enumerate(np.flatnonzero(labels == label)[:each]):
            file = folder / name.format(label=f"digit-{label}", number=number)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[index]).resize((16, 16)).save(file)
    return folder


def read(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text())


def init(params: Path, capfd: pytest.CaptureFixture[str], *words: str) -> str:
    run_room("init", [*words, "--params", str(params)])
    read_room_params(params, "ingest")  # legal, whatever it wrote
    return capfd.readouterr().out


def test_photos_beside_the_project_are_not_taken_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project/data").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    Path("data/link").symlink_to(tmp_path / "photos")
    beside = str(tmp_path / "photos")
    for typed, told in {"../photos": beside, "data/../../photos": beside, "data/link": "data/link",
                        "./data": "data", "../project/data": "data"}.items():  # fmt: skip
        assert shorten(Path(typed)) == told


def test_a_folder_an_archive_and_the_folder_again(
    params: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = params.read_text()
    photos = write_digits(tmp_path / "My photos", 6, "{label}_{number}.png")
    said = init(params, capfd, str(photos), "--minutes", "9")
    found = read(params)
    assert found["data"]["source"] == str(photos)
    assert found["validate"]["layout"]["label_pattern"]
    assert found["mlflow"]["registered_model"] == "my-photos"
    assert found["promote"]["rules"][1]["at_least"] < 0.7
    assert "12 images of 2 classes: digit-0 6, digit-1 6" in said
    assert "promote.rules.1.at_least: 0.7 → " in said
    assert "next:" in said
    assert "models:/my-photos@champion" in said
    # What was chosen for these photos is not left to others.
    archive = shutil.make_archive(
        str(tmp_path / "set"), "zip", write_digits(tmp_path / "made", 170), "."
    )
    init(params, capfd, archive)
    found = read(params)
    sha256 = hashlib.sha256(Path(archive).read_bytes()).hexdigest()
    assert found["ingest"] == {"source": archive, "sha256": sha256}
    assert found["data"]["source"] == "data/images"
    assert found["validate"]["layout"]["label_pattern"] == ""
    assert found["train"]["budget_minutes"] == 0
    assert found["promote"]["rules"][1]["at_least"] == 0.7
    init(params, capfd, "digits")
    assert params.read_text() == before


def test_what_somebody_set_stays(
    params: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = write_digits(tmp_path / "photos", 6)
    own = params.read_text().replace("test_fraction: 0.15", "test_fraction: 0.2 # mine")
    own = own.replace("registered_model: darkroom", "registered_model: ours")
    params.write_text(own)
    init(params, capfd, str(photos))
    text = params.read_text()
    assert "  test_fraction: 0.2 # mine\n" in text
    assert "  registered_model: ours\n" in text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere", "neither a folder nor a file"),
        ("empty", "no images in it"),
        ("photos.zip", "not a tar or zip archive"),
        ("data/images", "is what the stages write"),
        ("https://me:word@host/a.zip", "holds a user or password"),
        ("https://[::1/a.zip", "is no address (Invalid IPv6 URL)"),
        ("https://host:99999/a.zip", "is no address (Port out of range"),
    ],
)
def test_what_is_of_no_use_is_told_in_a_line_and_changes_nothing(
    source: str, words: str, params: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = params.read_text()
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos.zip").write_bytes(b"no archive")
    given = str(tmp_path / source) if (tmp_path / source).exists() else source
    with pytest.raises(SystemExit) as end:
        init(params, capfd, given)
    assert end.value.code == 1
    told = capfd.readouterr().err
    assert words in told
    assert told.count("error: ") == 1
    assert params.read_text() == before


@pytest.mark.slow
def test_once_more_changes_nothing_and_what_dvc_keeps_is_pulled(
    params: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = write_digits(tmp_path / "photos", 6)
    init(params, capfd, str(photos))
    before = params.read_text()
    assert f"{params} fits as it is" in init(params, capfd, str(photos))
    assert params.read_text() == before
    (tmp_path / "gone.dvc").touch()
    with pytest.raises(SystemExit):
        init(params, capfd, str(tmp_path / "gone"))
    assert "dvc pull brings it" in capfd.readouterr().err
