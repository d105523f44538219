"""Roll back: an earlier model takes over, in the registry and in what is published, with one command.

The newest published session is ranked again with the earlier model, so that readers lose no session. Three
steps, in an order that leaves every failure repairable by the same command: the ranks are published, the
decision is noted, and last the alias moves. Until it has moved, the old champion is still the one to go back
from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from bist_pipeline.config import Settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import (
    ConfigError,
    LookAheadError,
    MissingDataError,
    NoModelError,
    RegistryUnavailableError,
    StoreError,
)
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages.inputs import open_store
from bist_pipeline.stages.score import publish_ranks, rank_session
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_decisions, read_newest_publication
from bist_pipeline.store.write import write_decision
from bist_pipeline.tracking import ModelVersion, Registry
from bist_pipeline.wording import Wording, say

_NOTHING = "Nothing was changed: champion and ranks are what they were."


def rollback(settings: Settings, version: str | None = None) -> Receipt:
    """Make an earlier promoted version champion, and publish its ranks of the newest published session.

    Parameters
    ----------
    settings : Settings
    version : str, optional
        The promoted version to go to; by default the one before the champion, by the sessions they have
        seen.

    Raises
    ------
    NoModelError
        If there is no such version, or none before the champion.
    LookAheadError
        If the version has seen sessions after the newest published one.
    RegistryUnavailableError, StoreError
        If a step fails; the message says what is done by then. Run it again: it completes what is left.
    """
    if kind_of(settings.source) != "forecast":
        raise ConfigError(
            f"The source {settings.source} has one model for each snapshot: there is none to go back to.",
            consequence=_NOTHING,
            next_step="bist run --source snapshot --source-path snapshot.csv",
        )
    registry, store = Registry(settings), open_store(settings)
    champion, session = registry.champion(), _require_published(store, settings)
    target = _choose(registry.list_promoted(), champion, session, version)
    # All that can be wrong with the model or the features shows here, before anything is written.
    run, rows = rank_session(settings, session, target, registry.load(target))
    publish_ranks(settings, run, rows)
    with _saying_what_is_left(target, champion):
        _note(store, settings, session, target, champion)
        registry.promote(target)
    before = f"version {champion.version}" if champion else "nobody"
    return Receipt(
        stage="rollback",
        session=session,
        rows=run.rows,
        summary=f"{target.name} version {target.version} is champion in place of {before};"
        f" its {run.rows} ranks of {session} are published",
        data_hash=run.data_hash,
        details={
            "run_id": run.run_id,
            "model_name": target.name,
            "model_version": target.version,
            "replaced_version": champion.version if champion else None,
        },
    )


def _require_published(store: Engine, settings: Settings) -> dt.date:
    with connect(store) as connection:
        session = read_newest_publication(connection, settings.source)
    if session is None:
        raise MissingDataError(
            f"No ranks of the source {settings.source} are published.",
            consequence=_NOTHING,
            next_step="bist run",
        )
    return session


def _choose(
    promoted: list[ModelVersion], champion: ModelVersion | None, session: dt.date, version: str | None
) -> ModelVersion:
    """The version asked for, or the newest before the champion; `promoted` is in order of age."""
    known = [f"version {model.version} (seen through {model.trained_through})" for model in promoted]
    if version is None:
        place = [model.version for model in promoted].index(champion.version) if champion in promoted else 0
        if not place:
            what = f"version {champion.version}" if champion else "a champion"
            raise NoModelError(
                f"No version was promoted before {what}.",
                which=known,
                consequence=_NOTHING,
                next_step="bist train",
            )
        return promoted[place - 1]
    chosen = next((model for model in promoted if model.version == version), None)
    if chosen is None:
        raise NoModelError(
            f"Version {version} was never promoted; {len(promoted)} are.",
            which=known,
            consequence=_NOTHING,
            next_step=f"bist rollback --to {promoted[-1].version}" if promoted else "bist train",
        )
    if chosen.trained_through > session:
        raise LookAheadError(
            f"Version {version} has seen sessions through {chosen.trained_through};"
            f" the newest published one is {session}.",
            consequence=_NOTHING,
            next_step=f"bist run --session {chosen.trained_through}",
        )
    return chosen


def _note(
    store: Engine,
    settings: Settings,
    session: dt.date,
    target: ModelVersion,
    champion: ModelVersion | None,
) -> None:
    """Append the decision, unless it is what an attempt that failed afterwards noted last."""
    before = champion.version if champion else ""
    reason = say(
        "Rolled back by hand from version {before}.",
        "Elle geri alındı; önceki sürüm: {before}.",
        before=before or Wording("none", "yok"),
    )
    with connect(store) as connection:
        last = read_decisions(connection, settings.source, limit=1)
    noted = [(d.session, d.challenger_version, d.champion_version, d.reasons) for d in last]
    if noted == [(session, target.version, before, (reason,))]:
        return
    row = {
        "decided_at": dt.datetime.now(dt.UTC),
        "source": settings.source,
        "session": session,
        "model_name": target.name,
        "challenger_version": target.version,
        "champion_version": before,
        "promoted": True,
        "reasons": reason,
    }
    write_decision(store, row)


@contextmanager
def _saying_what_is_left(target: ModelVersion, champion: ModelVersion | None) -> Iterator[None]:
    try:
        yield
    except (StoreError, RegistryUnavailableError) as error:
        still = f"version {champion.version} is still champion" if champion else "there is no champion yet"
        raise type(error)(
            error.what,
            consequence=f"The ranks of version {target.version} are published, but {still}.",
            next_step=f"bist rollback --to {target.version} (it completes what is left)",
        ) from error
