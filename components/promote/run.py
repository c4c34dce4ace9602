"""Promote: evaluation + rules + champion → a registered version, its aliases, a verdict."""

from __future__ import annotations

from dataclasses import asdict

from components.common.files.writing import write_json
from components.common.terminal import Stopwatch, say
from components.common.tracking.recording import continue_run
from components.common.tracking.server import describe_uri, find_uri
from components.common.tracking.tags import PREFIX
from components.promote.challenge import keep_evaluation, read_challenge, register
from components.promote.gate.differences import describe_differences, list_differences
from components.promote.gate.outcomes import describe_outcomes
from components.promote.judging import challenge_aliases, judge_and_move
from components.promote.registry.moves import Mover, name_person
from components.promote.registry.registry import Registry
from components.promote.serving.check import starting_server
from components.promote.serving.exports import add_exports
from components.promote.spec import Inputs, Outputs, Params


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

        served = registry.check_served(version, server, challenge.sample)

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
