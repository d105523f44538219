"""The one place between a stage and Airflow: the form's settings in, a receipt or the error's policy out."""

from __future__ import annotations

import datetime as dt
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from structlog.contextvars import bind_contextvars

if TYPE_CHECKING:
    from bist_pipeline.config import Settings

log = logging.getLogger(__name__)


def run_stage(
    name: str,
    session: str,
    *,
    params: Mapping[str, Any],
    options: Mapping[str, Any],
    remember: Callable[[str], None],
) -> Any:
    """Run a stage with the settings of the trigger form; log its outcome in words and return it as JSON.

    Parameters
    ----------
    name : str
        One of `bist_pipeline.stages`; imported here, so that parsing a DAG loads none of them.
    session : str
        ISO date of the session; empty lets the stage take the newest one of its source.
    params : mapping
        Of the run.
    options : mapping
        What the stage takes besides.
    remember : callable
        Is given the text of an error.
    """
    with warnings.catch_warnings(), errors_by_policy(remember):
        # skops looks names up in every loaded module, and Airflow's forwarding modules warn of each look-up.
        warnings.filterwarnings("ignore", message=r"The `airflow\.")
        from bist_pipeline.stages import running

        # Airflow itself puts the run's id on every line.
        bind_contextvars(session=session or "newest")
        settings = settings_of(params)
        day = _as_day(session) if session else None
        receipt = running.run_stage(name, settings, day, **options)
    if isinstance(receipt, list):  # a plan, not a result
        log.info("%d folds", len(receipt))
        return receipt
    log.info(receipt.summary)
    for warning in receipt.warnings:
        log.warning(warning)
    return receipt.as_json()


def settings_of(params: Mapping[str, Any]) -> Settings:
    """Build the settings of a run from its params.

    Raises
    ------
    ConfigError
        If a param is unknown: Airflow lets any through, and a misspelt `session` would run another one.
    """
    from bist_pipeline.config import load_settings
    from bist_pipeline.errors import ConfigError

    overrides = {name: value for name, value in params.items() if name != "session"}
    if unknown := set(overrides) - {"source", "source_path"}:
        raise ConfigError(
            f"{len(unknown)} param(s) of this run are unknown; known are session, source and source_path.",
            which=sorted(unknown),
            next_step="trigger the DAG again with the names as in its form",
        )
    return load_settings(**overrides)


def _as_day(text: str) -> dt.date:
    from bist_pipeline.errors import ConfigError

    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"The session {text!r} is no date of the form YYYY-MM-DD.",
            next_step='trigger the DAG again with one such as {"session": "2024-06-28"}',
        ) from None


@contextmanager
def errors_by_policy(remember: Callable[[str], None]) -> Iterator[None]:
    """Turn the policy of a `BistError` into what Airflow does with the task.

    `fail` ends it without retries, `skip` skips it and all that follows, `retry` leaves it to the task's
    retries, as any error that is not ours. Its text is logged, so that nobody digs it out of a stack trace.
    The text of every error is given to `remember`, for the alert.
    """
    from bist_pipeline.errors import BistError, Policy

    try:
        yield
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        remember(text)
        if not isinstance(error, BistError):
            raise
        log.error(text)
        if error.policy is Policy.FAIL:
            raise AirflowFailException(text) from None
        if error.policy is Policy.SKIP:
            raise AirflowSkipException(text) from None
        raise
