"""What a step wants of memory is reckoned first, and batches are cut to what is free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.common.artifacts.model import LOGITS, take_part
from components.common.errors import DarkroomError
from components.train.finetuning import preflight
from components.train.finetuning.fitting import Progress
from components.train.finetuning.memory import estimate_need
from components.train.finetuning.preflight import start_phase
from components.train.spec import Finetune
from tests.train.finetuning.steps import make_material, make_recipe


def test_a_batch_is_cut_before_the_machine_is_out_of_memory(
    create: Any, shards: Path, monkeypatch: Any, capsys: Any
) -> None:
    network, recipe = create(), make_recipe()
    need = estimate_need(take_part(network, LOGITS), recipe.finetune)
    monkeypatch.setattr(preflight, "find_free_memory", lambda: need.count(3))
    phase = start_phase(network, make_material(shards, recipe), Progress(1))
    assert phase.progress.accumulate == 4  # of 8 images; two at once
    assert "a step with 2 images at once wants about" in capsys.readouterr().out
    monkeypatch.setattr(preflight, "find_free_memory", lambda: need.fixed)
    with pytest.raises(DarkroomError, match=r"one image at a time.*are free: lower train\.fine"):
        start_phase(network, make_material(shards, recipe), Progress(1))


def test_memory_is_reckoned_from_what_is_kept(create: Any) -> None:
    settings = Finetune()
    network = create()
    trained, all_weights = sum(map(np.size, network.trainable_weights)), network.count_params()
    # 4 bytes: gradient, its sum, AdamW and its mean; a copy of all for a while
    fixed = 4 * (2 * trained + 3 * trained + all_weights + 3 * trained)
    # from the low convolution up: 8×8 and 3×3 places of it and ReLU, features, logits
    image = 4 * (2 * 8 * 8 * 8 + 2 * 3 * 3 * 16 + 2 * 16 + 16 + 4)
    need = estimate_need(take_part(network, LOGITS), settings)
    assert need.fixed == fixed
    assert need.image == image
    assert estimate_need(take_part(create(0), LOGITS), settings).image < image / 10
