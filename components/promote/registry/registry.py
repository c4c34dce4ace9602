"""The model registry of MLflow: versions, what they carry, and the aliases that point at them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.artifacts.metrics import read_metrics
from components.common.artifacts.model import ModelCard
from components.common.artifacts.predictions import read_predictions
from components.common.artifacts.sample import Sample, read_sample, write_sample
from components.common.errors import DarkroomError
from components.common.files.writing import read_json
from components.common.serving.decisions import Decisions
from components.common.tracking.evaluations import fetch_evaluation
from components.common.tracking.failures import retry
from components.common.tracking.registered import VERSION
from components.common.tracking.tags import (
    DECISIONS_DIGEST,
    EVALUATION,
    EVALUATION_RUN,
    METRICS,
    MODEL_DIGEST,
    PACKAGE_BYTES,
    PREDICTIONS,
    REFERENCE,
    SAMPLE,
    UNSURE_BELOW,
)
from components.promote.gate.evidence import Evidence, parse_evidence
from components.promote.registry.page import create_datasets, describe_model, describe_version
from components.promote.serving.check import Served, Server
from components.promote.serving.package import save_package
from components.promote.spec import Rule

VERDICT_FILE = "promote/verdict.json"  # among the artifacts of the run that measured a version


@dataclass(frozen=True)
class Registry:
    """One registered model, by name; the run is the one that is active."""

    mlflow: Any
    name: str

    @property
    def client(self) -> Any:
        """MLflow's client of server and registry."""
        return self.mlflow.MlflowClient()

    def create_model(self) -> None:
        """Make the registered model, unless it is there."""
        try:
            self.client.create_registered_model(self.name)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def find(self, version: str) -> Any:
        """Return a model version, None if there is none of this number.

        To MLflow 02 and ٢ are version 2; to the ledger, whose seals go by the spelling, they are
        none that it knows.
        """
        if not VERSION.fullmatch(version):
            return None
        try:
            return self.client.get_model_version(self.name, version)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None

    def list_versions(self) -> Iterator[Any]:
        """Yield all model versions, the newest first."""
        token = None
        while True:
            page = self.client.search_model_versions(
                f"name = '{self.name}'", max_results=200, page_token=token
            )
            yield from sorted(page, key=lambda version: -int(version.version))
            token = page.token
            if not token:
                return

    def find_named(self, name: str) -> Any:
        """Return a registered model, None if there is none of this name."""
        try:
            return self.client.get_registered_model(name)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def find_version(self, digest: str, limits: Mapping[str, str]) -> str | None:
        """Return the version that holds a model file of this sha256, None if there is none.

        Args:
            digest: of the model file.
            limits: tags of what answers are judged by; other limits make another version.
        """
        found = self.client.search_model_versions(
            f"name = '{self.name}' and tags.`{MODEL_DIGEST}` = '{digest}'"
        )
        names = (UNSURE_BELOW, DECISIONS_DIGEST)
        same = [v for v in found if all(v.tags.get(n, "") == limits.get(n, "") for n in names)]
        return min((str(v.version) for v in same), key=int, default=None)

    def find_alias(self, alias: str) -> Any:
        """Return the model version that an alias points at, None if it points at none."""
        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except self.mlflow.exceptions.MlflowException as error:
            # A missing alias is called invalid, a missing model is called missing.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def register(
        self,
        file: Path,
        card: ModelCard,
        tags: Mapping[str, str],
        figures: Mapping[str, float],
        unsure_below: float | None = None,
        *,
        decisions: Decisions | None = None,
    ) -> str:
        """Upload a model file as it will be served, and return its new version.

        The version is made last and with all its tags, so none exists half.

        Args:
            file: the model file.
            card: what it says of itself.
            tags: of the version.
            figures: metrics that MLflow's pages show beside the model.
            unsure_below: a less probable answer is marked as unsure.
            decisions: all limits that answers are judged by, the one above among them.
        """
        limits = decisions or Decisions(unsure_below)
        client, info = self.client, self.mlflow.active_run().info
        logged = client.create_logged_model(
            info.experiment_id, "model", source_run_id=info.run_id, tags=dict(tags)
        )
        try:
            with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
                folder = Path(temporary) / "model"
                meta = self.mlflow.models.Model(
                    run_id=info.run_id,
                    model_id=logged.model_id,
                    model_uuid=logged.model_id,
                    artifact_path=logged.artifact_location,
                )
                save_package(folder, file, card, limits, meta)
                size = sum(part.stat().st_size for part in folder.rglob("*") if part.is_file())
                tags = {**tags, PACKAGE_BYTES: str(size)}
                retry(lambda: client.log_model_artifacts(logged.model_id, str(folder)))
            client.finalize_logged_model(logged.model_id, "READY")
        except BaseException:  # Ctrl-C too: a model must not stay pending for ever
            with contextlib.suppress(Exception):  # where the server is gone, it cannot be told
                client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        output = self.mlflow.entities.LoggedModelOutput(logged.model_id, step=0)
        client.log_outputs(info.run_id, [output])
        # As evaluate spells them: MLflow shows each figure once.
        spelt = {f"test_{name.replace('.', '_')}": value for name, value in figures.items()}
        self.mlflow.log_metrics(spelt, model_id=logged.model_id)
        version = client.create_model_version(
            self.name,
            source=f"models:/{logged.model_id}",
            run_id=info.run_id,
            tags=dict(tags),
            model_id=logged.model_id,
        )
        return str(version.version)

    def add_files(self, version: str, folder: Path) -> None:
        """Put what lies in a folder beside the model of a version."""
        source = self.client.get_model_version(self.name, version).source
        model_id = source.removeprefix("models:/")
        retry(lambda: self.client.log_model_artifacts(model_id, str(folder)))

    def set_tags(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; equal ones are not sent again."""
        known = self.client.get_model_version(self.name, version).tags
        for key, value in tags.items():
            if known.get(key) != value:
                self.client.set_model_version_tag(self.name, version, key, value)

    def show(self, verdict: Mapping[str, Any], card: ModelCard) -> None:
        """Describe a version and the model to those who look at MLflow's pages."""
        text = describe_version(verdict, card, self.mlflow.active_run().info.experiment_id)
        self.client.update_model_version(self.name, verdict["version"], text)
        self.client.update_registered_model(self.name, describe_model(self.name, card))

    def log_images(self, card: ModelCard, lineage: Mapping[str, str], source: str) -> None:
        """Say which images the active run has seen."""
        found = create_datasets(self.mlflow.entities, card, lineage, source)
        self.client.log_inputs(self.mlflow.active_run().info.run_id, found)

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self.client.set_registered_model_alias(self.name, alias, version)

    def remove_alias(self, alias: str) -> None:
        """Let an alias point at nothing."""
        self.client.delete_registered_model_alias(self.name, alias)

    def list_aliases(self, version: str) -> list[str]:
        """Return the aliases that point at a version, sorted."""
        return sorted(self.client.get_model_version(self.name, version).aliases)

    def log_evaluation(
        self, metrics: Path, predictions: Path, sample: Sample, reference: Path
    ) -> None:
        """Keep the evaluation with the active run, where the next challenger will look for it.

        Args:
            metrics: JSON file of evaluate.
            predictions: Parquet file of evaluate.
            sample: images for the check of the served model.
            reference: Parquet file, what the data looked like.
        """
        with tempfile.TemporaryDirectory(prefix="darkroom-") as temporary:
            made, folder = Path(temporary) / SAMPLE, Path(temporary) / EVALUATION
            write_sample(made, sample)
            folder.mkdir()
            names = {metrics: METRICS, predictions: PREDICTIONS, reference: REFERENCE, made: SAMPLE}
            for file, name in names.items():
                shutil.copy(file, folder / name)
            retry(lambda: self.mlflow.log_artifacts(str(folder), EVALUATION))

    def read_evidence(self, version: Any, with_predictions: bool) -> Evidence | None:
        """Return the figures of a version from the run that measured it, None if there are none.

        Args:
            version: the model version.
            with_predictions: fetch what they were computed from as well, where it is kept.
        """
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            file = fetch_evaluation(self.mlflow, version, METRICS, folder)
            if file is None:
                return None
            try:
                evidence = parse_evidence(read_metrics(file), METRICS)
            except DarkroomError:
                return None  # written by something else
            if not with_predictions:
                return evidence
            file = fetch_evaluation(self.mlflow, version, PREDICTIONS, folder)
            try:
                return evidence.with_predictions(None if file is None else read_predictions(file))
            except DarkroomError:
                return evidence

    def read_rules(self, version: Any) -> list[Rule]:
        """Return the rules that a version was judged by last; none if that is not known."""
        found = self._read_verdict(version).get("settings", {}).get("rules", [])
        return [Rule(**one) for one in found]

    def read_served(self, version: Any) -> dict[str, float]:
        """Return the figures of the served model as they were measured last; none if unknown."""
        found = self._read_verdict(version).get("served", {})
        return Served(**found).figures if found else {}

    def _read_verdict(self, version: Any) -> dict[str, Any]:
        """Return verdict.json of a version, empty where it is of another, or not kept."""
        run_id = version.tags.get(EVALUATION_RUN) or version.run_id
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            try:
                file = self.client.download_artifacts(run_id, VERDICT_FILE, folder)
                verdict = read_json(Path(file))
            except (self.mlflow.exceptions.MlflowException, OSError, DarkroomError):
                return {}
        is_own = isinstance(verdict, dict) and verdict.get("version") == version.version
        return verdict if is_own else {}

    def read_sample(self, version: Any) -> Sample:
        """Return the test images that are kept with a version; none if it has none."""
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            file = fetch_evaluation(self.mlflow, version, SAMPLE, folder)
            return Sample() if file is None else read_sample(file)

    def check_served(self, version: str, server: Server, sample: Sample) -> Served:
        """Load a version in the server's process and compare its answers over HTTP."""
        tags = self.client.get_model_version(self.name, version).tags
        mb = int(tags.get(PACKAGE_BYTES, 0)) / 1e6
        return server.check(f"models:/{self.name}/{version}", sample, mb)
