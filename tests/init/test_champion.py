"""Own photos to a champion: init, then the stages as dvc.yaml runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.init.test_init import write_digits

ROOT = Path(__file__).parents[2]


@pytest.mark.e2e
def test_a_few_photos_become_a_champion(tmp_path: Path, mlflow_database: Path) -> None:
    known = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    program = Path(sys.executable).parent
    env = known | {"PATH": f"{program}{os.pathsep}{known['PATH']}", "PYTHONPATH": str(ROOT)}
    project = tmp_path / "project"
    project.mkdir()
    # The probe alone and few repetitions, so that it takes no minutes; all else as in a clone.
    params = YAML()
    settings = params.load(ROOT / "params.yaml")
    settings["train"]["finetune"]["epochs"] = 0
    settings["evaluate"] |= {"resamples": 100, "robustness_images": 2, "latency_runs": 3}
    settings["promote"]["served_images"] = 2
    params.dump(settings, project / "params.yaml")
    shutil.copy(mlflow_database, project)
    shutil.copy(ROOT / "dvc.yaml", project)
    write_digits(tmp_path / "Meine Fotos", 14)

    def call(command: str | list[str]) -> str:
        done = subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    said = call(["python", "-m", "components.init", "../Meine Fotos"])
    assert "  dvc repro\n" in said
    stages = YAML(typ="safe").load(project / "dvc.yaml")["stages"]
    for stage in stages.values():
        call(stage["cmd"])
    verdict = json.loads((project / "reports" / "verdict.json").read_text())
    assert verdict["verdict"] == "promoted", verdict
    assert "models:/meine-fotos@champion" in said
