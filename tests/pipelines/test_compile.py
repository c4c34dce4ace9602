"""The compiled pipeline: the same bytes always, no loose ends, what params.yaml asks for."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from components.common.settings.kubeflow import TASKS
from pipelines.compiler import compile_pipeline
from pipelines.graph import check_pipeline, find_loose_ends, parse_messages
from pipelines.settings import read_settings
from tests.pipelines import page

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"
STORE = "kubeflow.fetch.source=s3://photos/mine"
GOLDEN = Path(__file__).parent / "golden.yaml"


def compile_with(*changes: str) -> str:
    return compile_pipeline(read_settings(PARAMS, changes))


def load(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    spec, platform = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return spec, platform


@pytest.fixture(scope="module")
def compiled() -> str:
    return compile_with()


def executors(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix("exec-").replace("-", "_"): one["container"]
        for name, one in spec["deploymentSpec"]["executors"].items()
    }


def on_kubernetes(platform: dict[str, Any]) -> dict[str, Any]:
    found = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-").replace("-", "_"): one for name, one in found.items()}


def find_tasks(spec: dict[str, Any]) -> dict[str, Any]:
    """Return every task of every DAG by the name of its function."""
    found = {}
    for component in (spec["root"], *spec["components"].values()):
        for name, task in component.get("dag", {}).get("tasks", {}).items():
            found[name.replace("-", "_")] = task
    return found


def without_defaults(text: str) -> Any:
    spec, platform = load(text)
    for parameter in spec["root"]["inputDefinitions"]["parameters"].values():
        parameter.pop("defaultValue")
    return spec, platform


def test_the_golden_copy_is_what_compile_prints(compiled: str) -> None:
    # The defaults come and go with params.yaml, and are compared with it below.
    renew = "python -m pipelines compile --output tests/pipelines/golden.yaml"
    golden = GOLDEN.read_text()
    assert without_defaults(compiled) == without_defaults(golden), f"meant? Then renew it: {renew}"


def test_the_parameters_are_the_sections_of_params_yaml(compiled: str) -> None:
    written = YAML(typ="safe", pure=True).load(PARAMS.read_text())
    written["fetch"] = written.pop("kubeflow")["fetch"]
    written.pop("machine")  # kubeflow.tasks says it of each task
    written.pop("predict")  # no stage: what a server may use
    parameters = load(compiled)[0]["root"]["inputDefinitions"]["parameters"]
    assert {name: one["defaultValue"] for name, one in parameters.items()} == written


def test_another_process_and_folder_compile_the_same_bytes(compiled: str, tmp_path: Path) -> None:
    command = ["-m", "pipelines", "compile", "--params", str(PARAMS), "--output", "p.yaml"]
    subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
        capture_output=True,
    )
    assert (tmp_path / "p.yaml").read_text() == compiled


def test_compile_imports_nothing_that_rooms_work_with(tmp_path: Path) -> None:
    code = (
        "import sys; from pipelines.cli import main; main(sys.argv[1:]); "
        "rooms_work_with = {'tensorflow', 'keras', 'mlflow', 'pandas', 'great_expectations'}; "
        "heavy = rooms_work_with & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    words = ["compile", "--params", str(PARAMS), "--output", str(tmp_path / "p.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert (tmp_path / "p.yaml").read_text() == compile_with()


def test_kfp_reads_it_and_nothing_dangles(compiled: str) -> None:
    assert check_pipeline(compiled) == []


MANY = {"plan_checks", "check_images", "judge_images"}


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ((), {"find_images"} | MANY),
        (("kubeflow.volume.claim=photos",), {"find_images", "validate"}),
        ((STORE,), {"validate"}),
        ((STORE, "kubeflow.fetch.images=copies"), MANY),
    ],
)
def test_every_task_runs_in_the_projects_image_and_installs_nothing(
    changes: tuple[str, ...], others: set[str]
) -> None:
    spec, _ = load(compile_with(*changes))
    found = executors(spec)
    assert set(found) == set(TASKS) - others
    for container in found.values():
        assert container["image"] == "darkroom:latest"
        assert "pip install" not in " ".join(container["command"] + container["args"])


BREAKS = {
    "a task that is depended on": (
        "root/promote: depends on nobody",
        lambda spec: spec["root"]["dag"]["tasks"]["promote"]["dependentTasks"].append("nobody"),
    ),
    "a component": (
        "no component comp-none",
        lambda spec: find_tasks(spec)["train"]["componentRef"].update(name="comp-none"),
    ),
    "an input that nothing feeds": (
        "nothing feeds input shards",
        lambda spec: find_tasks(spec)["train"]["inputs"]["artifacts"].pop("shards"),
    ),
    "an output that is not": (
        "comes from train.modell",
        lambda spec: find_tasks(spec)["evaluate"]["inputs"]["artifacts"]["model"][
            "taskOutputArtifact"
        ].update(outputArtifactKey="modell"),
    ),
    "an unknown input": (
        "input nonsense is unknown",
        lambda spec: find_tasks(spec)["train"]["inputs"]["parameters"].update(
            nonsense={"runtimeValue": {"constant": 1}}
        ),
    ),
    "an input of the surrounding component": (
        "has no input nowhere",
        lambda spec: find_tasks(spec)["fetch"]["inputs"]["parameters"]["ingest"].update(
            componentInputParameter="nowhere"
        ),
    ),
    "an executor": (
        "no executor exec-train",
        lambda spec: spec["deploymentSpec"]["executors"].pop("exec-train"),
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_loose_end_is_found(compiled: str, what: str) -> None:
    words, damage = BREAKS[what]
    spec, platform = load(compiled)
    damaged = copy.deepcopy(spec)
    damage(damaged)
    assert any(words in one for one in find_loose_ends(damaged, platform))


def test_what_kfp_does_not_know_does_not_parse(compiled: str) -> None:
    from google.protobuf.json_format import ParseError

    spec, platform = load(compiled)
    spec["root"]["surprise"] = 1
    with pytest.raises(ParseError):
        parse_messages(spec, platform)


def test_resources_are_those_of_params_yaml() -> None:
    spec, platform = load(
        compile_with(
            "kubeflow.gpu_image=darkroom:gpu",
            "kubeflow.volume.claim=photos",
            "kubeflow.secrets=[{name: store, env: {id: AWS_ACCESS_KEY_ID}}]",
            "kubeflow.tasks.default={cpu: 500m, memory: 1Gi, retries: 1, backoff_seconds: 7}",
            "kubeflow.tasks.train={cpu: '8', gpus: 2, gpu_type: amd.com/gpu, shared_memory: 3Gi, "
            "node_selector: {disk: fast}, tolerations: [{key: gpu, effect: NoSchedule}], "
            "timeout_seconds: 60, cache: false}",
        )
    )
    train, validate = executors(spec)["train"], executors(spec)["plan_shards"]
    assert train["resources"]["resourceCpuRequest"] == "500m"
    assert validate["resources"]["resourceMemoryRequest"] == "1Gi"
    assert (train["image"], validate["image"]) == ("darkroom:gpu", "darkroom:latest")
    assert train["resources"]["resourceCpuLimit"] == "8"
    assert train["resources"]["resourceMemoryLimit"] == "1Gi"  # as in `default`
    assert train["resources"]["accelerator"]["resourceType"] == "amd.com/gpu"
    assert train["resources"]["accelerator"]["resourceCount"] == "2"
    assert validate["resources"]["resourceCpuLimit"] == "500m"
    assert "accelerator" not in validate["resources"]

    pod = on_kubernetes(platform)["train"]
    assert pod["nodeSelector"]["labels"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"effect": "NoSchedule", "key": "gpu", "operator": "Exists"}]
    assert pod["activeDeadlineSeconds"] == "60"
    mounts = {one["mountPath"]: one for one in pod["emptyDirMounts"]}
    assert mounts["/dev/shm"] == {
        "medium": "Memory",
        "mountPath": "/dev/shm",
        "sizeLimit": "3Gi",
        "volumeName": "shm",
    }
    assert pod["pvcMount"][0]["mountPath"] == "/mnt/darkroom"
    assert pod["secretAsEnv"][0]["keyToEnv"] == [{"envVar": "AWS_ACCESS_KEY_ID", "secretKey": "id"}]
    tasks = find_tasks(spec)
    assert tasks["train"]["retryPolicy"]["maxRetryCount"] == 1
    assert tasks["train"]["retryPolicy"]["backoffDuration"] == "7s"
    assert not tasks["train"]["cachingOptions"].get("enableCache")
    assert tasks["validate"]["cachingOptions"]["enableCache"] is True


def test_a_pod_knows_its_kfp_run_and_the_digest_of_its_image() -> None:
    digest = "sha256:" + "b" * 64
    spec, platform = load(compile_with(f"kubeflow.image=registry/darkroom@{digest}"))
    for name, container in executors(spec).items():
        assert container["env"] == [{"name": "DARKROOM_IMAGE_DIGEST", "value": digest}], name
        (field,) = on_kubernetes(platform)[name]["fieldPathAsEnv"]
        # KFP's API server labels every pod of a run with it.
        assert field == {
            "name": "DARKROOM_KFP_RUN_ID",
            "fieldPath": "metadata.labels['pipeline/runid']",
        }


def test_what_looks_at_the_outside_world_is_never_cached(compiled: str) -> None:
    tasks = find_tasks(load(compiled)[0])
    assert not tasks["promote"]["cachingOptions"].get("enableCache")
    assert tasks["fetch"]["cachingOptions"]["enableCache"] is True


@pytest.mark.parametrize(
    ("revision", "cached"), [("main", False), ("v1.0", False), ("4" * 40, True)]
)
def test_a_source_is_looked_at_again_unless_it_is_a_commit(revision: str, cached: bool) -> None:
    text = compile_with(
        "kubeflow.fetch.source=https://host/photos.git", f"kubeflow.fetch.revision='{revision}'"
    )
    options = {n: one.get("cachingOptions", {}) for n, one in find_tasks(load(text)[0]).items()}
    assert bool(options["find_images"].get("enableCache")) is cached
    assert options["fetch"]["enableCache"] is True  # keyed by what was found


def test_parts_of_a_task_ask_for_what_it_asks_for() -> None:
    spec, platform = load(
        compile_with(
            STORE,
            "kubeflow.tasks.validate={memory: 32Gi}",
            "kubeflow.tasks.judge_images={memory: 64Gi}",
            "kubeflow.secrets=[{name: store, env: {id: AWS_ID}, tasks: [fetch, validate]}]",
        )
    )
    limits = {
        name: one["resources"]["resourceMemoryLimit"] for name, one in executors(spec).items()
    }
    assert (limits["check_images"], limits["judge_images"]) == ("32Gi", "64Gi")
    with_it = {name for name, pod in on_kubernetes(platform).items() if "secretAsEnv" in pod}
    assert with_it == {"find_images", "fetch"} | MANY


def test_the_defaults_fit_a_node_of_two_cores_and_four_gigabytes(compiled: str) -> None:
    for name, one in executors(load(compiled)[0]).items():
        assert one["resources"]["resourceCpuRequest"] == "500m", name
        assert one["resources"]["resourceMemoryRequest"] in ("1Gi", "2Gi"), name


def test_what_all_pods_have_and_how_long_a_run_may_take() -> None:
    _, platform = load(
        compile_with(
            "kubeflow.pods={pull_secrets: [registry], pull_policy: IfNotPresent, "
            "labels: {kueue.x-k8s.io/queue-name: photos}, "
            "annotations: {sidecar.istio.io/inject: false}}",
            "kubeflow.timeout_seconds=3600",
            "kubeflow.ttl_seconds=60",
            "kubeflow.tasks.default={tmp_size: 20Gi}",
        )
    )
    for name, pod in on_kubernetes(platform).items():
        assert pod["imagePullSecret"][0]["secretName"] == "registry", name
        assert pod["imagePullPolicy"] == "IfNotPresent"
        assert pod["podMetadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "photos"}
        assert pod["podMetadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
        assert pod["emptyDirMounts"][0]["sizeLimit"] == "20Gi"
    whole = platform["platforms"]["kubernetes"]["pipelineConfig"]
    assert whole["activeDeadlineSeconds"] == 3600
    assert whole["resourceTtlOnCompletion"] == 60


def test_a_secret_reaches_the_tasks_that_need_it_alone(compiled: str) -> None:
    pods = on_kubernetes(load(compiled)[1])
    with_it = {name for name, pod in pods.items() if "secretAsEnv" in pod}
    assert with_it == {"fetch", "train", "evaluate", "promote"}
    # What makes a TrainJob notes in MLflow how it ended.
    pods = on_kubernetes(load(compile_with(*NODES))[1])
    with_it = {name for name, pod in pods.items() if "secretAsEnv" in pod}
    assert with_it == {"fetch", "train_on_nodes", "evaluate", "promote"}


NODES = ("kubeflow.volume.claim=photos", "kubeflow.distributed.nodes=4")


@pytest.mark.parametrize("changes", [(), NODES[:1], NODES, (STORE,), (*NODES, STORE)])
def test_the_page_shows_the_rooms_on_one_screen(changes: tuple[str, ...]) -> None:
    """Of dagre 0.8.5, with its edges: 1,569 x 1,028 px, and with a volume 1,390 x 930."""
    spec, _ = load(compile_with(*changes))
    graph = page.read_graph(spec)
    tasks = [graph.labels[key] for key, kind in graph.kinds.items() if kind != "artifact"]
    rooms = {"fetch", "validate", "preprocess", "train", "evaluate", "promote"}
    assert sorted(tasks) == sorted(rooms)
    layout = page.lay_out(graph)
    assert layout.height_px <= 1100
    assert layout.width_px <= 1100  # dagre's is up to twice as wide
    groups = [key for key, kind in graph.kinds.items() if kind == "group"]
    insides = [page.read_graph(spec, key.removeprefix("task.")) for key in groups]
    shown = {label for one in insides for label in one.labels.values()}
    assert {"plan shards", "write shards", "collect shards"} <= shown
    assert ("find images" in shown) == (changes == (STORE,))
    for one in insides:
        assert max(page.lay_out(one).width_px, page.lay_out(one).height_px) <= 1100
    for label in (*graph.labels.values(), *shown):
        if not label.startswith("pipelinechannel"):
            assert len(label) <= page.LABEL_CHARACTERS, label
    assert page.draw(graph).count("<rect") == len(graph.labels)
