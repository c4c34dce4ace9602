"""The stage on a real MLflow: what is registered, who becomes champion, what a second run does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.common.artifacts.predictions import Predictions
from components.common.errors import DarkroomError
from components.common.files.writing import compute_sha256
from components.common.settings.spec import Mlflow
from components.common.tracking.recording import start_recorded_run
from components.common.tracking.runs import read_run_id
from components.common.tracking.server import import_mlflow
from components.promote.registry import registry
from components.promote.run import run
from components.promote.spec import Inputs, Outputs, Params, Rule
from tests.promote.conftest import RULES, TEST, Promote, aliases, count_versions

ROOT = Path(registry.__file__).parents[3]
LayOut = Callable[..., Inputs]


def test_first_model_is_registered_with_all_that_it_carries(
    promote: Promote, mlflow_store: Path
) -> None:
    verdict = promote()
    assert (verdict["verdict"], verdict["version"]) == ("promoted", "1")
    assert verdict["aliases"] == ["challenger", "champion"]
    assert aliases() == {"challenger": "1", "champion": "1"}
    floor = next(rule for rule in verdict["rules"] if rule["limit"] == "at_least")
    assert floor == {
        "rule": "accuracy at least 0.8",
        "metric": "accuracy",
        "limit": "at_least",
        "threshold": 0.8,
        "figure": 0.9,
        "interval": [0.9 - 0.05, 0.9 + 0.05],
        "champion": None,
        "outcome": "passed",
        "words": "accuracy 0.9 is at least 0.8",
        "images": None,
        "images_needed": None,
        "p_value": None,
    }
    mlflow = import_mlflow()
    version = mlflow.MlflowClient().get_model_version("darkroom", "1")
    run_id = read_run_id(mlflow_store / "run.json")
    assert version.run_id == run_id == verdict["run_id"]
    assert mlflow.get_run(run_id).info.status == "FINISHED"
    digest = compute_sha256(mlflow_store / "model.keras")
    expected = {
        "darkroom.model_digest": digest,
        "darkroom.test_digest": TEST,
        "darkroom.manifest_digest": "m" * 64,
        "darkroom.splits_digest": "s" * 64,
        "darkroom.run_id": run_id,
        "darkroom.served": "passed",
        "darkroom.verdict": "promoted",
        "darkroom.verdict_words": verdict["words"],
        "metrics.accuracy": "0.9",
        "metrics.macro.f1": "0.85",
    }
    assert expected.items() <= version.tags.items()
    logged = mlflow.get_logged_model(version.source.removeprefix("models:/"))
    # One spelling: that of evaluate.
    ends = {"test_accuracy_low": 0.9 - 0.05, "test_accuracy_high": 0.9 + 0.05}
    shown = {"test_accuracy": 0.9, "test_macro_f1": 0.85} | ends
    assert {m.key: m.value for m in logged.metrics} == shown
    tracked = mlflow.get_run(run_id).data.metrics
    assert {k: v for k, v in tracked.items() if not k.startswith("system/")} == shown
    assert "**promoted**: every rule holds" in version.description
    assert "- accuracy **90.0%** (85.0% to 95.0%)" in version.description
    assert "models:/darkroom/1 PATH" in version.description
    model = mlflow.MlflowClient().get_registered_model("darkroom")
    assert "2 classes a photo shows: cat, dog" in model.description
    (used,) = mlflow.get_run(run_id).inputs.dataset_inputs
    assert used.dataset.name == "test split of images"
    assert json.loads(used.dataset.source) == {"uri": "data/images"}
    assert logged.status == "READY"
    assert verdict["lineage"]["params_digest"] == version.tags["darkroom.params_digest"]
    # From any of its origins one finds the version.
    found = mlflow.MlflowClient().search_model_versions(f"tags.`darkroom.test_digest` = '{TEST}'")
    assert [v.version for v in found] == [version.version]


def test_model_is_packed_to_be_served_without_pickles(promote: Promote) -> None:
    promote()
    mlflow = import_mlflow()
    folder = Path(mlflow.artifacts.download_artifacts("models:/darkroom@champion"))
    assert not [f for f in folder.rglob("*") if f.suffix in (".pkl", ".pickle", ".pyc")]
    info = mlflow.models.get_model_info("models:/darkroom@champion")
    assert info.signature.inputs.to_dict() == [
        {"type": "binary", "name": "image", "required": True}
    ]
    outputs = {column["name"]: column for column in info.signature.outputs.to_dict()}
    assert list(outputs) == ["label", "probability", "unsure", "probabilities", "reason"]
    assert set(outputs["probabilities"]["properties"]) == {"cat", "dog"}
    assert info.saved_input_example_info is not None
    pins = (folder / "requirements.txt").read_text().split()
    assert all("==" in pin for pin in pins)
    assert {pin.split("==")[0] for pin in pins} >= {"mlflow", "tensorflow", "keras", "pillow"}


def test_running_again_registers_nothing(promote: Promote) -> None:
    first = promote()
    again = promote(same_run=True)
    assert (first["newly_registered"], again["newly_registered"]) == (True, False)
    assert (again["verdict"], again["version"], again["run_id"]) == (
        "promoted",
        "1",
        first["run_id"],
    )
    assert "was champion already" in again["words"]
    # Nor does the same file from another run.
    assert promote()["version"] == "1"
    assert count_versions() == 1


def test_challenger_replaces_or_does_not(promote: Promote) -> None:
    promote(0, accuracy=0.90)
    worse = promote(1, accuracy=0.85)
    assert worse["verdict"] == "rejected"
    assert worse["aliases"] == ["challenger"]
    assert worse["champion_before"] == "1"
    assert "accuracy 0.85 is 0.05 worse than the champion's 0.9" in worse["words"]
    assert "version 1 stays champion" in worse["words"]
    assert aliases() == {"challenger": "2", "champion": "1"}
    as_good = promote(2, accuracy=0.895)
    assert as_good["verdict"] == "promoted"
    assert next(r for r in as_good["rules"] if r["limit"] == "champion_margin")["champion"] == 0.9
    assert aliases() == {"challenger": "3", "champion": "3"}


def test_champion_on_other_images_is_incomparable(promote: Promote) -> None:
    promote(0)
    verdict = promote(1, accuracy=0.99, digest="u" * 64)
    assert verdict["verdict"] == "incomparable"
    assert "version 1, was measured on other test images" in verdict["words"]
    assert aliases() == {"challenger": "2", "champion": "1"}


def test_champion_whose_evaluation_is_lost_is_incomparable(
    promote: Promote, mlflow_store: Path
) -> None:
    run_id = promote(0)["run_id"]
    artifacts = import_mlflow().get_run(run_id).info.artifact_uri
    folder = Path(artifacts.removeprefix("file://")) / "evaluation"
    assert sorted(file.name for file in folder.iterdir()) == [
        "metrics.json",
        "predictions.parquet",
        "reference.parquet",
        "sample.parquet",
    ]
    shutil.rmtree(folder)
    verdict = promote(1, accuracy=0.99)
    assert verdict["verdict"] == "incomparable"
    assert "has no evaluation" in verdict["words"]


def test_no_rules_and_failed_data_promote_nothing(promote: Promote) -> None:
    assert promote(0, rules=[])["verdict"] == "no_rules"
    assert promote(1, data="failed")["verdict"] == "rejected"
    assert aliases() == {"challenger": "2"}
    # The rules of today decide on the version of yesterday.
    assert promote(0)["verdict"] == "promoted"
    assert aliases() == {"challenger": "1", "champion": "1"}


def test_unknown_metric_is_refused_before_anything_is_registered(promote: Promote) -> None:
    with pytest.raises(DarkroomError, match="holds no `acuracy`; did you mean `accuracy`"):
        promote(rules=[Rule("acuracy", at_least=0.8)])
    assert import_mlflow().MlflowClient().search_registered_models() == []


@pytest.mark.parametrize("name", ["a/b", "a:b", "it's", ""])
def test_illegal_name_is_refused(mlflow_store: Path, lay_out: LayOut, name: str) -> None:
    inputs = lay_out()
    with start_recorded_run(Mlflow(), inputs.run):
        pass
    with pytest.raises(DarkroomError, match="is no legal name"):
        run(
            inputs,
            Outputs(mlflow_store / "verdict.json"),
            Params(RULES, mlflow=Mlflow(registered_model=name)),
        )


@pytest.mark.usefixtures("quick_server")
@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("metrics.json", "{}", "holds no evaluation with a test_digest"),
        ("metrics.json", "{", "damaged, not JSON"),
        ("validation.json", "[]", "holds no status of the data; run validate again"),
        ("run.json", "{}", "holds no run_id; run train again"),
        (
            "predictions.parquet",
            "text",
            "not a readable table of predictions .*; run evaluate again",
        ),
        ("model.keras", "text", "not a model that Darkroom trained"),
    ],
)
def test_damaged_input_is_named(
    mlflow_store: Path, lay_out: LayOut, file: str, content: str, words: str
) -> None:
    inputs = lay_out()
    with start_recorded_run(Mlflow(), inputs.run):
        pass
    (mlflow_store / file).write_text(content)
    with pytest.raises(DarkroomError, match=rf"{file}: {words}"):
        run(inputs, Outputs(mlflow_store / "verdict.json"), Params(RULES))
    assert not (mlflow_store / "verdict.json").exists()


def test_broken_upload_leaves_no_version_and_is_healed(
    promote: Promote, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*arguments: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "save_package", break_down)
        with pytest.raises(OSError, match="No space left"):
            promote(0)
    assert count_versions() == 0
    mlflow = import_mlflow()
    assert mlflow.get_run(read_run_id(mlflow_store / "run.json")).info.status == "FAILED"
    assert not (mlflow_store / "verdict.json").exists()
    assert promote(0, same_run=True)["verdict"] == "promoted"
    assert mlflow.get_run(read_run_id(mlflow_store / "run.json")).info.status == "FINISHED"


def test_paired_rule_and_threshold_go_through(
    promote: Promote, evaluations: list[Predictions], capsys: pytest.CaptureFixture[str]
) -> None:
    """The second model is right on all 30 images, the first on fewer: no luck."""
    better = Rule("accuracy", better_by=0)
    assert promote(0, rules=[better])["verdict"] == "promoted"
    verdict = promote(1, rules=[better], unsure_below=0.7)
    assert verdict["verdict"] == "promoted", verdict["words"]
    outcome = verdict["rules"][-1]
    assert outcome["images"] == 30
    assert outcome["p_value"] < 0.05
    version = import_mlflow().MlflowClient().get_model_version("darkroom", "2")
    assert version.tags["darkroom.unsure_below"] == "0.7"
    verdict = promote(0, rules=[better])
    assert verdict["verdict"] == "rejected"
    assert "worse than the champion's on 30 same images" in verdict["words"]
    # The images are named; the champion is right on all of them.
    mine, best = evaluations[0], evaluations[1]
    wrong = [p for p, right in zip(mine.paths, mine.correct, strict=True) if not right]
    found = verdict["against_champion"]
    assert best.correct.all()
    assert wrong
    assert (found["won_paths"], found["lost_paths"]) == ([], wrong)
    assert (found["won"], found["lost"], found["images"]) == (0, len(wrong), 30)
    said = capsys.readouterr().out
    assert f"version 2: 0 images won, {len(wrong)} lost of 30 that both saw" in said
    # Another threshold is another model to those who are served.
    assert promote(1, rules=[better], unsure_below=0.8)["version"] == "3"


def test_origin_of_the_cluster_is_kept(promote: Promote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_KFP_RUN_ID", "kfp-17")
    assert promote()["lineage"]["kfp_run_id"] == "kfp-17"
    found = (
        import_mlflow()
        .MlflowClient()
        .search_model_versions("tags.`darkroom.kfp_run_id` = 'kfp-17'")
    )
    assert [str(version.version) for version in found] == ["1"]


def test_image_that_is_gone_or_changed_is_named(
    lay_out: LayOut, mlflow_store: Path, photos: Path, tmp_path: Path
) -> None:
    import dataclasses

    images = Path(shutil.copytree(photos, tmp_path / "images"))
    inputs = dataclasses.replace(lay_out(), images=images)
    for file in images.iterdir():
        file.write_bytes(b"other")
    with pytest.raises(DarkroomError, match="is not the image that was measured"):
        run(inputs, Outputs(mlflow_store / "verdict.json"), Params(RULES))
    shutil.rmtree(images)
    with pytest.raises(DarkroomError, match="this test image is not there"):
        run(inputs, Outputs(mlflow_store / "verdict.json"), Params(RULES))
