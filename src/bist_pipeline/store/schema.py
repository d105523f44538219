"""Tables of the predictions database. The only place that knows their columns.

Sessions are `DATE`, times are UTC with six digits, scores are `DOUBLE`, text is `utf8mb4` with the
collation `utf8mb4_bin` on MySQL: symbols compare byte by byte, so that a Turkish dotless ı never equals i.
A batch of predictions is visible only through the row of `publications` that names its run.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

# The Alembic revision this code reads and writes; `bist db upgrade` brings a database to it.
REVISION = "0005"

COLLATION = "utf8mb4_bin"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UTCDateTime(TypeDecorator[dt.datetime]):
    """Aware UTC times with six digits; a naive time is a bug and is refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect):  # type: ignore[no-untyped-def]  # noqa: D102
        on_mysql = dialect.name in ("mysql", "mariadb")
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if on_mysql else DateTime())

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: D102
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: say which time zone it is in")
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: D102
        return None if value is None else value.replace(tzinfo=dt.UTC)


def _table(name: str, *items: Column | Index) -> Table:  # type: ignore[type-arg]
    return Table(
        name, metadata, *items, mysql_charset="utf8mb4", mysql_collate=COLLATION, mysql_engine="InnoDB"
    )


_SOURCE = String(16)
_SYMBOL = String(16)
_RUN = String(64)

sessions = _table(
    "sessions",
    Column("session", Date, primary_key=True),
    Column("opens_at", UTCDateTime, nullable=False),
    Column("cutoff", UTCDateTime, nullable=False, comment="prices of the session are final from here"),
    Column("is_half_day", Boolean, nullable=False),
)

securities = _table(
    "securities",
    Column("source", _SOURCE, primary_key=True),
    Column("symbol", _SYMBOL, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("sector", String(100), nullable=False),
)

data_health = _table(
    "data_health",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("status", String(24), nullable=False, comment="BLOCK stops scoring"),
    Column("summary", Text, nullable=False),
    Column("listed", Integer, nullable=False, comment="shares with a price in the last 60 sessions"),
    Column("priced", Integer, nullable=False),
    Column("traded", Integer, nullable=False, comment="priced with a volume above 0"),
    Column("refused_rows", Integer, nullable=False, comment="quarantined on arrival, up to the session"),
    Column("set_aside", Integer, nullable=False, comment="moves of the session that no trade can make"),
    Column("report", String(500), nullable=False, comment="where the HTML report is"),
    Column("checked_at", UTCDateTime, nullable=False),
)

pipeline_runs = _table(
    "pipeline_runs",
    Column("run_id", _RUN, primary_key=True),
    Column("source", _SOURCE, nullable=False),
    Column("session", Date, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("data_hash", String(64), nullable=False, comment="content hash of the prices the run saw"),
    Column("model_name", String(100), nullable=False),
    Column("model_version", String(20), nullable=False),
    Column("code_version", String(40), nullable=False),
    Column("rank_ic", Double, comment="out-of-sample mean daily rank IC of the model"),
    Column("finished_at", UTCDateTime, nullable=False),
    Index(None, "source", "session"),
)

predictions = _table(
    "predictions",
    Column("run_id", _RUN, ForeignKey("pipeline_runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("symbol", _SYMBOL, primary_key=True),
    Column("session", Date, nullable=False),
    Column("horizon_sessions", Integer, nullable=False),
    Column("score", Double, nullable=False),
    Column("rank", Integer, nullable=False, comment="1 is the best of the batch"),
    Column("percentile", Double, nullable=False, comment="1.0 is the best of the batch"),
    Column("expected_excess_return", Double, nullable=False, comment="fraction over the universe median"),
    Column("lower", Double, nullable=False, comment="80 % interval of the excess"),
    Column("upper", Double, nullable=False),
    Column("tradable", Boolean, nullable=False),
    Column("drivers", JSON, nullable=False, comment="features that moved the score most; see contracts.py"),
    Column("model_name", String(100), nullable=False),
    Column("model_version", String(20), nullable=False),
    Index(None, "symbol", "session"),
)

publications = _table(
    "publications",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("run_id", _RUN, ForeignKey("pipeline_runs.run_id"), nullable=False),
    Column("published_at", UTCDateTime, nullable=False),
)

realized_returns = _table(
    "realized_returns",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True, comment="session of the prediction"),
    Column("symbol", _SYMBOL, primary_key=True),
    Column("horizon_sessions", Integer, primary_key=True),
    Column("matured_on", Date, nullable=False),
    Column("excess_return", Double, nullable=False, comment="fraction over the universe median"),
)

scorecards = _table(
    "scorecards",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True, comment="session of the judged predictions"),
    Column("horizon_sessions", Integer, primary_key=True),
    Column("symbols", Integer, nullable=False),
    Column("rank_ic", Double, comment="null where all scores or all results are equal"),
    Column("coverage", Double, nullable=False, comment="share of results inside the 80 % interval"),
    Column("matured_on", Date, nullable=False),
)

model_decisions = _table(
    "model_decisions",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("decided_at", UTCDateTime, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("session", Date, nullable=False),
    Column("model_name", String(100), nullable=False),
    Column("challenger_version", String(20), nullable=False),
    Column("champion_version", String(20), nullable=False, comment="empty where there was none"),
    Column("promoted", Boolean, nullable=False),
    Column("reasons", Text, nullable=False),
)

drift_runs = _table(
    "drift_runs",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("status", String(24), nullable=False),
    Column("summary", Text, nullable=False),
    Column("reference_first", Date),
    Column("reference_last", Date),
    Column("model_version", String(20), nullable=False),
    Column("checked_at", UTCDateTime, nullable=False),
)

drift_features = _table(
    "drift_features",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("feature", String(64), primary_key=True),
    Column("distance", Double, comment="KS distance between the newest window and the training window"),
    Column("typical", Double, comment="median distance of the same check on past sessions"),
    Column("record", Double, comment="largest distance of the same check on past sessions"),
)
