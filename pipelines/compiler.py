"""Compile the pipeline to YAML: the same settings give the same bytes."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from pathlib import Path

from components.common.errors import DarkroomError
from components.common.files.writing import write_text
from pipelines.settings import Settings

HEADER = "# The pipeline `darkroom`, written by `python -m pipelines compile`.\n"


def compile_pipeline(settings: Settings) -> str:
    """Return the pipeline as YAML: the pipeline's spec, then what is Kubernetes' own."""
    # kfp takes a second to import: --help and a bad params.yaml do not wait for it.
    from kfp import compiler

    from pipelines.dag import create_pipeline
    from pipelines.graph import check_pipeline

    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
        warnings.simplefilter("ignore")
        file = Path(folder) / "pipeline.yaml"
        pipeline = create_pipeline(settings.kubeflow, settings.parameters)
        compiler.Compiler().compile(pipeline, str(file))
        text = HEADER + strip_comments(file.read_text(encoding="utf-8"))
    problems = check_pipeline(text)
    if problems:
        raise DarkroomError(f"the compiled pipeline has loose ends: {'; '.join(problems)}")
    return text


def strip_comments(text: str) -> str:
    """Return compiled YAML without kfp's header: it lists the defaults in an order of chance."""
    lines = text.splitlines(keepends=True)
    return "".join(itertools.dropwhile(lambda line: line.startswith("#"), lines))


def write_pipeline(settings: Settings, target: Path) -> None:
    """Compile to a file, whole or not at all."""
    write_text(target, compile_pipeline(settings), header=HEADER)
