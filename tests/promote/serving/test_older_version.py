"""A version registered by earlier code, which it carries inside, goes on serving."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from components.common.artifacts.model import CARD
from components.common.artifacts.predictions import Predictions
from components.common.tracking.server import find_uri
from components.predict.source import open_model
from components.promote.serving.check import starting_server
from components.promote.serving.sample import take_sample

ROOT = Path(__file__).parents[3]
# The last commit whose modules lay flat in their rooms: a version of it carries all of common.
BEFORE = "419587207dd1480d9afe72622a20c18a78099d7a"
REGISTER = """
import sys
from pathlib import Path
from components.common.files import compute_sha256
from components.common.model import read_card
from components.common.spec import Mlflow
from components.common.tracking import start_run
from components.promote.registry import MODEL_DIGEST, Registry

model = Path(sys.argv[1])
with start_run(Mlflow(), Path("run.json")) as mlflow:
    registry = Registry(mlflow, "darkroom")
    registry.create_model()
    tags = {MODEL_DIGEST: compute_sha256(model)}
    registry.set_alias("champion", registry.register(model, read_card(model), tags, {}, 0.45))
"""


@pytest.fixture
def earlier_code(tmp_path: Path) -> Path:
    """Return a folder with the components of the commit before."""
    done = subprocess.run(
        ["git", "-C", ROOT, "archive", BEFORE, "components"], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this checkout has no commit {BEFORE[:7]}: a shallow clone, or no repository")
    folder = tmp_path / "earlier"
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        # Python knows filters from 3.11.4 on; it is our own archive.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safe)
    return folder


def write_as_before(model: Path, target: Path) -> Path:
    """Write a model file as it was then: its card did not say which form it has."""
    with zipfile.ZipFile(model) as new, zipfile.ZipFile(target, "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == CARD:
                card = json.loads(content)
                del card["schema"]
                content = json.dumps(card).encode()
            old.writestr(name, content)
    return target


@pytest.mark.slow
def test_a_version_of_the_commit_before_the_move_answers_as_measured(
    earlier_code: Path,
    mlflow_store: Path,
    models: list[Path],
    photos: Path,
    evaluations: list[Predictions],
) -> None:
    subprocess.run(
        [sys.executable, "-c", REGISTER, write_as_before(models[0], mlflow_store / "old.keras")],
        cwd=mlflow_store,
        env={**os.environ, "PYTHONPATH": str(earlier_code)},
        check=True,
    )
    carried = [path.parent.name for path in (mlflow_store / "mlruns").rglob("lineage.py")]
    assert carried == ["common"]  # it is of the earlier form
    with starting_server(find_uri()) as server:
        served = server.check("models:/darkroom/1", take_sample(photos, evaluations[0], 8), 1.0)
    assert (served.problem, served.images) == ("", 8)
    with open_model("models:/darkroom@champion") as source:  # by its digest
        assert source.version == "1"
