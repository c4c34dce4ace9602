"""Promote: evaluation + rules + champion → a registered version, its aliases, a verdict."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.common.artifacts.model import ModelCard, read_card
from components.common.artifacts.predictions import read_predictions
from components.common.artifacts.validation import read_validation
from components.common.files import compute_sha256, read_json, write_json
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import continue_run
from components.common.tracking.server import describe_uri, find_uri
from components.common.tracking.tags import (
    CHALLENGER,
    CHAMPION,
    EVALUATION_RUN,
    MODEL_DIGEST,
    PACKAGE_BYTES,
    PREFIX,
    UNSURE_BELOW,
)
from components.promote.gate.differences import describe_differences, list_differences
from components.promote.gate.evidence import Evidence, parse_evidence
from components.promote.gate.gate import check_rules, decide, judge_data
from components.promote.gate.outcomes import (
    AWAITING,
    PROMOTED,
    Champion,
    Decision,
    Outcome,
    create_check,
)
from components.promote.registry.ledger import CHALLENGE, PROMOTE, Book
from components.promote.registry.lineage import find_lineage
from components.promote.registry.moves import Move, Mover, OvertakenError, name_person
from components.promote.registry.registry import Registry
from components.promote.serving.check import Served, Server, starting_server
from components.promote.serving.exports import add_exports, check_installed
from components.promote.serving.reference import write_reference
from components.promote.serving.sample import Sample, take_sample
from components.promote.spec import Inputs, Outputs, Params
from components.promote.summary import describe_outcomes

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

    @property
    def figures(self) -> dict[str, float]:
        """The headline figures with the ends of their intervals."""
        known = self.evidence.figures
        names = [name + end for name in HEADLINES for end in ("", ".low", ".high")]
        return {name: known[name] for name in names if name in known}

    @property
    def unsure_below(self) -> float | None:
        """The probability below which an answer is unsure, None if evaluate set none."""
        return self.evidence.figures.get("unsure_below")

    def create_tags(self, run_id: str) -> dict[str, str]:
        """Return what a version carries: its origins, to be searched by."""
        tags = {PREFIX + key: value for key, value in self.lineage.items()}
        tags |= {EVALUATION_RUN: run_id, f"{PREFIX}run_id": run_id, MODEL_DIGEST: self.digest}
        if self.unsure_below is not None:
            tags[UNSURE_BELOW] = repr(self.unsure_below)
        return tags | {f"metrics.{name}": f"{value:.6g}" for name, value in self.figures.items()}


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Register the model, judge it, and move the alias `champion` if every rule holds.

    Running it again changes nothing: a model file is registered once, by its digest. A crash in the
    middle leaves the old champion serving, and running again heals it.
    """
    watch = Stopwatch()
    challenge = read_challenge(inputs, params)
    with (
        starting_server(find_uri()) as server,
        continue_run(params.mlflow, inputs.run) as mlflow,
    ):
        registry = Registry(mlflow, params.mlflow.registered_model)
        mover = Mover(registry, name_person())
        run_id = mlflow.active_run().info.run_id
        registry.create_model()
        keep_evaluation(registry, inputs, challenge)
        version, is_new = register(registry, challenge, inputs.model, run_id)
        how = "registered" if is_new else "not registered again: this model is"
        say(f"{how} {registry.name} version {version} ({watch})")
        if params.exports:
            gaps = add_exports(registry, version, inputs.model, params.exports, challenge.sample)
            for form, gap in gaps.items():
                say(f"exported as {form}: answers as the Keras model (to {max(gap, 1e-9):.0e})")
        served = check_served(registry, server, version, challenge.sample)
        mover.catch_up()
        challenge_aliases(mover, version, run_id)
        decision, champion = judge_and_move(mover, challenge, served, version, params)
        tags = {f"{PREFIX}verdict": decision.verdict, f"{PREFIX}verdict_words": decision.words}
        tags[f"{PREFIX}served"] = "failed" if served.problem else "passed"
        registry.set_tags(version, challenge.create_tags(run_id) | tags)
        differences = list_differences(challenge.evidence, champion)
        verdict = {
            "verdict": decision.verdict,
            "words": decision.words,
            "model": registry.name,
            "version": version,
            "aliases": registry.list_aliases(version),
            "newly_registered": is_new,
            "against_champion": differences,
            "champion_before": champion.version if champion else None,
            "figures": challenge.figures,
            "served": asdict(served),
            "rules": [asdict(outcome) for outcome in decision.outcomes],
            "run_id": run_id,
            "mlflow": describe_uri(mlflow),
            "lineage": challenge.lineage,
        }
        mlflow.log_dict(verdict, "promote/verdict.json")
    for line in describe_outcomes(verdict["rules"]):
        say(line)
    if differences:
        say(describe_differences(differences))
    say(f"{decision.verdict}: {decision.words} ({watch})")
    write_json(outputs.verdict, verdict)


