"""The model registry: which version may score which session, and who is champion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from bist_pipeline.config import Settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import LookAheadError, NoModelError
from bist_pipeline.tracking.card import ModelCard, ModelVersion, as_tags, as_version
from bist_pipeline.tracking.client import (
    Dataset,
    DatasetInput,
    MlflowException,
    StoredVersion,
    connect,
    is_server,
    mlflow,
    parse_url,
)
from bist_pipeline.tracking.model_file import load_model, log_model

CHAMPION, CHALLENGER = "champion", "challenger"


class Registry:
    """Model versions of one source and horizon in MLflow.

    Parameters
    ----------
    settings : Settings
        Uses `mlflow_url` (of a server or a database, else ConfigError), `home`, `source` and
        `horizon_sessions`.
    """

    def __init__(self, settings: Settings) -> None:
        is_forecast = kind_of(settings.source) == "forecast"
        self.name = f"bist-rank-{settings.horizon_sessions}s" if is_forecast else "bist-snapshot-3m"
        self._source = settings.source
        self._url = parse_url(settings.mlflow_url)
        # A server knows where artifacts belong; with a database alone it is for us to say.
        folder = (settings.home / "mlflow-artifacts").absolute()
        self._artifacts = None if is_server(self._url) else folder.as_uri()

    def register(
        self,
        pipeline: Pipeline,
        example: pd.DataFrame,
        *,
        card: ModelCard,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        files: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Log a fitted pipeline with its run, and register it under the alias `challenger`.

        The version appears last: a crash leaves a run without a version, which nothing reads.

        Parameters
        ----------
        pipeline : Pipeline
            From `bist_pipeline.model.pipeline.build_pipeline`, fitted.
        example : DataFrame
            Rows it can predict, newest last; the signature is inferred from the last 100.
        card : ModelCard
            Becomes the tags of the version.
        params, metrics : mapping
            Of the run.
        files : mapping of str to str, optional
            File name to text (a figure as SVG, a report as HTML): what becomes artifacts of the run.

        Raises
        ------
        RegistryUnavailableError
            If MLflow does not answer or refuses; all other methods raise it too.
        ModelError
            If MLflow did not keep the signature.
        """
        with connect(self._url) as client:
            with mlflow.start_run(
                experiment_id=self._experiment(client, self.name),
                run_name=card.fingerprint,
                tags={"kind": kind_of(card.source)},
            ) as run:
                self._log_input(client, run.info.run_id, card.data_hash)
                mlflow.log_params(dict(params))
                mlflow.log_metrics(dict(metrics))
                _log_files(files or {})
                model_id = log_model(pipeline, example)
            stored = self._create_version(client, card, run_id=run.info.run_id, model_id=model_id)
        return ModelVersion(**vars(card), name=self.name, version=str(stored.version), promoted=False)

    def promote(self, model: ModelVersion, *, as_champion: bool = True) -> None:
        """Allow the version to score, and make it the champion.

        A model trained for a past session, after a newer champion, scores that past only: without
        `as_champion` the alias stays where it is.
        """
        with connect(self._url) as client:
            client.set_model_version_tag(self.name, model.version, "promoted", "true")
            if as_champion:
                client.set_registered_model_alias(self.name, CHAMPION, model.version)

    def champion(self) -> ModelVersion | None:
        """Return the version with the alias `champion`, whatever its source; None where there is none.

        Raises
        ------
        ModelError
            If somebody gave the alias to a version of another origin.
        """
        with connect(self._url) as client:
            stored = self._find_champion(client)
        return as_version(stored) if stored else None

    def find_by_fingerprint(self, fingerprint: str) -> ModelVersion | None:
        """Return the version trained on the same data with the same settings and code, if there is one."""
        with connect(self._url) as client:
            same = self._search(client, fingerprint=fingerprint)
        return same[0] if same else None

    def find_version(self, version: str) -> ModelVersion:
        """Return one version, promoted or not.

        Raises
        ------
        NoModelError
            If there is none of that number, or it is of another source.
        """
        with connect(self._url) as client:
            try:
                found = as_version(client.get_model_version(self.name, version))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                raise NoModelError(
                    f"{self.name} has no version {version!r}.",
                    consequence="Nothing was changed.",
                    next_step="restore the registry from a backup of that time",
                ) from error
        if found.source != self._source:
            raise NoModelError(
                f"{self.name} version {version} was trained on {found.source}, not on {self._source}.",
                consequence="Nothing was changed.",
                next_step=f"repeat the command with --source {found.source}",
            )
        return found

    def list_promoted(self) -> list[ModelVersion]:
        """Return the versions of this source that may score, in the order of what they have seen."""
        with connect(self._url) as client:
            promoted = self._search(client, promoted="true")
        return sorted(promoted, key=lambda model: (model.trained_through, int(model.version)))

    def find_for(self, session: dt.date) -> ModelVersion:
        """Return the model to score `session` with.

        The champion if it has not seen beyond `session`, else the promoted version that had seen most by
        then.

        Raises
        ------
        NoModelError
            If none of this source was ever promoted.
        LookAheadError
            If all promoted ones have seen sessions after `session`.
        """
        promoted = self.list_promoted()
        if not promoted:
            raise NoModelError(
                f"No model of the source {self._source} was promoted as {self.name}.",
                next_step=f"bist train --session {session}",
            )
        usable = [model for model in promoted if model.trained_through <= session]
        if not usable:
            earliest = promoted[0]
            raise LookAheadError(
                f"All {len(promoted)} promoted versions of {self.name} have seen sessions after {session};"
                f" the oldest, version {earliest.version}, was trained through {earliest.trained_through}.",
                next_step=f"bist train --session {session}",
            )
        champion = self.champion()
        return next((model for model in usable if champion and model.version == champion.version), usable[-1])

    def load(self, model: ModelVersion) -> Pipeline:
        """Load a registered pipeline, to the last bit as it was fitted.

        Raises
        ------
        ModelError
            If its file is missing, damaged or holds anything else than our pipeline.
        """
        called = f"{self.name} version {model.version}"
        with connect(self._url):
            return load_model(f"models:/{self.name}/{model.version}", called)

    def read_metrics(self, model: ModelVersion) -> dict[str, float]:
        """Read the metrics of the run that made a registered version."""
        with connect(self._url) as client:
            return dict(client.get_run(self._run_of(client, model)).data.metrics)

    def find_run(self, model: ModelVersion) -> str:
        """Return the id of the run that made a registered version: where MLflow shows its figures."""
        with connect(self._url) as client:
            return self._run_of(client, model)

    def record_backtest(
        self,
        name: str,
        *,
        data_hash: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        files: Mapping[str, str],
    ) -> None:
        """Log a backtest as a run of an experiment of its own, without a model.

        Parameters
        ----------
        name : str
            Of the run.
        data_hash : str
            Content hash of the prices.
        params, metrics : mapping
            Of the run.
        files : mapping of str to str
            File name to text: what becomes its artifacts.
        """
        with connect(self._url) as client:
            experiment = self._experiment(client, f"{self.name}-backtest")
            with mlflow.start_run(
                experiment_id=experiment, run_name=name, tags={"source": self._source}
            ) as run:
                self._log_input(client, run.info.run_id, data_hash)
                mlflow.log_params(dict(params))
                mlflow.log_metrics(dict(metrics))
                _log_files(files)

    def _run_of(self, client: mlflow.MlflowClient, model: ModelVersion) -> str:
        return str(client.get_model_version(self.name, model.version).run_id)

    def _experiment(self, client: mlflow.MlflowClient, name: str) -> str:
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return client.create_experiment(name, artifact_location=self._artifacts)
        return str(experiment.experiment_id)

    def _log_input(self, client: mlflow.MlflowClient, run_id: str, data_hash: str) -> None:
        data = Dataset(self._source, digest=data_hash, source_type="lake", source=self._source)
        client.log_inputs(run_id, [DatasetInput(data)])

    def _create_version(
        self, client: mlflow.MlflowClient, card: ModelCard, *, run_id: str, model_id: str
    ) -> StoredVersion:
        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        stored = client.create_model_version(
            self.name, f"models:/{model_id}", run_id, tags=as_tags(card), model_id=model_id
        )
        client.set_registered_model_alias(self.name, CHALLENGER, stored.version)
        return stored

    def _search(self, client: mlflow.MlflowClient, **tags: str) -> list[ModelVersion]:
        """Versions of this source with these tags, newest first."""
        wanted = {"source": self._source, **tags}
        tagged = " AND ".join(f"tags.{name} = '{value}'" for name, value in wanted.items())
        query = f"name = '{self.name}' AND {tagged}"
        found = client.search_model_versions(query, order_by=["version_number DESC"])
        return [as_version(stored) for stored in found]

    def _find_champion(self, client: mlflow.MlflowClient) -> StoredVersion | None:
        try:
            aliases = client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        version = aliases.get(CHAMPION)
        return None if version is None else client.get_model_version(self.name, version)


def _log_files(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        mlflow.log_text(text, name)
