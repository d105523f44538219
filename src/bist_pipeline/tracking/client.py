"""A connection to MLflow: its environment, its passing warnings, its failures as errors of ours."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from bist_pipeline.errors import ConfigError, RegistryUnavailableError

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

__all__ = [
    "Dataset",
    "DatasetInput",
    "MlflowException",
    "StoredVersion",
    "connect",
    "is_server",
    "mlflow",
    "parse_url",
    "quiet",
]

_SERVER = ("http", "https")
_DATABASES = ("sqlite", "mysql", "mariadb", "postgresql")


def parse_url(url: str) -> sa.URL:
    """Read the address of a server or a database; ConfigError if it is neither."""
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


def is_server(url: sa.URL) -> bool:
    """Whether MLflow is asked over HTTP; else we read and write its database ourselves."""
    return url.drivername in _SERVER


@contextmanager
def connect(url: sa.URL) -> Iterator[mlflow.MlflowClient]:
    """Use MLflow at `url`; whatever it fails by leaves as RegistryUnavailableError, without the password."""
    plain, shown = (url.render_as_string(hide_password=hidden) for hidden in (False, True))
    with quiet():
        try:
            if not is_server(url):
                _require_database(url)
            mlflow.set_tracking_uri(plain)
            mlflow.set_registry_uri(plain)
            yield mlflow.MlflowClient()
        except (MlflowException, sa.exc.SQLAlchemyError, OSError) as error:
            raise RegistryUnavailableError(
                f"MLflow at {shown} failed: {_first_line(error).replace(plain, shown)}",
                next_step="check BIST_MLFLOW_URL and that MLflow answers there, then run it again",
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow from warning of its own affairs."""
    with warnings.catch_warnings():
        for message in _PASSING_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield


def _require_database(url: sa.URL) -> None:
    # MLflow itself would try a dead database for two minutes.
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
