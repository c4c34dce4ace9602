"""The pipeline `darkroom-predict`: the same bytes always, what it asks for, where it may write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.common.settings.kubeflow import BATCH_TASKS
from pipelines.cli import main
from pipelines.graph import check_pipeline
from tests.pipelines.conftest import PARAMS
from tests.pipelines.server import Kfp
from tests.pipelines.test_compile import executors, find_tasks, load, on_kubernetes

GOLDEN = Path(__file__).parent / "golden-predict.yaml"
WHERE = ("--source", "s3://photos/new", "--output", "/mnt/darkroom/answers")
VOLUME = ("--set", "kubeflow.volume.claim=photos")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("compiled") / "predict.yaml"
    main(["predict", *WHERE, "--params", str(PARAMS), "--compile", str(file)])
    return file.read_text()


def without_defaults(text: str) -> Any:
    spec, platform = load(text)
    for parameter in spec["root"]["inputDefinitions"]["parameters"].values():
        parameter.pop("defaultValue")
    return spec, platform


def test_the_golden_copy_is_what_compile_prints(compiled: str) -> None:
    renew = f"python -m pipelines predict {' '.join(WHERE)} --compile tests/pipelines/{GOLDEN.name}"
    assert without_defaults(compiled) == without_defaults(GOLDEN.read_text()), f"meant? {renew}"


def test_its_parameters_are_what_was_asked_for(compiled: str) -> None:
    parameters = load(compiled)[0]["root"]["inputDefinitions"]["parameters"]
    found = {name: one["defaultValue"] for name, one in parameters.items()}
    assert found == {
        "source": WHERE[1],
        "output": WHERE[3],
        "model": "models:/darkroom@champion",
        "predict": yaml.safe_load(PARAMS.read_text())["predict"],
    }


def test_the_model_is_the_champion_of_the_model_that_params_name(tmp_path: Path) -> None:
    file = tmp_path / "predict.yaml"
    words = ["--params", str(PARAMS), "--set", "mlflow.registered_model=zoo"]
    main(["predict", *WHERE, *words, "--compile", str(file)])
    parameters = load(file.read_text())[0]["root"]["inputDefinitions"]["parameters"]
    assert parameters["model"]["defaultValue"] == "models:/zoo@champion"


def test_nothing_dangles_and_nothing_is_taken_from_the_cache(compiled: str) -> None:
    assert check_pipeline(compiled) == []
    spec, platform = load(compiled)
    assert sorted(executors(spec)) == sorted(BATCH_TASKS)
    tasks = find_tasks(spec)
    assert not any(tasks[name]["cachingOptions"].get("enableCache") for name in BATCH_TASKS)
    assert "sum-up-answers" in tasks["watch_answers"]["dependentTasks"]
    pods = on_kubernetes(platform)
    with_mlflow = {name for name, pod in pods.items() if "secretAsEnv" in pod}
    assert with_mlflow == set(BATCH_TASKS) - {"sum_up_answers"}


def test_it_is_submitted_and_scheduled(kfp: Kfp, call: Any) -> None:
    code, out, err = call("predict", *WHERE, *VOLUME)
    assert code == 0, err
    (sent,) = kfp.bodies("POST", "/runs")
    assert sent["display_name"].startswith("darkroom-predict ")
    assert sent["runtime_config"]["parameters"]["source"] == WHERE[1]
    assert "/runs/details/" in out
    code, out, err = call("predict", *WHERE, *VOLUME, "--cron", "0 0 3 * * *")
    assert code == 0, err
    (made,) = kfp.bodies("POST", "/recurringruns")
    assert made["display_name"] == "darkroom-predict"
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--source", "photos", "--output", "/mnt/darkroom/a", *VOLUME), "--source photos: the po"),
        ((*WHERE[:2], "--output", "out", *VOLUME), "--output out: the pods of a cluster share"),
        (("--source", "https://host/a", *WHERE[2:], *VOLUME), "--source https://host/a: the pods"),
        (WHERE, "on a volume: set its claim"),
        (("--source", "https://user:secret@host/a", *WHERE[2:], *VOLUME), "--source: the address"),
    ],
)
def test_what_pods_do_not_see_is_refused(
    kfp: Kfp, call: Any, words: tuple[str, ...], told: str
) -> None:
    code, _, err = call("predict", *words)
    assert code == 1
    assert told in err
    assert "secret@" not in err
    assert not kfp.asked
