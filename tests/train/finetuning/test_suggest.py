"""The best backbone that a budget of minutes and memory holds, from timed steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components.common.cli import run_room
from components.train.finetuning import suggest
from components.train.finetuning.memory import Need
from components.train.finetuning.preflight import Speed
from components.train.finetuning.suggest import Budget, suggest_backbone
from components.train.networks.catalogue import CATALOGUE
from tests.train.tiny_run import register_tiny

# Of 1,000 images the recipe shows each 8 times, and the probe looks at each once.
SHOWN = 1000 * (8 + 1 / 3)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every network do 50 G multiply-adds a second; return which were timed."""
    found: list[str] = []

    def measure(backbone: Any) -> tuple[Need, Speed]:
        found.append(backbone.name)
        rate = 50e9 / (1e6 * backbone.mega_macs)
        need = Need(int(20 * backbone.parameters), 1_000_000 * backbone.size_px)
        return need, Speed(1e9, rate, 8, 8, True, 0.0)

    monkeypatch.setattr(suggest, "measure", measure)
    return found


def test_the_best_that_fits_is_named(timed: list[str]) -> None:
    networks = list(CATALOGUE.values())
    for minutes in (2, 20):
        fitting = [
            one for one in networks if SHOWN * (one.mega_macs or 0) * 1e6 / 50e9 <= minutes * 60
        ]
        found = suggest_backbone(networks, Budget(minutes, 64e9, 1000))
        assert found is not None
        assert found.top1 == max(one.top1 or 0.0 for one in fitting)
    # What is far too slow even if it were the most efficient is not timed.
    assert "ConvNeXtXLarge" not in timed


def test_memory_and_accuracy_that_nobody_published_count(timed: list[str]) -> None:
    small, large = CATALOGUE["EfficientNetB0"], CATALOGUE["ConvNeXtTiny"]
    unknown = replace(CATALOGUE["ResNet50"], name="mine", top1=None)
    networks = [small, large, unknown]
    assert suggest_backbone(networks, Budget(1000, 8e9, 1000)) == large
    # 6 times its 111 MB, or 0.56 GB and an image's 0.22
    assert suggest_backbone(networks, Budget(1000, 0.75e9, 1000)) == small
    assert suggest_backbone(networks, Budget(1000, 0.05e9, 1000)) is None
    assert suggest_backbone([unknown], Budget(1000, 8e9, 1000)) is None
    assert "mine" not in timed


@pytest.mark.slow
def test_steps_are_timed_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    register_tiny()
    try:
        words = ["--list-backbones", "--family", "Tiny", "--max-mb", "1", "--minutes"]
        run_room("train", [*words, "1000", "--memory-gb", "4"])
        told = capsys.readouterr().out
        assert "the best that fits 1,000 photos, 1000 min and 4 GB: Tiny" in told
        assert "dvc exp run -S train.backbone=Tiny -S preprocess.size_px=32" in told
        with pytest.raises(SystemExit):
            run_room("train", [*words, "0.0001"])
        assert "none of them fits 1,000 photos" in capsys.readouterr().err
    finally:
        del CATALOGUE["Tiny"]
