"""Everything the pipeline writes. A rerun replaces; a batch is visible once its transaction is committed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from bist_pipeline.errors import StoreError
from bist_pipeline.store.bulk import Row as Row
from bist_pipeline.store.bulk import insert_rows, upsert_rows
from bist_pipeline.store.engine import again_if_busy, begin
from bist_pipeline.store.schema import (
    BACKTEST,
    TRAINING,
    backtests,
    data_health,
    drift_features,
    drift_runs,
    model_decisions,
    past_returns,
    pipeline_runs,
    predictions,
    price_series,
    publications,
    securities,
    sessions,
    stage_runs,
)

if TYPE_CHECKING:
    from bist_pipeline.calendar import Session


@dataclass(frozen=True)
class Run:
    """What is to be known of the run behind a batch of predictions; see the table `pipeline_runs`."""

    run_id: str
    source: str
    session: dt.date
    rows: int
    data_hash: str
    model_name: str
    model_version: str
    code_version: str
    rank_ic: float | None
    finished_at: dt.datetime
    facts_hash: str = ""
    calendar_hash: str = ""


@dataclass(frozen=True)
class History:
    """What is published beside the ranks: rows of `past_returns` and of `price_series`, as `publish` adds to.

    Both lack `source` and `session`. A source without prices has none of either.
    """

    returns: Sequence[Row] = ()
    series: Sequence[Row] = ()


_NO_HISTORY = History()
# The least that two times can differ by.
_TICK = dt.timedelta(microseconds=1)


def replace_rows(connection: Connection, table: Table, rows: Sequence[Row], **scope: Any) -> None:
    """Make `rows` the only rows of `table` within `scope` (column = value); the caller commits."""
    connection.execute(delete(table).where(and_(True, *_equal(table, scope))))
    insert_rows(connection, table, [{**row, **scope} for row in rows])


def _equal(table: Table, scope: Row) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in scope.items()]


@again_if_busy
def publish(engine: Engine, run: Run, batch: Sequence[Row], *, history: History = _NO_HISTORY) -> None:
    """Store a batch and make it the published one of its session: readers see all of it or none.

    Parameters
    ----------
    engine : Engine
        Of the predictions database.
    run : Run
        Source and session decide what the batch replaces.
    batch : sequence of mapping
        Rows of `predictions` without `run_id` and `session`.
    history : History
        What the shares did up to the session. Series are kept for the newest published session only: a
        rerun of an older one leaves them.

    Raises
    ------
    StoreError
        If the database did not take exactly `run.rows` rows; the batch before stays published.
    DatabaseUnavailableError
        If it cannot be reached; the batch before stays published.
    """
    scope: dict[str, Any] = {"source": run.source, "session": run.session}
    ours = {"run_id": run.run_id, "session": run.session}
    with begin(engine) as connection:
        newest, last = _lock(connection, run.source)
        upsert_rows(connection, pipeline_runs, [asdict(run)])
        upsert_rows(connection, predictions, [{**row, **ours} for row in batch])
        _check_stored(connection, run, batch)
        replace_rows(connection, past_returns, history.returns, **scope)
        if newest is None or newest <= run.session:
            series = [{**row, "session": run.session} for row in history.series]
            replace_rows(connection, price_series, series, source=run.source)
        # Later than the source's last one, though this writer may have waited, or that one's clock be ahead.
        after_all = run.finished_at if last is None else max(run.finished_at, last + _TICK)
        upsert_rows(connection, publications, [{**scope, "run_id": run.run_id, "published_at": after_all}])
        # What the pointer has left goes last: until here it hung on the run that is replaced.
        replaced = and_(pipeline_runs.c.run_id != run.run_id, *_equal(pipeline_runs, scope))
        connection.execute(delete(pipeline_runs).where(replaced))


def _lock(connection: Connection, source: str) -> tuple[dt.date | None, dt.datetime | None]:
    """Return the newest published session of a source and when it published last; None where it never did.

    Other writers of the source wait from here on.

    SQLite lets them wait at the first row written, and this one writes before it reads for that reason.
    """
    mine = publications.c.source == source
    if connection.dialect.name == "sqlite":
        connection.execute(update(publications).where(mine).values(source=source))
    newest = select(func.max(publications.c.session), func.max(publications.c.published_at)).where(mine)
    session, published_at = connection.execute(newest.with_for_update()).one()
    return session, published_at


def _check_stored(connection: Connection, run: Run, batch: Sequence[Row]) -> None:
    """Remove shares that only an earlier version of the same run had, and count what is there."""
    mine = predictions.c.run_id == run.run_id
    stored = connection.scalar(select(func.count()).where(mine))
    if stored is not None and stored > len(batch):
        symbols = set(connection.scalars(select(predictions.c.symbol).where(mine)))
        gone = [{"gone": symbol} for symbol in symbols - {row["symbol"] for row in batch}]
        connection.execute(delete(predictions).where(mine, predictions.c.symbol == bindparam("gone")), gone)
        stored -= len(gone)
    if not stored == len(batch) == run.rows:
        raise StoreError(f"The database took {stored} of {run.rows} predictions for {run.session}.")


def write_sessions(engine: Engine, calendar: Iterable[Session]) -> None:
    """Store the trading calendar, so that readers without one know what is stale."""
    rows = [
        {"session": s.day, "opens_at": s.opens_at, "cutoff": s.cutoff, "is_half_day": s.is_half_day}
        for s in calendar
    ]
    with begin(engine) as connection:
        replace_rows(connection, sessions, rows)


def write_securities(engine: Engine, source: str, rows: Sequence[Row]) -> None:
    """Store name and sector of the given shares; those that an earlier session does not know yet stay."""
    listed = [row["symbol"] for row in rows]
    with begin(engine) as connection:
        connection.execute(
            delete(securities).where(securities.c.source == source, securities.c.symbol.in_(listed))
        )
        connection.execute(insert(securities), [{**row, "source": source} for row in rows])


def write_health(engine: Engine, source: str, session: dt.date, row: Row) -> None:
    """Store what the check of one session's data found, and where its report is."""
    with begin(engine) as connection:
        replace_rows(connection, data_health, [row], source=source, session=session)


