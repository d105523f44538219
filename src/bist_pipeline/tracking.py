"""The model registry. The only file that talks to MLflow.

A model version carries, as tags, everything that decides whether it may score a session: the market it was
trained on, the newest session it has seen, the fingerprint of data, settings and code. What is served is
found by these and by the alias `champion`, never by "latest".
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd
import skops.io
import sqlalchemy as sa
from sklearn.pipeline import Pipeline

from bist_pipeline.config import Settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import (
    ConfigError,
    LookAheadError,
    ModelError,
    NoModelError,
    RegistryUnavailableError,
)
from bist_pipeline.model.gate import Skill

# Read by MLflow when it is imported, or at each request. A server that does not answer fails in seconds, and
# nothing is sent to MLflow's makers. What the user has set stays.
for _name, _value in {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)

import mlflow  # noqa: E402 (after its environment)
import mlflow.models  # noqa: E402
import mlflow.sklearn  # noqa: E402
from mlflow.entities import Dataset, DatasetInput  # noqa: E402
from mlflow.entities.model_registry import ModelVersion as StoredVersion  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

# What MLflow, its migrations and its HTTP client say in passing; what matters arrives as an exception.
_PASSING_WARNINGS = (
    "The ``noload`` loader strategy is deprecated",  # MLflow 3.17's own tables under SQLAlchemy 2.1
    ".*Any type hint is inferred as AnyType",  # of models inside MLflow, while it is imported
    r"The `airflow\.",  # skops looks into every loaded module; Airflow's forwarding ones warn of that
)
for _name in ("mlflow", "alembic", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.ERROR)

CHAMPION, CHALLENGER = "champion", "challenger"

# The model file holds these and what skops trusts by itself; a file that asks for more is not ours.
TRUSTED_TYPES = [
    "bist_pipeline.model.cross_fit.CrossFitEstimator",
    "bist_pipeline.model.forecaster.RankForecaster",
    "bist_pipeline.model.pipeline.ColumnSelector",
]
_REQUIREMENTS = ("bist-pipeline", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "skops")
_SERVER = ("http", "https")
_DATABASES = ("sqlite", "mysql", "mariadb", "postgresql")
# What skops raises for a file that is missing, cut short, of another version, or asks for other types.
_DAMAGED = (OSError, BadZipFile, KeyError, TypeError, ValueError, ImportError, AttributeError)


@dataclass(frozen=True)
class ModelCard:
    """Where a model comes from and what it proved.

    Parameters
    ----------
    source : str
        Market data it was trained on.
    horizon : int
        Sessions it looks ahead.
    data_hash : str
        Content hash of the prices up to `trained_through`; the lake reads them again by it.
    code_version : str
        Version of this package.
    trained_through : date
        Newest session whose prices it has seen; it must not score earlier ones.
    fingerprint : str
        Hash of data, settings and code: the same fingerprint is the same model.
    skill : "proven" or "unproven"
        Verdict of the promotion gate.
    rank_ic, nw_t : float
        Out-of-sample mean daily rank IC, and its Newey-West t.
    """

    source: str
    horizon: int
    data_hash: str
    code_version: str
    trained_through: dt.date
    fingerprint: str
    skill: Skill
    rank_ic: float
    nw_t: float


@dataclass(frozen=True)
class ModelVersion(ModelCard):
    """A registered model: its name, the number of the version, and whether it may score sessions."""

    name: str
    version: str
    promoted: bool


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
        self._url = _parse_url(settings.mlflow_url)
        # A server knows where artifacts belong; with a database alone it is for us to say.
        folder = (settings.home / "mlflow-artifacts").absolute()
        self._artifacts = None if self._url.drivername in _SERVER else folder.as_uri()

    def register(
        self,
        pipeline: Pipeline,
        example: pd.DataFrame,
        *,
        card: ModelCard,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
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

        Raises
        ------
        RegistryUnavailableError
            If MLflow does not answer or refuses; all other methods raise it too.
        ModelError
            If MLflow did not keep the signature.
        """
        with self._connect() as client:
            with mlflow.start_run(
                experiment_id=self._experiment(client),
                run_name=card.fingerprint,
                tags={"kind": kind_of(card.source)},
            ) as run:
                data = Dataset(card.source, digest=card.data_hash, source_type="lake", source=card.source)
                client.log_inputs(run.info.run_id, [DatasetInput(data)])
                mlflow.log_params(dict(params))
                mlflow.log_metrics(dict(metrics))
                model_id = _log_model(pipeline, example)
            stored = self._create_version(client, card, run_id=run.info.run_id, model_id=model_id)
        return ModelVersion(**vars(card), name=self.name, version=str(stored.version), promoted=False)

    def promote(self, model: ModelVersion, *, as_champion: bool = True) -> None:
        """Allow the version to score, and make it the champion.

        A model trained for a past session, after a newer champion, scores that past only: without
        `as_champion` the alias stays where it is.
        """
        with self._connect() as client:
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
        with self._connect() as client:
            stored = self._find_champion(client)
        return _as_version(stored) if stored else None

    def find_by_fingerprint(self, fingerprint: str) -> ModelVersion | None:
        """Return the version trained on the same data with the same settings and code, if there is one."""
        with self._connect() as client:
            same = self._search(client, fingerprint=fingerprint)
        return same[0] if same else None

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
        with self._connect() as client:
            promoted = self._search(client, promoted="true")
            champion = self._find_champion(client) if promoted else None
        if not promoted:
            raise NoModelError(
                f"No model of the source {self._source} was promoted as {self.name}.",
                next_step=f"bist train --session {session}",
            )
        usable = [model for model in promoted if model.trained_through <= session]
        if not usable:
            earliest = min(promoted, key=lambda model: model.trained_through)
            raise LookAheadError(
                f"All {len(promoted)} promoted versions of {self.name} have seen sessions after {session};"
                f" the oldest, version {earliest.version}, was trained through {earliest.trained_through}.",
                next_step=f"bist train --session {session}",
            )
        by_age = sorted(usable, key=lambda model: (model.trained_through, int(model.version)))
        return next((m for m in by_age if champion and m.version == str(champion.version)), by_age[-1])

    def load(self, model: ModelVersion) -> Pipeline:
        """Load a registered pipeline.

        Only types of this package and those that skops trusts are constructed, whatever the stored
        description of the model allows.

        Raises
        ------
        ModelError
            If its file is missing, damaged or holds anything else than our pipeline.
        """
        with tempfile.TemporaryDirectory() as folder:
            with self._connect():
                uri = f"models:/{self.name}/{model.version}"
                path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
            try:
                with _quiet():
                    pipeline = skops.io.load(path / "model.skops", trusted=TRUSTED_TYPES)
            except _DAMAGED as error:
                raise ModelError(
                    f"{self.name} version {model.version} cannot be loaded: {error}.",
                    next_step="train it again (bist train), or promote an earlier version",
                ) from error
        if not isinstance(pipeline, Pipeline):
            raise ModelError(
                f"{self.name} version {model.version} holds a {type(pipeline).__name__}, no pipeline."
            )
        return pipeline

    def read_metrics(self, model: ModelVersion) -> dict[str, float]:
        """Read the metrics of the run that made a registered version."""
        with self._connect() as client:
            stored = client.get_model_version(self.name, model.version)
            return dict(client.get_run(str(stored.run_id)).data.metrics)

    @contextmanager
    def _connect(self) -> Iterator[mlflow.MlflowClient]:
        url = self._url.render_as_string(hide_password=False)
        with _quiet():
            try:
                if self._url.drivername not in _SERVER:
                    _require_database(self._url)
                mlflow.set_tracking_uri(url)
                mlflow.set_registry_uri(url)
                yield mlflow.MlflowClient()
            except (MlflowException, sa.exc.SQLAlchemyError, OSError) as error:
                shown = self._url.render_as_string(hide_password=True)
                raise RegistryUnavailableError(
                    f"MLflow at {shown} failed: {_first_line(error).replace(url, shown)}",
                    next_step="check BIST_MLFLOW_URL and that MLflow answers there, then run it again",
                ) from error

    def _experiment(self, client: mlflow.MlflowClient) -> str:
        experiment = client.get_experiment_by_name(self.name)
        if experiment is None:
            return client.create_experiment(self.name, artifact_location=self._artifacts)
        return str(experiment.experiment_id)

    def _create_version(
        self, client: mlflow.MlflowClient, card: ModelCard, *, run_id: str, model_id: str
    ) -> StoredVersion:
        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        facts = {**asdict(card), "kind": kind_of(card.source)}
        tags = {name: str(value) for name, value in facts.items()}
        stored = client.create_model_version(
            self.name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id
        )
        client.set_registered_model_alias(self.name, CHALLENGER, stored.version)
        return stored

    def _search(self, client: mlflow.MlflowClient, **tags: str) -> list[ModelVersion]:
        """Versions of this source with these tags, newest first."""
        wanted = {"source": self._source, **tags}
        tagged = " AND ".join(f"tags.{name} = '{value}'" for name, value in wanted.items())
        query = f"name = '{self.name}' AND {tagged}"
        found = client.search_model_versions(query, order_by=["version_number DESC"])
        return [_as_version(stored) for stored in found]

    def _find_champion(self, client: mlflow.MlflowClient) -> StoredVersion | None:
        try:
            aliases = client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        version = aliases.get(CHAMPION)
        return None if version is None else client.get_model_version(self.name, version)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _PASSING_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield


