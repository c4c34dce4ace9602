"""Any name that a file system takes goes through dvc.yaml and the rooms that see images."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.e2e.project import Project, clone

# What shells, DVC, YAML, CSV, HTML and globs read as their own.
SOURCE = 'data/Anna\'s "photos" (2024) $HOME `x` [a]*; ünï 🎉 #1 %20 & a=b ${data.source} \\'
CLASSES = ('-cat\'s "1" (a)', "$HOME {x}", "ünï <b>&amp;<b> 🎉", 'new\nline, "q"; #%20')

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_any_name_goes_through_dvc(tmp_path: Path) -> None:
    clone(tmp_path)
    for place, label in enumerate(CLASSES):
        folder = tmp_path / SOURCE / label
        folder.mkdir(parents=True)
        for number in range(12):
            image = Image.new("L", (40, 40), 50 * place + 30)
            image.putpixel((number, place), 255)
            image.save(folder / f"-{number} '$(x)' [ü]\n<i>&#.png")
    yaml = YAML()
    params = yaml.load(tmp_path / "params.yaml")
    params["data"]["source"] = SOURCE
    yaml.dump(params, tmp_path / "params.yaml")
    project = Project(tmp_path)
    project.call("git", "init", "--quiet")
    project.call("dvc", "repro", "preprocess")
    manifest = pd.read_parquet(tmp_path / "data" / "manifest.parquet")
    assert set(manifest["label"]) == set(CLASSES)
    assert set(manifest["status"]) == {"ok"}
    dataset = json.loads(project.read("data/shards/dataset.json"))
    assert set(dataset["class_names"]) == set(CLASSES)
    page = project.read("reports/data_docs/index.html")
    assert "ünï &lt;b&gt;&amp;amp;&lt;b&gt; 🎉" in page
    assert "<b>&amp;<b> 🎉" not in page
    assert "up to date" in project.call("dvc", "repro", "preprocess")
    # Another folder: the command is the same, yet the stages run again.
    (tmp_path / SOURCE).rename(tmp_path / "data" / "-s")
    params["data"]["source"] = "data/-s"
    yaml.dump(params, tmp_path / "params.yaml")
    printed = project.call("dvc", "repro", "ingest", "preprocess")
    assert "nothing to bring in: the pipeline reads data/-s" in printed
    assert "Running stage 'validate'" in printed
