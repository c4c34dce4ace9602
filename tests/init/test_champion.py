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
def test_a_few_photos_become_a_champion(tmp_path: Path) -> None:
    known = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    program = Path(sys.executable).parent
    env = known | {"PATH": f"{program}{os.pathsep}{known['PATH']}", "PYTHONPATH": str(ROOT)}
    project = tmp_path / "project"
    project.mkdir()
    # The probe alone, so that it takes no minutes; all else as a clone has it.
    params = (ROOT / "params.yaml").read_text().replace("epochs: auto", "epochs: 0")
    (project / "params.yaml").write_text(
        params.replace("robustness_images: 128", "robustness_images: 2")
    )
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
    photo = str(tmp_path / "Meine Fotos" / "digit-1" / "0.png")
    answer = call(
        ["python", "-m", "components.predict", "--model", "models:/meine-fotos@champion", photo]
    )
    assert "digit-1" in answer
