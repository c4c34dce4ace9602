"""Section kubeflow and --set: what is refused, what is text, what a task asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from components.common.errors import DarkroomError
from pipelines.cli import main
from pipelines.settings import read_settings
from tests.pipelines.conftest import PARAMS
from tests.pipelines.test_compile import compile_with, executors, load


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.finetune.epoch=3", "did you mean `train.finetune.epochs`?"),
        ("train.finetune.epochs=many", "train.finetune.epochs must be a valid integer"),
        ("kubeflow.tasks.record_end={retries: 0}", "record_end, which is no task any more"),
        ("kubeflow.secrets=[{name: a, tasks: [trian]}]", "not trian"),
        ("kubeflow.tasks.train={cpu: true}", "Kubernetes quantity"),
        ("kubeflow.tasks.trian={cpu: '1'}", "not trian"),
        ("kubeflow.tasks.train={cpus: '1'}", "left out, it is no legal key"),
        ("kubeflow.tasks.train={memory: lots}", "Kubernetes quantity"),
        ("kubeflow.distributed.nodes=2", "volume.claim"),
        ("kubeflow.tasks.trian.cpu=1", "did you mean `kubeflow.tasks.train.cpu`"),
        ("kubeflow.tasks.train.cpu.x=1", "unknown key"),
        ("kubeflow.tasks.train=5", "must be an object"),
        ("kubeflow.pods.labels.a=[1]", "kubeflow.pods.labels.a must be a valid string"),
        ('kubeflow.experiment="a', "found unexpected end of stream"),
        ("train.finetune.epochs=*x", "found undefined alias"),
        ("nonsense", "section.key=value"),
        (
            "validate.near_duplicate_bits=3",
            "--set: validate.near_duplicate_bits has moved: set data.near_duplicate_bits instead",
        ),
    ],
)
def test_a_wrong_setting_is_refused(change: str, words: str) -> None:
    with pytest.raises(DarkroomError) as caught:
        read_settings(PARAMS, [change])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("kubeflow.tasks.train.cpu=1", lambda one: one.tasks["train"].cpu == "1"),
        ("kubeflow.tasks.train.memory=2.5", lambda one: one.tasks["train"].memory == "2.5"),
        ("kubeflow.tasks.train={cpu: 16}", lambda one: one.find_resources("train").cpu == "16"),
        ("kubeflow.fetch.revision=12345678", lambda one: one.fetch.revision == "12345678"),
        ("kubeflow.fetch.revision=1234e56", lambda one: one.fetch.revision == "1234e56"),
        ("kubeflow.experiment=2026-11-28", lambda one: one.experiment == "2026-11-28"),
        ("kubeflow.experiment=on", lambda one: one.experiment == "on"),
        (
            "kubeflow.tasks.train={node_selector: {gpu: true, zone: 3}}",
            lambda one: one.tasks["train"].node_selector == {"gpu": "true", "zone": "3"},
        ),
        ("kubeflow.pods.labels.queue=7", lambda one: one.pods.labels == {"queue": "7"}),
        ("kubeflow.experiment=*stars", lambda one: one.experiment == "*stars"),
        ("kubeflow.experiment=@home: 50 %", lambda one: one.experiment == "@home: 50 %"),
        ("kubeflow.experiment=photos #2", lambda one: one.experiment == "photos #2"),
        ("kubeflow.experiment=[a]", lambda one: one.experiment == "[a]"),
        ("kubeflow.experiment= a=b ", lambda one: one.experiment == "a=b"),
        ('kubeflow.experiment="it\'s: \\u00e4 "', lambda one: one.experiment == "it's: \xe4 "),
        # A task that params.yaml does not name, and keys of their own with dots and slashes.
        ("kubeflow.tasks.fetch.memory=2Gi", lambda one: one.tasks["fetch"].memory == "2Gi"),
        ("kubeflow.tasks.plan_shards.retries=5", lambda one: one.tasks["plan_shards"].retries == 5),
        (
            "kubeflow.tasks.fetch.node_selector.kubernetes.io/arch=arm64",
            lambda one: one.tasks["fetch"].node_selector == {"kubernetes.io/arch": "arm64"},
        ),
        (
            "kubeflow.pods.labels.kueue.x-k8s.io/queue-name=photos",
            lambda one: one.pods.labels == {"kueue.x-k8s.io/queue-name": "photos"},
        ),
        (
            "kubeflow.pods.annotations.'sidecar.istio.io/inject'=false",
            lambda one: one.pods.annotations == {"sidecar.istio.io/inject": "false"},
        ),
        ("preprocess.size_px=64", lambda one: True),  # `auto` or a number: a number stays one
    ],
)
def test_what_only_text_can_stand_in_is_text(change: str, wanted: Any) -> None:
    assert wanted(read_settings(PARAMS, [change]).kubeflow)


def test_no_gpu_is_asked_for_without_an_image_that_has_cuda() -> None:
    for image, count in (("", 0), ("darkroom:gpu", 1)):
        settings = read_settings(PARAMS, [f"kubeflow.gpu_image={image}"]).kubeflow
        assert settings.find_resources("train").gpus == count
        assert settings.find_image("train") == (image or "darkroom:latest")
    spec, _ = load(compile_with())
    assert not [one for one in executors(spec).values() if "accelerator" in one["resources"]]


def test_a_request_is_never_more_than_the_limit() -> None:
    tight = "kubeflow.tasks.fetch={cpu: 250m, memory: 512Mi}"
    found = read_settings(PARAMS, [tight]).kubeflow.find_resources("fetch")
    assert (found.cpu_request, found.memory_request) == ("250m", "512Mi")


@pytest.mark.parametrize("key", ["validate.near_duplicate_bits", "data.near_duplicate_bits"])
def test_an_old_params_file_is_told_before_any_change_of_it(key: str, tmp_path: Path) -> None:
    new = "  near_duplicate_bits: 4"
    (line,) = (line for line in PARAMS.read_text().splitlines() if line.startswith(new))
    text = PARAMS.read_text().replace(f"{line}\n", "", 1)
    old = tmp_path / "params.yaml"
    old.write_text(text.replace("\nvalidate:\n", f"\nvalidate:\n{line}\n", 1))
    with pytest.raises(DarkroomError, match=r"params\.yaml: validate\.near_duplicate_bits has"):
        read_settings(old, [f"{key}=3"])


def test_a_wrong_key_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "p.yaml"
    with pytest.raises(SystemExit) as caught:
        main(
            ["compile", "--params", str(PARAMS), "--set", "promot.rules=1", "--output", str(output)]
        )
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("source", "sha256", "pinned"),
    [
        ("digits", "", True),
        ("photos.tar", "0" * 64, True),
        ("s3://bucket/photos.zip", "0" * 64, True),
        ("s3://bucket/photos", "", False),  # a folder holds others tomorrow
    ],
)
def test_only_images_that_cannot_change_come_from_the_cache(
    source: str, sha256: str, pinned: bool
) -> None:
    from pipelines.steps.fetch import is_pinned

    fetch = {"source": "", "revision": ""}
    assert is_pinned(fetch, {"source": source, "sha256": sha256}) == pinned


def test_corrections_travel_inside_the_parameter_and_validate_reads_them(tmp_path: Path) -> None:
    from components.validate.layouts.corrections import read_corrections

    file = tmp_path / "corrections.csv"
    digests = [hashlib.sha256(b"%d" % i).hexdigest() for i in range(1500)]
    rows = [
        f'"{digest}","t-shirt/{i:06d}.jpg","\'=a, ""b""","change","\'-shört","2026-11-28T10:00:00Z"'
        for i, digest in enumerate(digests)
    ]
    head = '"sha256","path","label","action","new_label","decided_at"'
    file.write_text("\r\n".join([head, *rows]), encoding="utf-8")
    sent = read_settings(PARAMS, [f"data.corrections={file}"])
    packed = sent.parameters["data"]["corrections"]
    assert len(packed) < 96_000
    wanted = [(one.sha256, one.label, one.outcome) for one in read_corrections(str(file))]
    assert wanted[0] == (digests[0], '=a, "b"', ("keep", "-shört"))
    got = [(one.sha256, one.label, one.outcome) for one in read_corrections(packed)]
    assert got == wanted

    file.write_text(head)  # nothing decided yet
    sent = read_settings(PARAMS, [f"data.corrections={file}"])
    assert read_corrections(sent.parameters["data"]["corrections"]) == []
    file.write_text("\n".join([head, *rows, *rows, *rows]))
    with pytest.raises(DarkroomError, match="4,500 corrections are more than"):
        read_settings(PARAMS, [f"data.corrections={file}"])
    with pytest.raises(DarkroomError, match=r"data\.corrections"):
        read_settings(PARAMS, ["data.corrections=gone.csv"])