def _parse_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in (*_SERVER, *_DATABASES):
        raise ConfigError(
            f"mlflow_url {url!r} is neither a server (http://…) nor a database (sqlite:///…, mysql+mysqldb://…).",
            next_step="set BIST_MLFLOW_URL, or unset it to use a local SQLite file",
        )
    return parsed


def _require_database(url: sa.URL) -> None:
    # MLflow itself would try a dead database for two minutes.
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names()


def _log_model(pipeline: Pipeline, example: pd.DataFrame) -> str:
    """Log the pipeline to the active run; return the model's id."""
    # The newest rows: the oldest lack the features of long windows.
    rows = pipeline[:-1].transform(example.tail(100))
    info = mlflow.sklearn.log_model(
        pipeline,
        name="model",
        signature=mlflow.models.infer_signature(rows, pipeline.predict(rows)),
        input_example=rows.tail(5),
        pip_requirements=[f"{name}=={installed_version(name)}" for name in _REQUIREMENTS],
        skops_trusted_types=TRUSTED_TYPES,
    )
    # MLflow drops a signature it cannot store with no more than a warning.
    if mlflow.models.get_model_info(info.model_uri).signature is None:
        raise ModelError("MLflow stored the model without its signature.", next_step="bist train")
    return str(info.model_id)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _as_version(stored: StoredVersion) -> ModelVersion:
    tags = stored.tags
    try:
        return ModelVersion(
            source=tags["source"],
            horizon=int(tags["horizon"]),
            data_hash=tags["data_hash"],
            code_version=tags["code_version"],
            trained_through=dt.date.fromisoformat(tags["trained_through"]),
            fingerprint=tags["fingerprint"],
            skill="proven" if tags["skill"] == "proven" else "unproven",
            rank_ic=float(tags["rank_ic"]),
            nw_t=float(tags["nw_t"]),
            name=stored.name,
            version=str(stored.version),
            promoted=tags.get("promoted") == "true",
        )
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{stored.name} version {stored.version} has no usable tag {error}: it is not ours.",
            next_step="in MLflow, remove its alias and its tag promoted",
        ) from error
