"""Settings: one frozen tree, read from `BIST_…` variables (`__` for nesting), never at import.

>>> Settings(horizon_sessions=21).horizon_sessions
21
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bist_pipeline.errors import ConfigError

SourceName = Literal["synthetic", "files", "yahoo", "snapshot"]
FaultName = Literal[
    "",
    "unit_change_x10",
    "volume_in_lots",
    "stale_feed",
    "missing_column",
    "nan_surge",
    "ipo_wave",
    "volatility_x2",
    "sign_flip",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SyntheticSettings(_Part):
    """The built-in market: who has no data feed yet can still run everything."""

    seed: int = Field(default=7, ge=0)
    symbols: int = Field(default=120, ge=40, le=2000)
    # About six years; it grows with the calendar, and its past never changes.
    first_session: dt.date = dt.date(2020, 11, 23)
    # Annualised cross-sectional signal: see sources/invented_market.py for the rank IC it implies.
    signal: float = Field(default=0.8, ge=0.0, le=3.0)
    # What goes wrong (sources/faults.py), and from when on: by default in the newest session.
    fault: FaultName = ""
    fault_from: dt.date | None = None


class YahooSettings(_Part):
    """How Yahoo is asked: gently, because it throttles."""

    first_session: dt.date = dt.date(2010, 1, 4)
    # Shares asked for without a pause, and the pause after them.
    chunk: int = Field(default=20, ge=1)
    pause_seconds: float = Field(default=1.0, ge=0)
    # The wait before another try doubles from here; a part of it is left to chance.
    tries: int = Field(default=5, ge=1)
    backoff_seconds: float = Field(default=4.0, ge=0)


class ValidationSettings(_Part):
    """Walk-forward: expanding window, purged by the horizon plus an embargo, refit every block."""

    folds: int = Field(default=4, ge=2, le=40)
    block_sessions: int = Field(default=63, ge=5)
    embargo_sessions: int = Field(default=5, ge=0)
    sample_every: int = Field(default=5, ge=1)
    min_train_sessions: int = Field(default=252, ge=63)
    min_symbols: int = Field(default=30, ge=10)


class TrainingSettings(_Part):
    """Hyper-parameters of the blend and its intervals; every one of them is logged with the run."""

    trees: int = Field(default=300, ge=1)
    learning_rate: float = Field(default=0.03, gt=0)
    leaves: int = Field(default=15, ge=2)
    depth: int = 5
    min_child_samples: int = Field(default=500, ge=1)
    column_share: float = Field(default=0.3, gt=0, le=1)
    row_share: float = Field(default=0.5, gt=0, le=1)
    l2: float = Field(default=10.0, ge=0)
    seeds: tuple[int, ...] = (1, 2, 3)
    # Beside the sum of squared errors, features being ranks between 0 and 1.
    ridge_penalty: float = Field(default=1000.0, gt=0)
    threads: int = Field(default=2, ge=1)
    interval: float = Field(default=0.8, gt=0, lt=1)
    interval_trees: int = Field(default=60, ge=1)
    interval_learning_rate: float = Field(default=0.1, gt=0)
    calibration_sessions: int = Field(default=126, ge=21)
    # Hyper-parameters to try on each model's own past (needs the extra `tuning`); 0 takes these as they are.
    search_trials: int = Field(default=0, ge=0, le=1000)


class ServingSettings(_Part):
    """The REST API and the pages; none of it matters to the pipeline."""

    # Outside development, sample passwords and keys are refused at the start.
    environment: Literal["development", "production"] = "development"
    # Names under which the server is reached; `*.example.org` stands for all below it, `*` for any.
    trusted_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    # Whose key it is -> the key's SHA-256 in hexadecimal. Without any, everyone may read.
    api_keys: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = {}
    requests_per_minute: int = Field(default=600, ge=1)
    # How often the database is asked whether something new is published.
    poll_seconds: float = Field(default=0.25, ge=0.05, le=60)
    # Where readers find these user interfaces; the page /model links to those that are set.
    mlflow_page: str = Field(default="", pattern="^(https?://.+)?$")
    airflow_page: str = Field(default="", pattern="^(https?://.+)?$")


class AlertSettings(_Part):
    """Who is told when an episode of drift begins, besides the log: by e-mail, by webhook, or both."""

    smtp_host: str = ""
    smtp_port: int = Field(default=25, ge=1, le=65535)
    # STARTTLS; with a user name it is never left out.
    smtp_starttls: bool = False
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    mail_from: str = "bist-pipeline@localhost"
    mail_to: tuple[str, ...] = ()
    webhook_url: str = Field(default="", pattern="^(https?://.*)?$")
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)


class Settings(BaseSettings):
    """Everything a run depends on besides the session itself."""

    model_config = SettingsConfigDict(
        env_prefix="BIST_", env_nested_delimiter="__", frozen=True, extra="ignore", env_ignore_empty=True
    )

    home: Path = Path("var")
    source: SourceName = "synthetic"
    source_path: str = ""
    # A snapshot does not say its date; this one is the date of the data set that the source was written for.
    snapshot_session: dt.date = dt.date(2024, 12, 23)
    # A table of reported figures, used beside the prices of any source.
    fundamentals_path: str = ""
    database_url: str = ""
    lake_url: str = ""
    mlflow_url: str = ""
    # How servers log: lines for people, or one JSON object a line, as in containers.
    log_format: Literal["text", "json"] = "text"
    horizon_sessions: int = Field(default=63, ge=1, le=252)
    synthetic: SyntheticSettings = SyntheticSettings()
    yahoo: YahooSettings = YahooSettings()
    validation: ValidationSettings = ValidationSettings()
    training: TrainingSettings = TrainingSettings()
    alerts: AlertSettings = AlertSettings()
    serving: ServingSettings = ServingSettings()

    @model_validator(mode="before")
    @classmethod
    def _default_places(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or "var").absolute()
        places = {
            "database_url": f"sqlite:///{home}/bist.db",
            "lake_url": str(home / "lake"),
            "mlflow_url": f"sqlite:///{home}/mlflow.db",
        }
        given = {name: value for name, value in values.items() if value not in (None, "")}
        return {**places, **given, "home": home}


def load_settings(**overrides: Any) -> Settings:
    """Build the settings from the environment; `overrides` that are not None win.

    Raises
    ------
    ConfigError
        If a value is unknown or out of range; all offending settings are named.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        problems = [_in_words(problem) for problem in error.errors()]
        raise ConfigError(
            f"{len(problems)} setting(s) cannot be used: {'; '.join(problems)}.",
            next_step="correct the option or the BIST_… variable named above",
        ) from error


def _in_words(problem: Any) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']} (got {problem['input']!r})"
