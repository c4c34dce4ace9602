"""Promote: evaluation + rules + champion → a registered version, its aliases, a verdict."""

from __future__ import annotations

from dataclasses import asdict

from components.common.errors import DarkroomError
from components.common.files.writing import write_json
from components.common.settings.spec import check_name
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import continue_run
from components.common.tracking.server import describe_uri, find_uri
from components.promote.challenge import keep_evaluation, read_challenge, register
from components.promote.gate.differences import describe_differences, list_differences
from components.promote.gate.outcomes import describe_outcomes
from components.promote.judging import judge_and_move
from components.promote.registry.account import name_person
from components.promote.registry.moves import Mover
from components.promote.registry.registry import VERDICT_FILE, Registry
from components.promote.registry.repair import describe_missing
from components.promote.serving.check import starting_server
from components.promote.serving.exports import add_exports
from components.promote.spec import Inputs, Outputs, Params
from components.promote.summary import SCHEMA


def run(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Register the model, judge it, and move the alias `champion` if every rule holds.

    Running it again changes nothing: a model file is registered once, by its digest. A crash in the
    middle leaves the old champion serving, and running again heals it.
    """
    watch = Stopwatch()
    check_name(params.mlflow.registered_model, "mlflow.registered_model")
    challenge = read_challenge(inputs, params)
    with (
        starting_server(find_uri()) as server,
        continue_run(params.mlflow, inputs.run) as mlflow,
    ):
        registry = Registry(mlflow, params.mlflow.registered_model)
        mover = Mover(registry, name_person())
        run_id = mlflow.active_run().info.run_id
        if missing := describe_missing(registry):
            raise DarkroomError(missing)
        registry.create_model()
        book = mover.catch_up()  # what only a person can decide stops here, before the upload
        registry.log_images(challenge.card, challenge.lineage, params.data.source)
        keep_evaluation(registry, inputs, challenge)
        version, is_new = register(registry, book, challenge, inputs.model, run_id)
        how = "registered" if is_new else "not registered again: this model is"
        say(f"{how} {registry.name} version {version} ({watch})")
        if params.exports:
            gaps = add_exports(registry, version, inputs.model, params.exports, challenge.sample)
            for form, gap in gaps.items():
                say(f"exported as {form}: answers as the Keras model (to {max(gap, 1e-9):.0e})")

        served = registry.check_served(version, server, challenge.sample)

        mover.catch_up()
        decision, champion = judge_and_move(mover, challenge, served, version, params)

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
            "settings": {"rules": [rule.settings for rule in params.rules]},
        }
        mlflow.log_dict(verdict, VERDICT_FILE)
        registry.show(verdict, challenge.card)

    for line in describe_outcomes(verdict["rules"]):
        say(line)
    if differences:
        say(describe_differences(differences))
    say(f"{decision.verdict}: {decision.words} ({watch})")
    write_json(outputs.verdict, SCHEMA.put_on(verdict))
