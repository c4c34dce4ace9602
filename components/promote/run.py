"""Promote: evaluation + rules + champion → a registered version, its aliases, a verdict."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.files import compute_sha256, read_json, write_json
from components.common.lineage import find_lineage
from components.common.model import read_card
from components.common.terminal import Stopwatch, say
from components.common.tracking import continue_run, describe_uri
from components.promote.evidence import Evidence, parse_evidence
from components.promote.gate import PROMOTED, Champion, check_rules, decide
from components.promote.registry import (
    CHALLENGER,
    CHAMPION,
    EVALUATION_RUN,
    MODEL_DIGEST,
    PREFIX,
    Registry,
)
from components.promote.spec import Inputs, Outputs, Params
from components.promote.summary import describe_outcomes

# Figures that a version carries as tags, to be searched by, and that the summary shows.
HEADLINES = ("accuracy", "macro.f1")


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Register the model, judge it, and move the alias `champion` if every rule holds.

    Running it again changes nothing: a model file is registered once, by its digest. A crash in the
    middle leaves the old champion serving, and running again heals it.
    """
    watch = Stopwatch()
    card = read_card(inputs.model)
    evidence = parse_evidence(read_json(inputs.metrics), str(inputs.metrics))
    data_status = _read_status(inputs.validation)
    check_rules(params.rules, evidence, str(inputs.metrics))
    digest = compute_sha256(inputs.model)
    figures = _take_headlines(evidence)
    lineage = find_lineage(card, Path(params.data.source), Path()) | {"model_digest": digest}

    with continue_run(params.mlflow, inputs.run) as mlflow:
        registry = Registry(mlflow, params.mlflow.registered_model)
        run_id = mlflow.active_run().info.run_id
        registry.create_model()
        registry.log_evaluation(inputs.metrics, inputs.predictions)
        tags = {PREFIX + key: value for key, value in lineage.items()}
        tags |= {EVALUATION_RUN: run_id, MODEL_DIGEST: digest}
        tags |= {f"metrics.{name}": f"{figure:.6g}" for name, figure in figures.items()}
        version = registry.find_version(digest)
        is_new = version is None
        if version is None:
            version = registry.register(inputs.model, card, tags, figures)
            say(f"registered {registry.name} version {version} ({watch})")
        else:
            say(f"{registry.name} version {version} is this model: not registered again ({watch})")
        registry.set_alias(CHALLENGER, version)

        found = registry.find_alias(CHAMPION)
        champion = (
            None
            if found is None
            else Champion(
                str(found.version), registry.read_evidence(found), str(found.version) == version
            )
        )
        decision = decide(params.rules, evidence, champion, data_status)
        tags |= {f"{PREFIX}verdict": decision.verdict, f"{PREFIX}verdict_words": decision.words}
        registry.set_tags(version, tags)
        if decision.verdict == PROMOTED:
            registry.set_alias(CHAMPION, version)
        verdict = {
            "verdict": decision.verdict,
            "words": decision.words,
            "model": registry.name,
            "version": version,
            "aliases": registry.list_aliases(version),
            "newly_registered": is_new,
            "champion_before": champion.version if champion else None,
            "figures": figures,
            "rules": [asdict(outcome) for outcome in decision.outcomes],
            "run_id": run_id,
            "mlflow": describe_uri(mlflow),
            "lineage": lineage,
        }
        mlflow.log_dict(verdict, "promote/verdict.json")
    for line in describe_outcomes(verdict["rules"]):
        say(line)
    say(f"{decision.verdict}: {decision.words} ({watch})")
    write_json(outputs.verdict, verdict)


def _take_headlines(evidence: Evidence) -> dict[str, float]:
    names = [name + end for name in HEADLINES for end in ("", ".low", ".high")]
    return {name: evidence.figures[name] for name in names if name in evidence.figures}


def _read_status(file: Path) -> str:
    found = read_json(file)
    if not isinstance(found, dict) or not isinstance(found.get("status"), str):
        raise DarkroomError(f"{file}: holds no status of the data; run validate again")
    return str(found["status"])
