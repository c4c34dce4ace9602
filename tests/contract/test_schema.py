"""params.schema.json is drawn from the rooms, and says of params.yaml what the rooms say of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from components.common.cli import create_schema
from components.common.errors import DarkroomError
from components.common.settings.params import check_params, read_yaml, set_key
from components.init.commands import SCHEMA
from components.init.schema import create_json_schema, render

ROOT = Path(__file__).parents[2]
FILE = ROOT / "params.yaml"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json.loads((ROOT / SCHEMA).read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_file_is_what_the_rooms_declare() -> None:
    drawn = render(create_json_schema(create_schema()))
    assert (ROOT / SCHEMA).read_text(encoding="utf-8") == drawn, (
        "run: python -m components.init schema"
    )
    assert FILE.read_text().startswith(f"# yaml-language-server: $schema={SCHEMA}\n")


def test_params_yaml_is_legal_and_every_key_is_explained(validator: Draft7Validator) -> None:
    assert [error.message for error in validator.iter_errors(read_yaml(FILE))] == []

    def walk(schema: Any, name: str) -> None:
        for key, part in schema.get("properties", {}).items():
            assert part["description"], f"{name}{key}"
            walk(part, f"{name}{key}.")

    walk(validator.schema, "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.near_duplicate_bits", 16),
        ("data.source", 3),
        ("preprocess.background", "white"),
        ("preprocess.resize", "squash"),
        ("preprocess.size_px", "large"),
        ("preprocess.val_fraction", 1.5),
        ("train.seed", "0"),
        ("train.seed", -1),
        ("train.finetune.epochs", "many"),
        ("train.finetune.dropout", 0.95),
        ("train.finetune.epochs", 8),
        ("validate.layout.splits", {"fold1": "train"}),
        ("validate.layout.splits", {"fold1": "trian"}),
        ("validate.layout.class_depth", "all"),
        ("promote.rules", [{"metric": "accuracy", "at_least": 0.9}]),
        ("promote.rules", [{"metric": "accuracy", "at_last": 0.9}]),
        ("promote.rules", []),
        ("kubeflow.tasks", {"default": {"cpu": 1}}),
        ("kubeflow.tasks", {"default": {"cpu": "much"}}),
        ("train.sed", 0),
    ],
)
def test_it_agrees_with_the_rooms(validator: Draft7Validator, key: str, value: Any) -> None:
    found = copy.deepcopy(read_yaml(FILE))
    set_key(found, key, value, "test", is_free=True)
    try:
        check_params(FILE, found, create_schema())
    except DarkroomError:
        assert not validator.is_valid(found)
    else:
        assert validator.is_valid(found)


def test_a_key_that_came_later_may_be_missing(validator: Draft7Validator) -> None:
    found = copy.deepcopy(read_yaml(FILE))
    del found["train"]["finetune"]["dropout"], found["predict"]
    assert validator.is_valid(found)