def read_challenge(inputs: Inputs, params: Params) -> Challenge:
    """Read what earlier rooms wrote; what cannot be judged is refused before it is registered."""
    card = read_card(inputs.model)
    evidence = parse_evidence(read_json(inputs.metrics), str(inputs.metrics))
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
        lineage=find_lineage(card, Path(params.data.source), Path()) | {"model_digest": digest},
    )


def keep_evaluation(registry: Registry, inputs: Inputs, challenge: Challenge) -> None:
    """Keep with the run what later challengers, a rollback and `predict watch` will want."""
    predictions = challenge.evidence.predictions
    assert predictions is not None
    with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        reference = Path(folder) / "reference.parquet"
        write_reference(reference, inputs.images, predictions, challenge.card.form)
        registry.log_evaluation(inputs.metrics, inputs.predictions, challenge.sample, reference)


def register(
    registry: Registry, challenge: Challenge, model: Path, run_id: str
) -> tuple[str, bool]:
    """Return the version that holds the model, and whether it is new."""
    tags = challenge.create_tags(run_id)
    version = registry.find_version(challenge.digest, tags.get(UNSURE_BELOW, ""))
    if version is not None:
        return version, False
    figures, unsure_below = challenge.figures, challenge.unsure_below
    return registry.register(model, challenge.card, tags, figures, unsure_below), True


def check_served(registry: Registry, server: Server, version: str, sample: Sample) -> Served:
    """Load a version from the registry in a fresh process and compare its answers over HTTP."""
    tags = registry.client.get_model_version(registry.name, version).tags
    mb = int(tags.get(PACKAGE_BYTES, 0)) / 1e6
    return server.check(f"models:/{registry.name}/{version}", sample, mb)


def challenge_aliases(mover: Mover, version: str, run_id: str) -> None:
    """Point `challenger` at the version that is judged now."""
    while True:
        before = mover.ledger.read().get_version(CHALLENGER)
        if before == version:
            return
        try:
            reason, evidence = "it is judged now", {"run_id": run_id}
            mover.move(Move(CHALLENGE, CHALLENGER, before, version, reason, evidence))
        except OvertakenError:
            continue


def judge_and_move(
    mover: Mover, challenge: Challenge, served: Served, version: str, params: Params
) -> tuple[Decision, Champion | None]:
    """Judge a version against the champion of this moment and move the alias if it wins.

    If another promotion gets through first, it is judged again, against that champion.
    """
    evidence = challenge.evidence.with_figures(served.figures)
    while True:
        book = mover.ledger.read()
        champion = find_champion(mover.registry, book, version)
        checks = [judge_data(challenge.data_status), judge_served(served)]
        checks += judge_return(book, version)
        decision = decide(params.rules, evidence, champion, checks)
        if decision.verdict != PROMOTED or (champion and champion.is_challenger):
            return decision, champion
        if params.mode == "approve":
            words = (
                "every rule holds; a person decides: python -m components.promote approve "
                f"{version} --by NAME --reason TEXT"
            )
            return Decision(AWAITING, words, decision.outcomes), champion
        before = champion.version if champion else None
        reasons: dict[str, Any] = {
            "verdict": decision.verdict,
            "model_digest": challenge.digest,
            "figures": challenge.figures,
            "rules": [f"{o.rule}: {o.outcome}" for o in decision.outcomes][:20],
        }
        try:
            mover.move(Move(PROMOTE, CHAMPION, before, version, decision.words, reasons))
        except OvertakenError as overtaken:
            say(f"another promotion was faster: version {overtaken.version} is champion now")
            continue
        return decision, champion


def find_champion(registry: Registry, book: Book, challenger: str) -> Champion | None:
    """Return the champion of the ledger with its evaluation, None if there is none."""
    version = book.get_version(CHAMPION)
    if version is None:
        return None
    if version == challenger:
        return Champion(version, None, is_challenger=True)
    found = registry.client.get_model_version(registry.name, version)
    return Champion(version, registry.read_evidence(found, with_predictions=True))


def judge_served(served: Served) -> Outcome:
    """Return the outcome of the check of the served model."""
    word = "failed" if served.problem else "passed"
    name = "the served model answers as measured"
    return create_check(name, "served.check", word, not served.problem, served.words)


def judge_return(book: Book, version: str) -> list[Outcome]:
    """Return an outcome for a version that a person took back: the rules do not overrule that."""
    found = book.find_rollback(CHAMPION, version)
    if found is None:
        return []
    words = (
        f"{found.who} took it back on {found.time[:10]} ({found.why}); only a person brings it "
        f"back: python -m components.promote approve {version} --by NAME --reason TEXT"
    )
    return [create_check("nobody took it back", "ledger.rollback", "failed", False, words)]
