"""What is found about the data as a whole."""

import re

import numpy as np
import pandas as pd
import pytest

from components.common.artifacts.manifest import OK, QUARANTINED
from components.common.statistics.shift import compute_cramers_v
from components.validate.judgement.drift import compare_manifests, find_drift
from components.validate.judgement.findings import find_oddities
from components.validate.judgement.shortcuts import compute_shifts, find_shortcuts
from components.validate.judgement.signs import create_signs
from components.validate.spec import Params


def make_manifest(count: int = 100, seed: int = 0, **columns) -> pd.DataFrame:
    """A manifest of sound, different photos in two classes."""
    rng = np.random.default_rng(seed)
    rows = {
        "path": [f"{'ab'[i % 2]}/{i:05d}.jpg" for i in range(count)],
        "label": ["ab"[i % 2] for i in range(count)],
        "split": "",
        "sha256": [f"{seed}-{i}" for i in range(count)],
        "bytes": 5000,
        "format": "JPEG",
        "width_px": 400,
        "height_px": 300,
        "mode": "RGB",
        "exif_orientation": 1,
        "phash": [f"{value:016x}" for value in rng.integers(0, 2**64, count, dtype=np.uint64)],
        "brightness": rng.normal(0.5, 0.1, count),
        "contrast": 0.2,
        "sharpness": rng.normal(1000, 100, count),
        "status": OK,
        "reason": "",
        "group": "",
    } | columns
    return pd.DataFrame({"picture": rows["sha256"]} | rows)


def kinds(findings) -> list[str]:
    return [finding.kind for finding in findings]


def test_sound_data_has_no_findings():
    manifest = make_manifest()
    assert find_oddities(manifest, [], [], Params()) == []
    assert find_shortcuts(manifest, Params().max_class_shift) == []
    signs = create_signs(manifest, Params())
    assert (signs["copies"] == 1).all()
    assert (signs["lookalikes"] == 0).all()


def test_signs_of_doubles():
    manifest = make_manifest(8)
    manifest.loc[1, ["sha256", "picture"]] = manifest.loc[0, ["sha256", "picture"]]  # other label
    manifest.loc[4, "picture"] = manifest.loc[2, "picture"]  # same label
    manifest["split"] = ["train", "test"] * 4
    manifest.loc[7, ["status", "label"]] = [QUARANTINED, "a"]
    signs = create_signs(manifest, Params()).set_index("path").loc[manifest["path"]]
    assert signs["copies"].tolist()[:7] == [2, 2, 1, 1, 1, 1, 1]
    assert signs["lookalikes"].tolist()[:7] == [0, 0, 1, 0, 1, 0, 0]
    assert signs["labels"].tolist()[:7] == [2, 2, 1, 1, 1, 1, 1]
    assert signs["splits"].tolist()[:7] == [2, 2, 1, 1, 1, 1, 1]
    assert signs.iloc[7][["label", "copies", "class_images", "aspect"]].isna().all()
    assert signs["class_images"].tolist()[:7] == [4, 3, 4, 3, 4, 3, 4]


def test_blank_images_are_not_called_dark_and_blurred_too():
    manifest = make_manifest(4, contrast=[0.2, 0.2, 0.2, 0.0], brightness=[0.5, 0.5, 0.01, 0.0])
    signs = create_signs(manifest, Params()).set_index("path").loc[manifest["path"]]
    assert signs["brightness"].isna().tolist() == [False, False, False, True]
    assert signs["sharpness"].isna().tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("name", "kind", "fits"),
    [
        ("a.jpg", "JPEG", 1),
        ("a.JPEG", "JPEG", 1),
        ("a.png", "JPEG", 0),
        ("a", "PNG", 0),
        ("b.png/a", "PNG", 0),
        ("a.b.tif", "TIFF", 1),
    ],
)
def test_names_against_formats(name, kind, fits):
    manifest = make_manifest(1, path=[name], format=kind)
    assert create_signs(manifest, Params())["suffix_fits"].tolist() == [fits]


def test_imbalance():
    manifest = make_manifest(100, label=["a"] * 96 + ["b"] * 4)
    (found,) = find_oddities(manifest, [], [], Params())
    assert (found.kind, found.severity) == ("class imbalance", "warning")
    assert found.message == "a has 96 images, b has 4"


def test_similar_labels():
    manifest = make_manifest(4, label=["T-Shirt", "tshirt", "hat", "hat"])
    (found,) = find_oddities(manifest, [], [], Params())
    assert (found.kind, found.count) == ("similar labels", 2)


def test_groups_that_differ_only_in_case_spaces_or_width():
    groups = ["P1", "p1", "p 2", "p2", "Ｐ3", "P3", "1.0", "10", "01", "1"]
    manifest = make_manifest(group=[groups[i % len(groups)] for i in range(100)])
    (found,) = find_oddities(manifest, [], [], Params())
    assert (found.kind, found.severity, found.count) == ("similar groups", "warning", 6)
    assert "P1, P3, p 2" in found.message


