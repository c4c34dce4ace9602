"""The model registry of MLflow: versions, what they carry, and the aliases that point at them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.errors import DarkroomError
from components.common.files import read_json
from components.common.model import ModelCard
from components.promote.evidence import Evidence, parse_evidence
from components.promote.package import save_package

CHAMPION, CHALLENGER = "champion", "challenger"
# Tags of a version begin so; `darkroom.model_digest` is the sha256 of its model.keras.
PREFIX = "darkroom."
MODEL_DIGEST, EVALUATION_RUN = f"{PREFIX}model_digest", f"{PREFIX}evaluation_run"
# The evaluation among the artifacts of a run.
EVALUATION, METRICS, PREDICTIONS = "evaluation", "metrics.json", "predictions.parquet"


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
            if "'" in self.name or '"' in self.name:  # MLflow takes them, but finds them no more
                raise self.mlflow.exceptions.MlflowException.invalid_parameter_value("quotes")
            self.client.create_registered_model(self.name)
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise DarkroomError(
                    f"mlflow.registered_model: {self.name!r} is no legal name ({error.message}); "
                    "letters, digits, spaces, - and _ are"
                ) from None
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def find_version(self, digest: str) -> str | None:
        """Return the version that holds a model file of this sha256, None if there is none."""
        found = self.client.search_model_versions(
            f"name = '{self.name}' and tags.`{MODEL_DIGEST}` = '{digest}'"
        )
        return str(found[0].version) if found else None

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
        self, file: Path, card: ModelCard, tags: Mapping[str, str], figures: Mapping[str, float]
    ) -> str:
        """Upload a model file as it will be served, and return its new version.

        The version is made last and with all its tags, so none exists half.

        Args:
            file: the model file.
            card: what it says of itself.
            tags: of the version.
            figures: metrics that MLflow's pages show beside the model.
        """
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
                save_package(self.mlflow, folder, file, card, meta)
                client.log_model_artifacts(logged.model_id, str(folder))
        except BaseException:
            client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        client.finalize_logged_model(logged.model_id, "READY")
        output = self.mlflow.entities.LoggedModelOutput(logged.model_id, step=0)
        client.log_outputs(info.run_id, [output])
        self.mlflow.log_metrics(dict(figures), model_id=logged.model_id)
        version = client.create_model_version(
            self.name,
            source=f"models:/{logged.model_id}",
            run_id=info.run_id,
            tags=dict(tags),
            model_id=logged.model_id,
        )
        return str(version.version)

    def set_tags(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; equal ones are not sent again."""
        known = self.client.get_model_version(self.name, version).tags
        for key, value in tags.items():
            if known.get(key) != value:
                self.client.set_model_version_tag(self.name, version, key, value)

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self.client.set_registered_model_alias(self.name, alias, version)

    def list_aliases(self, version: str) -> list[str]:
        """Return the aliases that point at a version, sorted."""
        return sorted(self.client.get_model_version(self.name, version).aliases)

    def log_evaluation(self, metrics: Path, predictions: Path) -> None:
        """Keep the evaluation with the active run, where the next challenger will look for it."""
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            shutil.copy(metrics, Path(folder) / METRICS)
            shutil.copy(predictions, Path(folder) / PREDICTIONS)
            self.mlflow.log_artifacts(folder, EVALUATION)

    def read_evidence(self, version: Any) -> Evidence | None:
        """Return the figures of a version from the run that measured it, None if there are none."""
        run_id = version.tags.get(EVALUATION_RUN) or version.run_id
        if not run_id:
            return None
        file = f"{EVALUATION}/{METRICS}"
        try:
            found = [entry.path for entry in self.client.list_artifacts(run_id, EVALUATION)]
        except self.mlflow.exceptions.MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None  # the run is gone
            raise
        if file not in found:
            return None
        with tempfile.TemporaryDirectory(prefix="darkroom-") as folder:
            local = self.client.download_artifacts(run_id, file, folder)
            try:
                return parse_evidence(read_json(Path(local)), file)
            except DarkroomError:
                return None  # written by something else
