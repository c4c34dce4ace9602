"""Copies, however changed, are one picture; pictures of like things are not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from components.validate.copies.alignment import align, create_grid, sample
from components.validate.copies.compared import Compared, join_compared
from components.validate.copies.copies import find_pictures
from components.validate.copies.orientations import ORIENTATIONS, orient_frequencies, orient_pixels
from components.validate.copies.sketch import BASE_PX, compute_frequencies, create_waves
from components.validate.copies.sketchbook import Sketchbook
from components.validate.scan.scan import scan_files
from tests.validate.copies.kinds import KINDS, save, write_below


@cache
def load_photos() -> list[Image.Image]:
    """Return 18 different views, 106 × 80 px, of scikit-learn's photograph of a temple."""
    from sklearn.datasets import load_sample_image

    photo = Image.fromarray(load_sample_image("china.jpg"))  # 640 × 427; the sky is above
    return [
        photo.crop((x, y, x + 106, y + 80)) for x in range(0, 636, 106) for y in (187, 267, 347)
    ]


def draw_part(seed: int) -> Image.Image:
    """Draw a flange as a camera over a belt sees it: each a little elsewhere, light and noise."""
    rng = np.random.default_rng(seed)
    part = Image.new("RGB", (320, 320), (150, 150, 150))
    draw = ImageDraw.Draw(part)
    x, y = 160 + rng.uniform(-6, 6, 2)
    draw.circle((x, y), 105 + rng.uniform(-2, 2), fill=(90, 92, 95))
    draw.circle((x, y), 38 + rng.uniform(-2, 2), fill=(160, 160, 158))
    turn = rng.uniform(-0.2, 0.2)
    for hole in range(6):
        angle = turn + hole * np.pi / 3
        draw.circle((x + 70 * np.cos(angle), y + 70 * np.sin(angle)), 10, fill=(45, 45, 45))
    for _ in range(3):
        start = np.array([x, y]) + rng.uniform(-80, 80, 2)
        draw.line((*start, *(start + rng.uniform(-30, 30, 2))), fill=(210, 210, 210), width=2)
    pixels = np.asarray(part.filter(ImageFilter.GaussianBlur(1)), np.float32)
    pixels += rng.normal(0, 4, (320, 320, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def find(folder: Path, images: dict[str, Image.Image]) -> pd.Series:
    """Write images, and return the picture that validate finds each to show, by name."""
    for name, image in images.items():
        image.save(folder / f"{name}.png")
    names = [f"{name}.png" for name in images]
    rows, book = look(folder, names)
    assert (rows["status"] == "ok").all(), rows["reason"].tolist()
    return pd.Series(find_pictures(folder, rows, book), index=list(images))


def look(folder: Path, names: list[str]) -> tuple[pd.DataFrame, Sketchbook]:
    """Return what validate finds in files, and their sketches."""
    book = Sketchbook(len(names), folder)
    found = scan_files(folder, names, 8, 120, book=book)
    return pd.concat([pd.Series(names, name="path"), found], axis=1), book


def test_each_kind_of_copy_is_its_original_and_no_other(tmp_path):
    photos = load_photos()
    images = {f"{i}": photo for i, photo in enumerate(photos)}
    for number, change in enumerate(KINDS.values()):
        images |= {f"{i} {number}": change(photos[i]) for i in range(number % 3, 18, 3)}
    pictures = find(tmp_path, images)
    original = pd.Series([name.split()[0] for name in images], index=pictures.index)
    assert pictures[list(map(str, range(18)))].is_unique
    assert (original.groupby(pictures).nunique() == 1).all()
    missed = pictures != original.map(pictures)
    kinds = [list(KINDS)[int(name.split()[1])] for name in missed.index[missed]]
    assert len(kinds) <= 0.05 * (len(images) - 18), kinds


@pytest.mark.slow
def test_like_parts_are_many_pictures_and_their_copies_are_theirs(tmp_path):
    parts = {f"{seed}": draw_part(seed) for seed in range(40)}
    copies = {"turned": parts["3"].transpose(Image.Transpose.ROTATE_90), "saved": save(parts["7"])}
    copies["below"] = write_below(parts["11"], 0.1)
    copies["high"] = write_below(parts["15"], 0.17)
    copies["above"] = ImageOps.flip(write_below(ImageOps.flip(parts["19"]), 0.07))
    pictures = find(tmp_path, parts | copies)
    assert pictures[list(parts)].is_unique
    assert pictures[["below", "high", "above"]].tolist() == pictures[["11", "15", "19"]].tolist()
    assert pictures["turned"] == pictures["3"]
    assert pictures["saved"] == pictures["7"]


def test_another_colour_is_another_thing(tmp_path):
    photos = load_photos()[6:12]
    images = {f"{i}": photo for i, photo in enumerate(photos)}
    for i, photo in enumerate(photos):
        hue, saturation, value = photo.convert("HSV").split()
        shifted = Image.merge("HSV", (hue.point(lambda h: (h + 90) % 256), saturation, value))
        images[f"{i} other"] = shifted.convert("RGB")
    assert find(tmp_path, images).is_unique


def test_names_of_exports_tell_what_was_made_of_one_photo(tmp_path):
    noise = np.random.default_rng(0)
    names = [f"{photo}_jpg.rf.{'0123456789abcdef'[i] * 32}" for photo in "ab" for i in range(6)]
    names += [f"cats_original_c.jpg_0000000{i}-0000-4000-8000-000000000000" for i in range(3)]
    images = {
        name: Image.fromarray(noise.integers(0, 256, (48, 48, 3), np.uint8)) for name in names
    }
    pictures = find(tmp_path, images)
    photo = pd.Series([name[0] for name in names], index=names)
    assert pictures.nunique() == 3
    assert (photo.groupby(pictures).nunique() == 1).all()


def test_pairs_that_were_compared_are_not_read_again(tmp_path):
    """Every night read again what may be copies, of like things a third of all images."""
    parts = {f"{seed}": draw_part(seed) for seed in range(8)} | {"saved": save(draw_part(7))}
    for name, image in parts.items():
        image.save(tmp_path / f"{name}.png")
    names = [f"{name}.png" for name in parts]
    rows, book = look(tmp_path, names)
    few, table = rows[:-1], tmp_path / "compared.parquet"
    first = Compared()
    find_pictures(tmp_path, few, book, first)
    assert first.write(table) == len(first.added) > 10
    wanted = find_pictures(tmp_path, rows, book)
    again = Compared.read([table])
    assert (find_pictures(tmp_path, rows, book, again) == wanted).all()
    assert wanted[-1] == wanted[7]
    assert 0 < len(again.added) < len(first.added)
    again.write(tmp_path / "more.parquet")
    for name in names:
        (tmp_path / name).unlink()
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(table.read_bytes()[:-9])
    tables = [table, damaged, tmp_path / "gone.parquet", tmp_path / "more.parquet"]
    assert join_compared(tables, tmp_path / "all.parquet") == len(first.added) + len(again.added)
    known = Compared.read([tmp_path / "all.parquet"])
    assert (find_pictures(tmp_path, rows, book, known) == wanted).all()
    blind = Compared()
    assert (find_pictures(tmp_path, rows, book, blind) != wanted).any()
    assert not blind.added  # what could not be read says nothing of other nights


def test_nothing_to_compare(tmp_path):
    assert find(tmp_path, {"one": load_photos()[0]}).is_unique
    flat = {f"{grey}": Image.new("RGB", (64, 64), (grey, grey, grey)) for grey in (50, 100, 150)}
    assert find(tmp_path, flat).is_unique


@pytest.mark.parametrize("number", range(8))
def test_frequencies_turn_as_pictures_do(number):
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (1, BASE_PX, BASE_PX)).astype(np.float32)
    whole = create_waves(np.array([[0, 0, 1, 1]], np.float32))
    turned = orient_pixels(picture, np.array([number]))
    found = orient_frequencies(compute_frequencies(picture[0], *whole))[:, number]
    np.testing.assert_allclose(found, compute_frequencies(turned[0], *whole), atol=1e-4)
    swaps, vertical, horizontal = ORIENTATIONS[number]
    oracle = Image.fromarray(picture[0])
    for wanted, how in zip(
        (swaps, vertical, horizontal),
        ("TRANSPOSE", "FLIP_TOP_BOTTOM", "FLIP_LEFT_RIGHT"),
        strict=True,
    ):
        oracle = oracle.transpose(Image.Transpose[how]) if wanted else oracle
    np.testing.assert_array_equal(turned[0], np.asarray(oracle))


def test_frequencies_are_those_of_the_cosine_transform():
    from scipy.fft import dctn

    picture = np.random.default_rng(0).uniform(0, 255, (BASE_PX, BASE_PX)).astype(np.float32)
    low = dctn(picture)[:8, :8] * np.hypot(*np.mgrid[:8, :8]) ** 0.75
    whole = create_waves(np.array([[0, 0, 1, 1]], np.float32))
    found = compute_frequencies(picture, *whole)
    np.testing.assert_allclose(found[0], (low / np.linalg.norm(low)).ravel(), atol=1e-5)


def test_a_map_is_found_again():
    photo = load_photos()[1].convert("L").resize((64, 64))
    first = np.asarray(photo.filter(ImageFilter.GaussianBlur(2)), np.float32)[None]
    true = np.array([[[0.95, 0.02, 0.03], [-0.02, 0.96, 0.01]]], np.float32)
    # Of the second picture the first shows what `true` says, lighter and with more contrast.
    first_seen = 1.2 * sample(first, create_grid(64) @ true.transpose(0, 2, 1)) + 10
    begin = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    whole = np.array([[0.1, 0.1, 0.9, 0.9]], np.float32)
    found = align(first_seen.reshape(1, 64, 64), first, whole, begin, points=32, steps=12)
    np.testing.assert_allclose(found, true, atol=0.01)
