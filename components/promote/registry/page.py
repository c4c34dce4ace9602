"""What MLflow's pages show of a version, of a model and of the images: text for people."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.common.artifacts.model import ModelCard
from components.promote.gate.outcomes import describe_outcomes

MOST_CHARACTERS = 4500  # MLflow's databases hold 5,000
MOST_CLASSES, MOST_NAME = 40, 60  # classes, and characters of a class's name, in a description
MOST_WORDS = 600  # of a verdict or a rule
_SIGNS = re.compile(r"([\\`*_{}\[\]()#+!|~-])")  # that Markdown may take for its own
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}  # MLflow's words for splits


def describe_version(verdict: Mapping[str, Any], card: ModelCard, experiment_id: str) -> str:
    """Return the description of a version, in Markdown.

    Args:
        verdict: content of verdict.json.
        card: what the model says of itself.
        experiment_id: that holds the run which measured it.
    """
    return _cut("\n".join(_yield_version(verdict, card, experiment_id)))


def describe_model(name: str, card: ModelCard) -> str:
    """Return the description of a registered model, in Markdown."""
    address = _name(f"models:/{name}@champion")
    return _cut(
        f"Names which of {len(card.class_names)} classes a photo shows: "
        f"{_list_classes(card)}. Judge by the probability: it always names one of them.\n\n"
        f"`champion` is the version that serves, `challenger` the one that was judged last. Both "
        "are moved by Darkroom, by the rules or for a named person, and every move is on the "
        f"ledger: experiment `{name} ledger`, or `python -m components.promote history`. An alias "
        "that is moved here by hand stops the pipeline until a person answers for it.\n\n"
        f"Ask it: `python -m components.predict --model {address} PATH…`  \n"
        f"Serve it: `python -m components.predict serve --model {address}`"
    )


def create_datasets(entities: Any, card: ModelCard, lineage: Mapping[str, str], source: str) -> Any:
    """Return the splits as MLflow shows them: whose source is the images, with DVC's digest.

    Args:
        entities: `mlflow.entities`.
        card: of the model; it has the digest of each split.
        lineage: of the model.
        source: the folder of images.
    """
    place = {"uri": source, "dvc": lineage.get("images_dvc", "")}
    schema = {"image": "file", "label": "string", "classes": card.class_names[:MOST_CLASSES]}
    profile = {"classes": len(card.class_names), "size_px": card.form.size_px}
    return [
        entities.DatasetInput(
            entities.Dataset(
                name=f"{split} split of {Path(source).name}",
                digest=card.digests[split][:36],  # as much as MLflow keeps; the tags hold it whole
                source_type="local",
                source=json.dumps({key: value for key, value in place.items() if value}),
                schema=json.dumps(schema),
                profile=json.dumps(profile),
            ),
            [entities.InputTag("mlflow.data.context", context)],
        )
        for split, context in CONTEXTS.items()
        if split in card.digests
    ]


def _yield_version(
    verdict: Mapping[str, Any], card: ModelCard, experiment_id: str
) -> Iterator[str]:
    yield f"**{verdict['verdict'].replace('_', ' ')}**: {_quote(verdict['words'], MOST_WORDS)}"
    yield ""
    figures = verdict["figures"]
    for name, value in figures.items():
        if f"{name}.low" in figures:
            low, high = figures[f"{name}.low"], figures[f"{name}.high"]
            yield f"- {name} **{value:.1%}** ({low:.1%} to {high:.1%})"
        elif not name.endswith((".low", ".high")):
            yield f"- {name} **{value:.1%}**"
    yield ""
    run = f"#/experiments/{experiment_id}/runs/{verdict['run_id']}/artifacts"
    yield (
        f"[Report]({run}/evaluation/report.html) with confusion and Grad-CAM pictures, "
        f"[model card]({run}/evaluation/model_card.md), [verdict]({run}/promote/verdict.json)"
    )
    yield ""
    name = _name(f"models:/{verdict['model']}/{verdict['version']}")
    yield f"Ask it: `python -m components.predict --model {name} PATH…`  "
    yield f"Serve it: `python -m components.predict serve --model {name}`"
    yield ""
    yield f"{card.backbone}, weights {card.weights}, {card.phase}, {card.form.size_px} px;"
    yield f"{len(card.class_names)} classes: {_list_classes(card)}."
    known = verdict["lineage"]
    origins = [f"{key} `{known[key]}`" for key in ("git_commit", "images_dvc") if key in known]
    yield " · ".join(origins)
    yield ""
    yield "The rules:"
    yield ""
    yield from (f"- {_quote(line, MOST_WORDS)}" for line in describe_outcomes(verdict["rules"]))


def _list_classes(card: ModelCard) -> str:
    names = ", ".join(_quote(name) for name in card.class_names[:MOST_CLASSES])
    more = len(card.class_names) - MOST_CLASSES
    return f"{names} and {more} more" if more > 0 else names


def _quote(text: str, most: int = MOST_NAME) -> str:
    """Return a text as Markdown that shows it as it is, on one line: a class may have any name."""
    line = " ".join(text.split())
    short = line if len(line) <= most else f"{line[: most - 1]}…"
    return _SIGNS.sub(r"\\\1", html.escape(short, quote=False))


def _name(model: str) -> str:
    """Return the address of a model as a shell takes it."""
    return f"'{model}'" if " " in model else model


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