def write_decision(engine: Engine, row: Row, *, figures: Sequence[Row] = ()) -> None:
    """Append one promotion decision, which is never changed, with the test that it rests on.

    Parameters
    ----------
    engine : Engine
        Of the predictions database.
    row : mapping
        Of `model_decisions`, without its number.
    figures : sequence of mapping
        Of `backtests`, without what the decision says already; replace those of the same model and session.
    """
    scope = {"origin": TRAINING, "source": row["source"], "session": row["session"]}
    with begin(engine) as connection:
        connection.execute(insert(model_decisions), dict(row))
        if figures:
            rows = [
                {**each, "model_name": row["model_name"], "computed_at": row["decided_at"]}
                for each in figures
            ]
            replace_rows(connection, backtests, rows, **scope, model_version=row["challenger_version"])


def write_backtest(engine: Engine, source: str, session: dt.date, figures: Sequence[Row]) -> None:
    """Store a backtest on prices up to `session`: rows of `backtests`; replaces that of the same.

    It judges a recipe, fitted anew in every fold, and no one model of the registry.
    """
    now = dt.datetime.now(dt.UTC)
    rows = [{**each, "model_name": "", "computed_at": now} for each in figures]
    with begin(engine) as connection:
        replace_rows(
            connection, backtests, rows, source=source, session=session, origin=BACKTEST, model_version=""
        )


@again_if_busy
def write_stage_run(engine: Engine, row: Row) -> None:
    """Store how a stage went for a session; replaces what is known of an earlier run of it."""
    with begin(engine) as connection:
        upsert_rows(connection, stage_runs, [row])


def write_drift(engine: Engine, source: str, session: dt.date, run: Row, features: Sequence[Row]) -> None:
    """Store the drift verdict of one session with the distance of every feature."""
    scope = {"source": source, "session": session}
    with begin(engine) as connection:
        replace_rows(connection, drift_runs, [run], **scope)
        replace_rows(connection, drift_features, features, **scope)
