"""`make lint` holds who may import whom; here each contract is shown to fail on one breach."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Contract → (module, what it may not import), or the path of a module that has no place.
BREACHES = {
    "no circle at any depth": ("common.tracking.server", "components.common.tracking.journal"),
    "rooms do not import each other": ("predict.answers", "components.ingest.digits"),
    "common imports no room": ("common.files.writing", "components.ingest.digits"),
    "layers of common": ("common.artifacts.manifest", "components.common.shards.tfrecord"),
    "layers of validate": "validate/stray.py",
    "layers of preprocess": "preprocess/stray.py",
    "layers of train": ("train.selection.kept", "components.train.runtime.machines"),
    "layers of evaluate": ("evaluate.metrics.ends", "components.evaluate.report.words"),
    "layers of promote": ("promote.gate.floors", "components.promote.serving.sample"),
    "layers of predict": ("predict.listing", "components.predict.watch"),
    "layers of init": "init/stray.py",
    "one door to the server's libraries": ("predict.run", "starlette"),
    "a served model carries little": ("common.serving.classifier", "sklearn"),
    "no network before train, nor in the gate": (
        "preprocess.sizes",
        "components.common.shards.examples",
    ),
    "the gate knows no registry": ("promote.gate.evidence", "mlflow"),
    "a stage knows no command line": ("ingest.run", "components.common.cli"),
    "rooms and common know nothing of the cluster": ("ingest.placing", "pipelines.graph"),
    "what tasks do in the image knows no kfp": ("pipelines.steps.views", "kfp"),
    "pipelines imports no room": ("pipelines.graph", "components.train.spec"),
    "one door to mlflow": ("evaluate.records", "mlflow"),
    "one door to great_expectations": ("validate.run", "great_expectations"),
    "one door to optuna": ("train.run", "optuna"),
    "one door to cleanlab": ("evaluate.origin", "cleanlab"),
    "one door to matplotlib": ("train.feed.pictures", "matplotlib"),
    "one door to jinja2": ("promote.history", "jinja2"),
    "one door to simplejpeg": ("preprocess.sizes", "simplejpeg"),
    "one door to pi_heif": ("preprocess.sizes", "pi_heif"),
}


def read_contracts() -> list[str]:
    """Return the names of the contracts."""
    found = configparser.ConfigParser()
    found.read(ROOT / ".importlinter")
    return [found[part]["name"] for part in found.sections() if ":" in part]


def lint(folder: Path) -> str:
    """Return what lint-imports prints of a checkout."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what lint-imports says of a copy with all breaches."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("components", "pipelines"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / ".importlinter", folder)
    for breach in BREACHES.values():
        if isinstance(breach, str):
            (folder / "components" / breach).write_text('"""Nobody said where I belong."""\n')
            continue
        module, wrong = breach
        path = module.replace(".", "/") + ".py"
        file = folder / path if module.startswith("pipelines.") else folder / "components" / path
        file.write_text(f"{file.read_text()}\n\nimport {wrong}\n")
    return lint(folder)


def test_every_contract_has_a_breach() -> None:
    assert sorted(BREACHES) == sorted(read_contracts())


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_breaks_its_contract(broken: str, contract: str) -> None:
    assert f"{contract} BROKEN" in broken
    part = broken.split(f"\n{contract}\n---", 1)[1].split("\n\n\n\n", 1)[0]
    breach = BREACHES[contract]
    if isinstance(breach, str):
        assert breach.removesuffix(".py").replace("/", ".") in part
    elif contract == "no circle at any depth":  # named as siblings are
        assert " -> ".join(f".{module.rpartition('.')[2]}" for module in breach) in part
    else:
        assert breach[0] in part
        assert breach[1] in part
