"""Rules tried on what was measured before: `promote rules --dry-run`; nothing is registered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from components.common.artifacts.metrics import read_metrics
from components.common.artifacts.predictions import read_predictions
from components.common.artifacts.validation import read_validation
from components.common.errors import DarkroomError
from components.common.terminal import say
from components.common.tracking.server import import_mlflow, is_begun
from components.common.tracking.tags import DATA, METRICS, PREDICTIONS, VERDICT
from components.promote.gate.evidence import Evidence, parse_evidence
from components.promote.gate.gate import check_rules, decide, judge_data
from components.promote.gate.outcomes import PROMOTED, SKIPPED, Champion, describe_outcomes
from components.promote.judging import find_sealed
from components.promote.registry.ledger import Ledger
from components.promote.registry.registry import Registry
from components.promote.spec import SERVED, Rule

MOST_VERSIONS = 50  # the newest; each fetches its predictions


@dataclass(frozen=True)
class Past:
    """An evaluation of before, and what the gate said of it then."""

    name: str
    evidence: Evidence
    data_status: str
    verdict: str


def show_rules(rules: Sequence[Rule]) -> None:
    """Print the rules as sentences, by their place in params.yaml."""
    say("all must hold before champion moves:" if rules else "no rules: nothing is promoted")
    for number, rule in enumerate(rules):
        say(f"promote.rules[{number}]: {rule.words}")


def try_rules(name: str, rules: Sequence[Rule], reports: Path, is_named: bool = False) -> None:
    """Judge past evaluations by rules, the oldest first, and print who would have been champion.

    Args:
        name: of the registered model.
        rules: the rules.
        reports: folder of an evaluation that may not be registered yet; it comes last.
        is_named: a person named the model, so it must be there.

    Raises:
        DarkroomError: if there is nothing to judge, or a rule names an unknown figure.
    """
    if is_named and not _is_registered(name):
        raise DarkroomError(f"--name {name}: MLflow has no such model; run the pipeline first")
    show_rules(rules)
    champion: Champion | None = None
    judged = list(_read_registered(name))
    for past in _read_reports(reports):
        same = next((one for one in judged if _is_same(one.evidence, past.evidence)), None)
        if same is None:
            judged.append(past)
        else:  # it would be its own challenger
            say(f"{past.name}: the evaluation of {same.name}")
    for past in judged:
        known = [rule for rule in rules if not _is_unmeasured(rule, past.evidence)]
        check_rules(known, past.evidence, past.name)
        decision = decide(known, past.evidence, champion, [judge_data(past.data_status)])
        say(f"{past.name}: {decision.verdict} (then: {past.verdict or 'not judged'})")
        outcomes = [vars(outcome) for outcome in decision.outcomes]
        for line in describe_outcomes(outcomes):
            say(f"  {line}")
        for rule in rules:
            if rule not in known:
                say(f"  – {rule.words}: {SKIPPED}, measured only when it is registered")
        if champion is None and decision.verdict != PROMOTED:
            say(f"  {decision.words}")
        if decision.verdict == PROMOTED:
            champion = Champion(past.name, past.evidence)
    if not judged:
        raise DarkroomError(
            f"no evaluation to try the rules on: MLflow has no version of {name} with one, and "
            f"{reports} holds no {METRICS}; run the pipeline first"
        )
    say(f"with these rules {champion.version if champion else 'none'} would be champion")


def _is_same(registered: Evidence, other: Evidence) -> bool:
    """Whether two evaluations are one; that of a version has figures of the served model too."""
    own = {name: value for name, value in registered.figures.items() if name not in SERVED}
    return own == other.figures and registered.test_digest == other.test_digest


def _is_unmeasured(rule: Rule, evidence: Evidence) -> bool:
    return rule.metric in SERVED and rule.metric not in evidence.figures


def _is_registered(name: str) -> bool:
    return is_begun() and Registry(import_mlflow(create=False), name).find_named(name) is not None


def _read_registered(name: str) -> Iterator[Past]:
    """Yield what is kept of the newest versions, the oldest of them first."""
    if not _is_registered(name):
        return
    registry = Registry(import_mlflow(create=False), name)
    book = Ledger(registry.mlflow, name).read()
    found = registry.client.search_model_versions(f"name = '{name}'", max_results=MOST_VERSIONS)
    for number in sorted((str(version.version) for version in found), key=int):
        version: Any = find_sealed(registry, book, number) or SimpleNamespace(tags={})
        evidence = registry.read_evidence(version, with_predictions=True)
        if evidence is None:
            say(f"version {number}: its evaluation is not kept")
            continue
        evidence = evidence.with_figures(registry.read_served(version))
        status, verdict = version.tags.get(DATA, "unknown"), version.tags.get(VERDICT, "")
        yield Past(f"version {number}", evidence, status, verdict)


def _read_reports(folder: Path) -> Iterator[Past]:
    """Yield the evaluation that lies in a folder, if one does."""
    file = folder / METRICS
    if not file.is_file():
        return
    evidence = parse_evidence(read_metrics(file), str(file))
    if (predictions := folder / PREDICTIONS).is_file():
        evidence = evidence.with_predictions(read_predictions(predictions))
    validation = folder / "validation.json"
    status = str(read_validation(validation)["status"]) if validation.is_file() else "unknown"
    yield Past(f"{folder}/", evidence, status, "")
