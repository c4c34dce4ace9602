"""What init writes into params.yaml, and that it finds its own hand again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.common.settings.edits import change_text, list_places
from components.init.choice import Choice, undo_choices, write_choices

TEXT = Path(__file__).parents[2].joinpath("params.yaml").read_text(encoding="utf-8")
OTHER = """\
data:
  source: mine   # my own words
promote:
  rules:
    # block form
    - metric: recall
      each: classes
      at_least: 0.5
      min_images: 30 # so many
    - {metric: accuracy.low, at_least: 0.7}
"""
LONG = "a reason of many words " * 12
CHOICES = [
    Choice("data.source", "data/my photos", "two → three · four: 5", "mine"),
    Choice("promote.rules.0.min_images", 7, LONG, 30),
    Choice("promote.rules.0.small", "test", "new key", "skip"),
    Choice("promote.rules.1.at_least", 0.5, "few images", 0.7),
]


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_values_change_and_all_else_stays() -> None:
    text = write_choices(OTHER, CHOICES)
    found = read(text)
    assert found["data"] == {"source": "data/my photos"}
    assert found["promote"]["rules"] == [
        {"metric": "recall", "each": "classes", "at_least": 0.5, "min_images": 7, "small": "test"},
        {"metric": "accuracy.low", "at_least": 0.5},
    ]
    assert "# my own words" in text
    assert "# so many" in text
    assert max(map(len, text.splitlines())) <= 100
    # Each rule has its reasons above it, wherever its keys are.
    assert text.index("# init: min_images: 30 → 7") < text.index("- metric: recall")
    assert "    # init: at_least: 0.7 → 0.5 · few images\n    - {metric" in text


def test_what_init_wrote_is_undone_and_nothing_else() -> None:
    undone = undo_choices(write_choices(OTHER, CHOICES))
    assert undone.replace("\n      small: skip", "") == OTHER
    assert undo_choices(OTHER) == OTHER
    changed = write_choices(OTHER, CHOICES).replace("at_least: 0.5}", "at_least: 0.6}")
    found = read(undo_choices(changed))
    assert found["promote"]["rules"][1]["at_least"] == 0.6, "somebody set it since"
    assert found["data"]["source"] == "mine"


@pytest.mark.parametrize(
    "value", ["", "true", "a: b # c", "'", '"', "ä → ö", "\\d+", "x\ny", 3, 0.5]
)
def test_any_value_comes_back(value: Any) -> None:
    choice = Choice("validate.layout.label_pattern", value, "why", "")
    text = write_choices(TEXT, [choice])
    assert read(text)["validate"]["layout"]["label_pattern"] == value
    assert undo_choices(text) == TEXT
    again = write_choices(text, [Choice(choice.key, "other", "why", value)])
    assert read(undo_choices(again))["validate"]["layout"]["label_pattern"] in (value, "")


def test_every_key_has_a_place() -> None:
    places = {key: line for line, key in list_places(TEXT)}
    lines = TEXT.splitlines()
    assert lines[places["train.finetune.epochs"]].strip().startswith("epochs:")
    assert "accuracy.low" in lines[places["promote.rules.1"]]
    assert read(change_text(TEXT, {"validate.classes.rename": {"a": "b"}}))["validate"]["classes"][
        "rename"
    ] == {"a": "b"}
