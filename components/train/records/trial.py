"""A training run as a search sees it: it is watched, and shares features with other trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.artifacts.dataset import Dataset
from components.common.artifacts.history import Epoch
from components.train.records.records import identify_features
from components.train.runtime.checkpoint import Checkpoint
from components.train.runtime.machines import Machines
from components.train.spec import Params


@dataclass(frozen=True)
class Trial:
    """What a search wants of a run, instead of a model and reports."""

    # Is told each epoch of both phases, and by what the run is recorded; what it raises ends it.
    tell: Callable[[Epoch, Any], None]
    features: Path  # folder of the search, where features of frozen networks are kept

    def find_features(self, params: Params, dataset: Dataset, machines: Machines) -> Checkpoint:
        """Return what holds the features that the frozen network gives these images.

        They are extracted by the first trial of its backbone, weights and views.
        """
        identity = identify_features(params, dataset, machines)
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return Checkpoint(self.features / key[:16], identity, writes=machines.is_first)
