"""The challenger: a model with its evaluation, and how the registry comes to hold both."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.artifacts.metrics import read_metrics
from components.common.artifacts.model import ModelCard, read_card
from components.common.artifacts.predictions import read_predictions
from components.common.artifacts.sample import Sample
from components.common.artifacts.validation import read_validation
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.serving.decisions import Decisions, parse_decisions
from components.common.tracking.tags import (
    DATA,
    DECISIONS_DIGEST,
    EVALUATION_RUN,
    MODEL_DIGEST,
    PREFIX,
    UNSURE_BELOW,
)
from components.promote.gate.evidence import Evidence, parse_evidence
from components.promote.gate.gate import check_rules
from components.promote.registry.book import Book
from components.promote.registry.lineage import find_lineage
from components.promote.registry.registry import Registry
from components.promote.registry.strays import is_there
from components.promote.serving.exports import check_installed
from components.promote.serving.reference import write_reference
from components.promote.serving.sample import take_sample
from components.promote.spec import Inputs, Params

# Figures that a version carries as tags, to be searched by, and that the summary shows.
HEADLINES = ("accuracy", "macro.f1")


@dataclass(frozen=True)
class Challenge:
    """A model with its evaluation, ready to be judged."""

    card: ModelCard
    digest: str
    evidence: Evidence
    sample: Sample
    data_status: str
    lineage: dict[str, str]
    decisions: Decisions

    @property
    def figures(self) -> dict[str, float]:
        """The headline figures with the ends of their intervals."""
        known = self.evidence.figures
        names = [name + end for name in HEADLINES for end in ("", ".low", ".high")]
        return {name: known[name] for name in names if name in known}

    def create_tags(self, run_id: str) -> dict[str, str]:
        """Return what a version carries: its origins, to be searched by."""
        tags = {PREFIX + key: value for key, value in self.lineage.items()}
        tags |= {EVALUATION_RUN: run_id, f"{PREFIX}run_id": run_id, MODEL_DIGEST: self.digest}
        tags[DATA] = self.data_status
        if self.decisions.unsure_below is not None:
            tags[UNSURE_BELOW] = repr(self.decisions.unsure_below)
        if self.decisions.has_more:
            tags[DECISIONS_DIGEST] = self.decisions.compute_digest()
        return tags | {f"metrics.{name}": f"{value:.6g}" for name, value in self.figures.items()}


def read_challenge(inputs: Inputs, params: Params) -> Challenge:
    """Read what earlier rooms wrote; what cannot be judged is refused before it is registered."""
    card = read_card(inputs.model)
    metrics = read_metrics(inputs.metrics)
    evidence = parse_evidence(metrics, str(inputs.metrics))
    # Evaluations of earlier code know of the threshold alone.
    own = metrics.get("decisions") or {}
    limits = {"unsure_below": evidence.figures.get("unsure_below")} | own
    data_status = str(read_validation(inputs.validation)["status"])
    check_rules(params.rules, evidence, str(inputs.metrics))
    predictions = read_predictions(inputs.predictions)
    check_installed(params.exports)
    digest = compute_sha256(inputs.model)
    return Challenge(
        card=card,
        digest=digest,
        evidence=evidence.with_predictions(predictions),
        sample=take_sample(inputs.images, predictions, params.served_images),
        data_status=data_status,
        decisions=_read_limits(limits, inputs.metrics),
        lineage=find_lineage(card, Path(params.data.source), Path()) | {"model_digest": digest},
    )


def _read_limits(limits: Any, file: Path) -> Decisions:
    try:
        return parse_decisions(limits)
    except ValueError as error:
        raise DarkroomError(f"{file}: decisions: {error}; run evaluate again") from None


def keep_evaluation(registry: Registry, inputs: Inputs, challenge: Challenge) -> None:
    """Keep with the run what later challengers, a rollback and `predict watch` will want."""
    predictions = challenge.evidence.predictions
    assert predictions is not None
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        reference = Path(folder) / "reference.parquet"
        write_reference(reference, inputs.images, predictions, challenge.card.form)
        registry.log_evaluation(inputs.metrics, inputs.predictions, challenge.sample, reference)


def register(
    registry: Registry, book: Book, challenge: Challenge, model: Path, run_id: str
) -> tuple[str, bool]:
    """Return the version that holds the model, and whether it is new."""
    tags = challenge.create_tags(run_id)
    wanted = {key: tags.get(key, "") for key in (MODEL_DIGEST, UNSURE_BELOW, DECISIONS_DIGEST)}
    for version in book.list_sealed():  # the ledger knows better than tags that anybody edits
        seal = book.find_seal(version)
        is_same = all(seal.get(key, "") == value for key, value in wanted.items())
        if is_same and is_there(registry, book, version):
            return version, False
    found = registry.find_version(challenge.digest, tags)
    if found is not None and not book.find_seal(found):
        return found, False
    figures, limits = challenge.figures, challenge.decisions
    return registry.register(model, challenge.card, tags, figures, decisions=limits), True
