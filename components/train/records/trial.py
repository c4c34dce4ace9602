"""A training run as a search sees it: it is watched, and shares features with other trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.backend import keras
from components.train.feed.material import Material
from components.train.probe.probe import Probe
from components.train.records.parts import Trained
from components.train.runtime.checkpoint import Checkpoint
from components.train.selection.kept import Contest, Judged
from components.train.selection.rules import Plan


@dataclass(frozen=True)
class Trial:
    """What a search wants of a run: to be told its epochs, no more; see :class:`Delivery`."""

    # Is told each epoch of both phases, and by what the run is recorded; what it raises ends it.
    tell: Callable[[Judged, Any], None]
    end: Callable[[Contest], None]  # is told the outcome
    features: Path  # folder of the search, where features of frozen networks are kept

    def find_features(self, own: Checkpoint, identity: Mapping[str, Any]) -> Checkpoint:
        """Return what holds the features that the frozen network gives these images.

        They are extracted by the first trial of its backbone, weights and views.

        Args:
            own: the run's checkpoint, which goes when the run is over.
            identity: all that decides the features.
        """
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return Checkpoint(self.features / key[:16], identity, writes=own.writes)

    def leave_findings(
        self, network: keras.Model, material: Material, probe: Probe, plan: Plan, mlflow: Any
    ) -> None:
        """Do nothing: what it finds, the run with the best settings will find again."""

    def finish(
        self, network: keras.Model, material: Material, contest: Contest, mlflow: Any
    ) -> None:
        """Write no model; tell the outcome."""
        self.end(contest)

    def leave_curve(self, trained: Trained, checkpoint: Checkpoint, mlflow: Any) -> None:
        """Do nothing: it would cost as much as further trials."""
