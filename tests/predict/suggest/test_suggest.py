"""`suggest` as a person types it: the list, the page, near-copies, bad images, hostile names."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.common.cli import run_room
from components.common.images.phash import read_phash
from components.common.serving.classifier import Classifier
from components.predict.suggest import ranking
from components.promote.registry.registry import Registry
from components.validate.scan.picture import inspect_file
from tests.predict.conftest import CLASSES
from tests.tiny_model import SIZE_PX, make_card, make_model

ROOT = Path(__file__).parents[3]

CLASS = '<b>&"=1'


def draw(file: Path, seed: int, size: tuple[int, int] = (48, 40)) -> Path:
    """Save a picture of soft blots."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8))
    file.parent.mkdir(parents=True, exist_ok=True)
    small.resize(size, Image.Resampling.BICUBIC).save(file, quality=92)
    return file


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A folder of 12 pictures, one of them twice, and a broken file."""
    folder = tmp_path / "pool"
    for seed in range(12):
        draw(folder / f"{seed:02d}.png", seed)
    draw(folder / "sub" / "03 again.jpg", 3, (96, 80))
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    return folder


def suggest(*words: object) -> None:
    run_room("predict", ["suggest", *map(str, words)])


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def outputs(folder: Path) -> tuple[object, ...]:
    return ("--output", folder / "s.csv", "--page", folder / "s.html")


def test_the_list_holds_what_the_model_doubts_most_and_no_copies(
    model: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suggest(pool, "--model", model, "--count", 30, *outputs(tmp_path))
    rows = read(tmp_path / "s.csv")
    said = capsys.readouterr().err
    names = [Path(row["path"]).name for row in rows]
    assert len(rows) == 12  # all there are: one of the two copies, and not the broken one
    assert len({"03.png", "03 again.jpg"} & set(names)) == 1
    assert "broken.jpg: not a readable image" in said
    assert "left out: 1 near-copies, 1 unreadable, 1 file skipped: 1 .txt" in said
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 13)]
    # The oracle: predict's own answers.
    for row in rows:
        sure = np.sort(Classifier(model).classify([Path(row["path"])]).probabilities[0])[::-1]
        assert float(row["probability"]) == pytest.approx(sure[0], abs=1e-3)
        assert float(row["worth"]) == pytest.approx(1 - sure[0] + sure[1], abs=1e-3)
    assert float(rows[0]["worth"]) == max(float(row["worth"]) for row in rows)

    suggest(pool, "--model", model, "--count", 3, *outputs(tmp_path))
    assert [row["path"] for row in read(tmp_path / "s.csv")] == [row["path"] for row in rows[:3]]


def test_features_are_what_the_logits_are_made_of(model: Path, pool: Path) -> None:
    classifier = Classifier(model, with_features=True)
    answers = classifier.classify([pool / "00.png", pool / "broken.jpg"])
    seen = classifier.decode(pool / "00.png").reshape(-1) / 127.5 - 1
    assert answers.features is not None
    assert answers.features.shape == (2, SIZE_PX * SIZE_PX * 3)
    assert answers.features[0] == pytest.approx(seen, abs=1e-5)
    assert np.isnan(answers.features[1]).all()
    assert Classifier(model).classify([pool / "00.png"]).features is None


def test_the_hash_is_about_the_manifests(pool: Path, tmp_path: Path) -> None:
    for number in range(40):
        file = draw(tmp_path / f"{number}.jpg", number, (640, 360 + 5 * number))
        row = inspect_file(str(file), 8, 100)
        differ = (int(row["phash"], 16) ^ int(read_phash(file), 16)).bit_count()
        assert differ <= 2, "near-copies of labelled photos would be asked for again"


def test_what_is_labelled_already_is_not_asked_for(model: Path, pool: Path, tmp_path: Path) -> None:
    known = [inspect_file(str(pool / f"{i:02d}.png"), 8, 100)["phash"] for i in range(5)]
    pd.DataFrame({"phash": known}).to_parquet(tmp_path / "manifest.parquet")
    words = ("--model", model, "--known", tmp_path / "manifest.parquet", *outputs(tmp_path))
    suggest(pool, *words)
    names = sorted(Path(row["path"]).name for row in read(tmp_path / "s.csv"))
    assert names == [f"{i:02d}.png" for i in range(5, 12)]


def test_what_is_like_nothing_known_comes_first(model: Path, pool: Path, tmp_path: Path) -> None:
    limits = {"decisions": {"unknown_above": -1e9}}
    (tmp_path / "metrics.json").write_text(json.dumps(limits))
    words = ("--model", model, "--metrics", tmp_path / "metrics.json", *outputs(tmp_path))
    suggest(pool, *words)
    assert {(row["unknown"], row["worth"]) for row in read(tmp_path / "s.csv")} == {
        ("true", "1.0000")
    }
    assert "like nothing known" in (tmp_path / "s.html").read_text()


def test_only_one_class_can_be_asked_for(
    model: Path, pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suggest(pool, "--model", model, "--of", CLASSES[0], *outputs(tmp_path))
    rows = read(tmp_path / "s.csv")
    assert rows
    assert all(CLASSES[0] in (row["label"], row["second"]) for row in rows)
    with pytest.raises(SystemExit):
        suggest(pool, "--model", model, "--of", "ca", *outputs(tmp_path))
    assert "did you mean `cat`?" in capsys.readouterr().err


def test_the_champion_is_asked_where_nothing_is_said(
    registered: Registry, pool: Path, tmp_path: Path
) -> None:
    suggest(pool, *outputs(tmp_path))
    assert len(read(tmp_path / "s.csv")) == 12


def test_the_champion_is_that_of_the_model_that_params_name(
    registered: Registry,
    pool: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        words.replace("registered_model: darkroom", "registered_model: zoo")
    )
    for command in (("suggest",), ("batch", "--output", "out")):
        with pytest.raises(SystemExit):
            run_room("predict", [*command, str(pool)])
        assert "zoo" in capsys.readouterr().err


def test_memory_is_bounded(
    model: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest(pool, "--model", model, "--count", 2, *outputs(tmp_path))
    whole = read(tmp_path / "s.csv")
    monkeypatch.setattr(ranking, "HELD_LEAST", 3)
    monkeypatch.setattr(ranking, "HELD_TIMES", 1)
    monkeypatch.setattr(ranking, "BATCH_SIZE", 2)
    held = []
    keep = ranking.Shortlist.keep
    monkeypatch.setattr(
        ranking.Shortlist,
        "keep",
        lambda self, rows: (held.append(len(self.candidates)), keep(self, rows))[1],
    )
    suggest(pool, "--model", model, "--count", 2, *outputs(tmp_path))
    assert 3 <= max(held) <= 6
    assert read(tmp_path / "s.csv")[0]["path"] == whole[0]["path"]  # what is worth most stays


def test_names_that_mean_harm_do_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make_model(tmp_path / "model.keras", make_card((CLASS, "=cmd()", "dog")))
    monkeypatch.chdir(tmp_path)
    names = ["=1+1.png", "@x.png", "<script>alert(1)</script>.png", "a\nb.png", '"><img src=x>.png']
    names = [name.replace("/", "∕") for name in names]
    for seed, name in enumerate(names):
        draw(Path("=pool") / name, seed)
    suggest("=pool", "--model", file, "--output", "s.csv", "--page", "s.html")
    rows = read(Path("s.csv"))
    assert {Path(row["path"]).name for row in rows} == set(names)
    assert all(Path(row["path"]).is_file() for row in rows)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    class Page(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.policy = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            found = dict(attrs)
            if found.get("http-equiv") == "Content-Security-Policy":
                self.policy = str(found["content"])
            assert not {"style", "onerror", "onclick"} & set(found)
            if tag == "img":
                assert str(found["src"]).startswith("data:image/jpeg;base64,")

    page, text = Page(), Path("s.html").read_text(encoding="utf-8")
    page.feed(text)
    assert page.tags.count("img") == len(names)
    assert not {"script", "link", "iframe", "b&"} & set(page.tags)
    # The policy lets in the page's own style and pictures, and nothing else.
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert page.policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert f"'sha256-{digest}'" in page.policy


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "no image of 1 could be read"),
        (["empty"], "no images in empty: nothing to choose among"),
        (["pool", "--count", "0"], "argument --count: '0': legal is a whole number, 1 to 100000"),
        (["pool", "--page", "s.csv"], "--page s.csv: that is --output"),
        (["pool", "--known", "none.parquet"], "none.parquet: no manifest there"),
        (["pool", "--metrics", "none.json"], "--metrics none.json: no such file"),
        (["pool", "--metrics", "pool/notes.txt"], "not evaluate's metrics.json"),
        (["pool", "--page", "mine.html"], "mine.html"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_written(
    words: list[str],
    told: str,
    *,
    model: Path,
    pool: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(pool.parent)
    Path("empty").mkdir()
    Path("mine.html").write_text("mine")
    before = {file: file.read_bytes() for file in pool.parent.rglob("*") if file.is_file()}
    with pytest.raises(SystemExit):
        suggest(*words, "--model", model, "--output", "s.csv")
    assert told in capsys.readouterr().err
    assert {f: f.read_bytes() for f in pool.parent.rglob("*") if f.is_file()} == before
