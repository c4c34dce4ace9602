"""The next steps: the best first, their gains as measured, commands that a shell takes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Any

import pytest

from components.common.artifacts.curve import (
    CLASS,
    EVERYTHING,
    FINETUNED,
    FORECAST,
    LABELS,
    MEASURED,
    RECALL,
    CurvePoint,
)
from components.evaluate.report.drawings import draw_curve
from components.evaluate.report.next_steps import compare_with_probe, describe_curve, list_steps
from components.evaluate.report.words import describe_rival

HOSTILE = "shirt; rm -rf '$HOME'"

PAGE = "labels.html"


def point(of: str, name: str = "", more: int = 100, gain: float = 0.01, **other: Any) -> CurvePoint:
    kind = MEASURED if of == LABELS else FORECAST
    rest = {"kind": kind, "images": 1000 + more, "accuracy": 0.9, "low": 0.88, "high": 0.92}
    ends = {"gain_low": gain - 0.005, "gain_high": gain + 0.005}
    return CurvePoint(of=of, name=name, more=more, gain=gain, **(rest | ends | other))


POINTS = [
    point(EVERYTHING, more=100, gain=0.008),
    point(EVERYTHING, more=1000, gain=0.03),
    point(CLASS, HOSTILE, more=50, gain=0.012),
    point(RECALL, HOSTILE, more=50, gain=0.09),
    point(CLASS, "hat", more=50, gain=-0.002),
    point(LABELS, images=40, more=0, gain=0.02),
]


def make_metrics(model: float = 0.9, probe: float = 0.9, **slice_: Any) -> dict[str, Any]:
    one = {"column": "camera", "value": "phone", "images": 50, "accuracy": 0.7, "gap": -0.24}
    return {
        "accuracy": model,
        "images": 200,
        "against": [{"name": "probe", "accuracy": probe}],
        "slices": [one | {"is_worse": False} | slice_],
    }


def test_the_three_that_gain_most_come_best_first() -> None:
    steps = list_steps(POINTS, make_metrics(), PAGE)
    assert [step.gain for step in steps] == [0.02, 0.012, 0.008]
    assert steps[0].title == "Look at the 40 labels that look wrong"
    assert steps[1].points == "+1.2 points (+0.7 to +1.7)"
    assert "twice the photos would bring +3.0 points (+2.5 to +3.5)" in steps[2].why
    assert not [step for step in steps if "of hat" in step.title]  # it would lose


def test_a_slice_that_is_worse_may_gain_what_it_lacks() -> None:
    # Of 200 photos 50 are right 24 points less often: at best 6 points of all are gained.
    first = list_steps(POINTS, make_metrics(is_worse=True), PAGE)[0]
    assert first.title == "Add photos like those of camera phone"
    assert (first.low, first.high) == (0.0, pytest.approx(0.06))
    assert first.points == "+3.0 points (+0.0 to +6.0)"


def test_a_better_model_than_the_probe_has_less_to_gain() -> None:
    metrics = make_metrics(model=0.95, probe=0.9)
    assert compare_with_probe(metrics) == pytest.approx(0.5)
    assert list_steps(POINTS, metrics, PAGE)[0].gain == pytest.approx(0.01)
    assert compare_with_probe(make_metrics(model=0.8)) == 1.0
    assert compare_with_probe(make_metrics(model=0.8, probe=1.0)) == 1.0
    assert "50% of the probe's mistakes" in describe_curve(POINTS, "", 0.5)


def test_nothing_is_invented_where_nothing_is_known() -> None:
    assert list_steps([], make_metrics(), PAGE) == []
    assert describe_curve([], "too few images", 1.0) == (
        "There is no learning curve: too few images."
    )


def test_labels_are_mended_where_there_is_a_page_for_it() -> None:
    assert list_steps(POINTS, make_metrics(), PAGE)[0].link == PAGE


def test_the_commands_are_legal_whatever_classes_are_called() -> None:
    command = list_steps(POINTS, make_metrics(), PAGE)[1].command
    words = shlex.split(command.replace("\\\n", " "))  # as a shell joins the lines
    assert words[words.index("--of") + 1] == HOSTILE
    assert words[:3] == ["python", "-m", "components.predict"]
    done = subprocess.run(
        [sys.executable, *words[1:], "--help"], capture_output=True, text=True, check=True
    )
    for flag in (word for word in words if word.startswith("--")):
        assert f"{flag} " in done.stdout


def test_the_curve_is_drawn_with_all_its_points() -> None:
    measured = [
        point(EVERYTHING, kind=MEASURED, images=images, accuracy=accuracy)
        for images, accuracy in ((50, 0.7), (100, 0.8), (200, 0.85), (400, 0.88), (800, 0.9))
    ]
    svg = draw_curve([*measured, *POINTS[:2]], "what it shows")
    assert 'aria-label="what it shows"' in svg
    for words in ("50", "800", "2,000", "measured", "expected"):
        assert f">{words}</text>" in svg


TUNED = [
    point(FINETUNED, kind=MEASURED, images=100, more=0, gain=0.0),
    point(FINETUNED, kind=MEASURED, images=800, more=0, gain=0.0),
    point(FINETUNED, more=100, gain=0.015, images=880),
    point(FINETUNED, more=1000, gain=0.025, images=1600),
]


def test_what_the_model_itself_would_gain_goes_before_a_share_of_the_probe() -> None:
    metrics = make_metrics(model=0.95, probe=0.9)  # half of the mistakes
    steps = {step.title: step for step in list_steps([*POINTS, *TUNED], metrics, PAGE)}
    photos = steps["Label 100 more photos, of all classes"]
    assert (photos.gain, photos.low, photos.high) == pytest.approx((0.015, 0.01, 0.02))
    assert "the model's own learning curve; twice the photos would bring +2.5" in photos.why
    # Of one class alone only the probe is known.
    assert steps[f"Label 50 more photos of {HOSTILE}"].gain == pytest.approx(0.006)
    words = describe_curve([*POINTS, *TUNED], "", 0.5)
    assert "The model itself was trained with 100, 800 photos; 1,000 more" in words
    assert "+2.5 points (+2.0 to +3.0)" in words
    assert "makes 50% of its mistakes" in words
    assert "50%" not in describe_curve([*POINTS, *TUNED], "", 1.0)


def test_both_curves_are_drawn() -> None:
    measured = [point(EVERYTHING, kind=MEASURED, images=50), point(EVERYTHING, kind=MEASURED)]
    svg = draw_curve([*measured, *POINTS[:2], *TUNED], "both")
    for words in ("50", "800", "1,600", "the probe", "expected of it", "measured", "expected"):
        assert f">{words}</text>" in svg
    alone = draw_curve([*measured, *POINTS[:2]], "the probe's alone")
    assert "of it</text>" not in alone


def test_a_rival_that_is_as_often_right_on_the_same_images_is_no_rival() -> None:
    rival = {"name": "probe", "accuracy": 0.844, "won": 0, "lost": 0, "difference": 0.0}
    rival |= {"difference_interval": (-0.01, 0.01), "p_value": 1.0}
    assert describe_rival(rival) == "It is right and wrong where the probe is (84.4%)."
    told = describe_rival(rival | {"won": 2, "lost": 2})
    assert told.startswith("It cannot be told from the probe (84.4%): 2 images won, 2 lost")