def test_classes_that_a_given_split_lacks():
    manifest = make_manifest(4, split=["train", "train", "test", ""], label=["a", "b", "a", "c"])
    (found,) = find_oddities(manifest, [], [], Params())
    assert found.message == "classes without an image in the given split test: b"


def test_an_empty_class_folder_is_critical_unless_a_table_fills_the_class():
    manifest = make_manifest(4)
    (found,) = find_oddities(manifest, [], ["train/cow", "train/a"], Params())
    assert (found.severity, found.message) == (
        "critical",
        "class folders without a file: train/cow",
    )


def test_modes_are_a_note():
    (found,) = find_oddities(make_manifest(4, mode=["RGB", "RGB", "L", "RGBA"]), [], [], Params())
    assert (found.severity, found.count) == ("note", 2)
    assert found.message == "colour modes: RGB (2), L (1), RGBA (1)"


def test_slices():
    light = ["day"] * 70 + ["night"] * 5 + [None] * 25
    manifest = make_manifest(100, light=light, serial=[str(i) for i in range(100)])
    found = find_oddities(manifest, ["light", "serial"], [], Params())
    assert kinds(found) == ["missing slice values", "tiny slices", "too many slices"]
    assert found[0].count == 25
    assert found[1].message == "values of light with fewer than 20 images: night (5)"


@pytest.mark.parametrize("column", ["brightness", "size"])
def test_a_shortcut_is_found(column):
    manifest = make_manifest(200)
    is_a = manifest["label"] == "a"
    if column == "size":
        manifest.loc[is_a, ["width_px", "height_px"]] = [800, 600]
    else:
        manifest.loc[is_a, "brightness"] += 0.3
    (found,) = find_shortcuts(manifest, 1.5)
    assert found.kind == f"shortcut: {column}"
    assert re.search(r"the others: [ab] \d+\.\d (above|below), [ab] \d", found.message)


def test_a_format_that_tells_the_class_is_found():
    manifest = make_manifest(100)
    manifest["format"] = np.where(manifest["label"] == "a", "PNG", "JPEG")
    assert kinds(find_shortcuts(manifest, 1.5)) == ["shortcut: format"]


def test_shifts_equal_cohens_d():
    rng = np.random.default_rng(0)
    labels = pd.Series(rng.choice(["a", "b", "c"], 300))
    values = pd.Series(rng.normal(0, 1, 300)) + (labels == "b") * 2
    shifts = compute_shifts(values, labels)
    for label in "abc":
        ours, others = values[labels == label], values[labels != label]
        pooled = np.sqrt((ours.var(ddof=0) + others.var(ddof=0)) / 2)
        assert shifts[label] == pytest.approx((ours.mean() - others.mean()) / pooled)


def test_cramers_v_equals_scipy():
    from scipy.stats.contingency import association

    table = np.random.default_rng(0).integers(1, 50, (4, 3))
    assert compute_cramers_v(table) == pytest.approx(association(table, method="cramer"))
    assert compute_cramers_v(np.eye(3) * 9) == pytest.approx(1)
    assert compute_cramers_v(np.ones((1, 3))) == 0


def changed(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    comparisons = compare_manifests(before, now, 0.1)
    assert kinds(find_drift(comparisons)) == [
        f"drift: {c.quantity}" for c in comparisons if c.changed
    ]
    return {one.quantity for one in comparisons if one.changed}


def test_more_of_the_same_is_no_drift():
    before, now = make_manifest(2000), make_manifest(500, seed=1)
    assert changed(before, now) == set()
    assert changed(before, before) == set()


def test_drift_is_found_where_it_is():
    before = make_manifest(400)
    assert changed(before, make_manifest(400, 1, width_px=800)) == {"width"}
    assert changed(before, make_manifest(400, 1, label=["a"] * 300 + ["b"] * 100)) == {"classes"}
    assert changed(before, make_manifest(400, 1, format="PNG")) == {"formats"}
    assert changed(before, make_manifest(400, 1, sha256=["x"] * 200 + list("abcdefghij") * 20)) == {
        "exact duplicates"
    }
    assert changed(before, make_manifest(400, 1, picture="one")) == {"near-duplicates"}
    bad = [QUARANTINED] * 100 + [OK] * 300
    assert changed(before, make_manifest(400, 1, status=bad)) == {"rejected files"}
    dark = make_manifest(400, 1)
    assert changed(before, dark.assign(brightness=dark["brightness"] / 2)) == {"brightness"}


def test_a_new_class_is_always_told_however_few_its_images():
    now = make_manifest(400, 1)
    now.loc[0, "label"] = "c"
    comparisons = compare_manifests(make_manifest(400), now, 0.1)
    classes = next(one for one in comparisons if one.quantity == "classes")
    assert classes.changed
    assert (classes.before, classes.now) == ("2", "3 (with c)")


def test_effect_sizes_do_not_shrink_with_a_small_new_folder():
    before = make_manifest(4000)
    for count in (100, 4000):
        now = make_manifest(count, 1, label=["a"] * (count * 3 // 4) + ["b"] * (count // 4))
        classes = compare_manifests(before, now, 0.1)[0]
        assert classes.effect_size == pytest.approx(0.258, abs=0.001)
