"""Compile the pipeline to YAML: the same settings give the same bytes."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files.writing import write_text
from pipelines.settings import BATCH, DARKROOM, Settings

# Pipeline → the action that writes it.
ACTIONS = {DARKROOM: "compile", BATCH: "predict --compile"}


def compile_pipeline(settings: Settings) -> str:
    """Return the pipeline as YAML: the pipeline's spec, then what is Kubernetes' own."""
    # kfp takes a second to import: --help and a bad params.yaml do not wait for it.
    from kfp import compiler

    from pipelines.graph import check_pipeline

    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        warnings.simplefilter("ignore")
        file = Path(folder) / "pipeline.yaml"
        pipeline = create_pipeline(settings)
        compiler.Compiler().compile(pipeline, str(file))
        text = write_header(settings) + strip_comments(file.read_text(encoding="utf-8"))
    problems = check_pipeline(text)
    if problems:
        raise DarkroomError(f"the compiled pipeline has loose ends: {'; '.join(problems)}")
    return text


def create_pipeline(settings: Settings) -> Any:
    """Return the pipeline that settings are of, its parameters preset with theirs."""
    from pipelines import dag

    create = dag.create_batch if settings.pipeline == BATCH else dag.create_pipeline
    return create(settings.kubeflow, settings.parameters)


def write_header(settings: Settings) -> str:
    """Return the first line of a compiled pipeline, by which a file is known as ours."""
    name = settings.pipeline
    return f"# The pipeline `{name}`, written by `python -m pipelines {ACTIONS[name]}`.\n"


def strip_comments(text: str) -> str:
    """Return compiled YAML without kfp's header: it lists the defaults in an order of chance."""
    lines = text.splitlines(keepends=True)
    return "".join(itertools.dropwhile(lambda line: line.startswith("#"), lines))


def write_pipeline(settings: Settings, target: Path) -> None:
    """Compile to a file, whole or not at all."""
    write_text(target, compile_pipeline(settings), header=write_header(settings))
