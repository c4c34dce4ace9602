"""Sketches lie on disk, and what is found among them does not depend on what memory there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.validate.copies import candidates
from components.validate.copies.candidates import find_candidates
from components.validate.copies.sketch import (
    ALL,
    PARTS,
    SIZE,
    VIEWS,
    Box,
    draw_sketch,
    find_content,
)
from components.validate.copies.sketchbook import Sketchbook, Sketches

FULL = Path("/dev/full")  # of Linux: a disk without room


def draw(seed: int, size: tuple[int, int], border: int = 0) -> bytes:
    """Return the sketch of a random picture in a white border."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7), np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    framed = Image.new("L", (size[0] + 2 * border, size[1] + 2 * border), 255)
    framed.paste(picture, (border, border))
    return draw_sketch(framed, np.asarray(framed))


def test_pages_are_what_was_put_there(tmp_path: Path) -> None:
    book, sketches = Sketchbook(5, tmp_path), [draw(seed, (160, 120)) for seed in range(3)]
    book.put(3, sketches[:2])
    book.put(0, [sketches[2], b"", b""])
    pages = book.open()
    assert pages.shape == (5, SIZE)
    assert list(book.drawn) == [True, False, False, True, True]
    assert [page.tobytes() for page in pages[[3, 4, 0]]] == sketches
    assert not list(tmp_path.iterdir())  # it has no name, so that nothing stays of a killed run
    assert Sketchbook(0).open().shape == (0, SIZE)


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full here")
def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mapped memory would end the process without a word."""
    book = Sketchbook(2, tmp_path)
    with FULL.open("r+b", buffering=0) as full:
        monkeypatch.setattr(book, "_file", full)
        with pytest.raises(OSError, match="No space left"):
            book.put(0, [draw(0, (160, 120))])


def test_views_lie_where_they_are_drawn() -> None:
    sizes = np.array([(160, 120), (120, 160), (140, 140)])
    drawn = [draw(seed, (w - 40, h - 40), border=20) for seed, (w, h) in enumerate(sizes)]
    book = Sketchbook(3)
    book.put(0, drawn)
    order = np.array([2, 0, 1])
    sketches = Sketches(book.open(), order, sizes[order])
    for picture, row in enumerate(order):
        width, height = sizes[row]
        content: Box = (20 / width, 20 / height, 1 - 20 / width, 1 - 20 / height)
        found = sketches.get_boxes(np.full(VIEWS, picture), np.arange(VIEWS))
        np.testing.assert_allclose(found[:2], [ALL, content], atol=1e-6)
        side = min(width, height)
        wanted = [*PARTS]
        for kept in (
            side,
            0.875 * side,
        ):  # the square in the middle, and one a sixteenth further in
            x, y = (1 - kept / width) / 2, (1 - kept / height) / 2
            wanted.append((x, y, 1 - x, 1 - y))
        np.testing.assert_allclose(found[VIEWS - len(wanted) :], wanted, atol=1e-6)


def test_a_border_ends_where_lines_deviate_or_have_another_tone() -> None:
    """Sums of squares in float32 are those that NumPy reckons line by line."""
    rng = np.random.default_rng(0)
    for seed in range(40):
        luma = rng.integers(0, 256, (60, 90)).astype(np.float32)
        top, deviation = rng.integers(0, 12), rng.uniform(5, 11)
        luma[:top] = rng.normal(128, deviation, (top, 90)).round().clip(0, 255)
        plain = (luma.std(axis=1, dtype=np.float64) <= 8) & (
            np.abs(luma.mean(axis=1) - luma[0].mean()) <= 12
        )
        assert find_content(luma)[1] == pytest.approx(np.argmin(plain) / 60), seed


def test_finds_beyond_a_number_are_chosen_among_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 256, (4, 7, 7)).astype(float)
    book, count = Sketchbook(80), 80
    for number in range(count):
        coarse = kinds[number % 4] + rng.normal(0, 12, (7, 7))
        picture = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((160, 120))
        book.put(number, [draw_sketch(picture, np.asarray(picture))])
    sketches = Sketches(book.open(), np.arange(count), np.full((count, 2), (160, 120)))
    whole = find_candidates(sketches)
    monkeypatch.setattr(candidates, "MOST_FOUND", 100)
    often = find_candidates(sketches)
    assert len(whole) > 300
    pairs = [set(one[["first", "second"]].tolist()) for one in (whole, often)]
    assert len(pairs[0] & pairs[1]) >= 0.98 * len(pairs[0] | pairs[1])
