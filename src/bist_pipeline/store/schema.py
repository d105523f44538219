"""Tables of the predictions database. The only place that knows their columns.

Sessions are `DATE`, times are UTC with six digits, scores are `DOUBLE`, text is `utf8mb4` with the
collation `utf8mb4_bin` on MySQL: symbols compare byte by byte, so that a Turkish dotless ı never equals i.
A batch of predictions is visible only through the row of `publications` that names its run.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

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
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

from bist_pipeline.errors import UnreadableTextError
from bist_pipeline.wording import Wording

# The Alembic revision this code reads and writes; `bist db upgrade` brings a database to it.
REVISION = "0010"

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


class BothLanguages(TypeDecorator[Wording]):
    """A text in English and Turkish, stored as the JSON object `{en, tr}`."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Wording | None, dialect: Dialect) -> dict[str, str] | None:  # noqa: D102
        return None if value is None else value.as_json()

    def process_result_value(self, value: Any, dialect: Dialect) -> Wording | None:  # noqa: D102
        match value:
            case {"en": str(english), "tr": str(turkish)}:
                return Wording(english, turkish)
        raise UnreadableTextError(
            f"A text in the database is not the JSON object {{en, tr}}: {str(value)[:80]}.",
            consequence="What it belongs to cannot be read.",
            next_step="bist run (it writes the texts of its session again)",
        )


class OptionalBothLanguages(BothLanguages):
    """The same, or nothing at all."""

    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Wording | None:  # noqa: D102
        return None if value is None else super().process_result_value(value, dialect)


def _table(name: str, *items: Column | Index) -> Table:  # type: ignore[type-arg]
    return Table(
        name, metadata, *items, mysql_charset="utf8mb4", mysql_collate=COLLATION, mysql_engine="InnoDB"
    )


# Where figures of a walk-forward come from: see the table `backtests`.
TRAINING, BACKTEST = "training", "backtest"

_FILE = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
_SOURCE = String(16)
_SYMBOL = String(16)
_RUN = String(64)
_RANKING = String(32)

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
    Column("summary", BothLanguages, nullable=False),
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
    Column("facts_hash", String(64), nullable=False, server_default="", comment="of reported figures"),
    Column("calendar_hash", String(64), nullable=False, server_default="", comment="of the sessions"),
    Column("model_name", String(100), nullable=False),
    Column("model_version", String(20), nullable=False),
    Column("code_version", String(40), nullable=False),
    Column("rank_ic", Double, comment="out-of-sample mean daily rank IC of the model"),
    Column("finished_at", UTCDateTime, nullable=False),
    Index(None, "source", "session"),
)

stage_runs = _table(
    "stage_runs",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("status", String(16), nullable=False, comment="done or failed"),
    Column("rows", Integer, nullable=False, comment="written or judged; 0 unless done"),
    Column("seconds", Double, nullable=False, comment="from start to end, libraries loaded included"),
    Column("finished_at", UTCDateTime, nullable=False),
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

past_returns = _table(
    "past_returns",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True, comment="published session, the end of the window"),
    Column("window_sessions", Integer, primary_key=True, comment="5, 21, 63, 126 or 252"),
    Column("symbol", _SYMBOL, primary_key=True),
    Column("past_return", Double, nullable=False, comment="fraction over the window, adjusted"),
    Column("excess_return", Double, comment="over the universe median; null where no share was tradable"),
)

price_series = _table(
    "price_series",
    Column("source", _SOURCE, primary_key=True),
    Column("symbol", _SYMBOL, primary_key=True),
    Column("session", Date, nullable=False, comment="newest published session, the end of every series"),
    Column("closes", JSON, nullable=False, comment="[[session, adjusted close in TRY], ...], oldest first"),
)

judged_sessions = _table(
    "judged_sessions",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True, comment="session of the judged predictions"),
    Column("horizon_sessions", Integer, primary_key=True),
    Column("model", _RANKING, primary_key=True, comment="published, or the baseline of that name"),
    Column("run_id", _RUN, nullable=False, comment="the batch that was judged"),
    Column("symbols", Integer, nullable=False, comment="tradable shares with a result"),
    Column("rank_ic", Double, comment="null where all scores or all results are equal"),
    Column("coverage", Double, comment="share of results inside the 80 % interval; null for baselines"),
    Column("matured_on", Date, nullable=False),
)

scorecards = _table(
    "scorecards",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True, comment="the newest session whose closes were known"),
    Column("horizon_sessions", Integer, primary_key=True),
    Column("window_sessions", Integer, primary_key=True, comment="21, 63 or 252 judged sessions"),
    Column("model", _RANKING, primary_key=True, comment="published, or the baseline of that name"),
    Column("judged", Integer, nullable=False, comment="judged sessions there are, at most the window"),
    Column("first_session", Date, nullable=False, comment="oldest of them"),
    Column("last_session", Date, nullable=False, comment="newest of them"),
    Column("lag_sessions", Integer, nullable=False, comment="from last_session to session"),
    Column("symbols", Integer, nullable=False, comment="results of tradable shares"),
    Column("rank_ic", Double, nullable=False, comment="mean daily rank IC"),
    Column("lower", Double, nullable=False, comment="95 % interval of the mean"),
    Column("upper", Double, nullable=False),
    Column("independent", Double, nullable=False, comment="results without overlap that this is worth"),
    Column("coverage", Double, comment="share of results inside the 80 % interval; null for baselines"),
    Column("skill", String(16), nullable=False, comment="proven (lower > 0) or unproven"),
    Column("verdict", JSON, nullable=False, comment="the same in a sentence: {en, tr}"),
)

backtests = _table(
    "backtests",
    Column("source", _SOURCE, primary_key=True),
    Column("origin", String(16), primary_key=True, comment="training or backtest"),
    Column("session", Date, primary_key=True, comment="the newest session whose prices were known"),
    Column("model_version", String(20), primary_key=True, comment="empty where no one model is judged"),
    Column("ranking", _RANKING, primary_key=True, comment="blend, a member of it, or a baseline"),
    Column("model_name", String(100), nullable=False, comment="empty where no one model is judged"),
    Column("horizon_sessions", Integer, nullable=False),
    Column("first_session", Date, nullable=False, comment="oldest test session"),
    Column("last_session", Date, nullable=False, comment="newest test session"),
    Column("folds", Integer, nullable=False),
    Column("dates", Integer, nullable=False, comment="test sessions"),
    Column("symbols", Integer, nullable=False, comment="shares that were tradable on a test session"),
    Column("independent", Double, nullable=False, comment="horizons without overlap that the dates span"),
    Column("rank_ic", Double, comment="mean daily rank IC; null where the ranking tells no shares apart"),
    Column("rank_ic_lower", Double, comment="95 % interval of the mean; null for too few dates"),
    Column("rank_ic_upper", Double),
    Column("nw_t", Double, comment="Newey-West t of the rank IC"),
    Column("ic_positive", Double, comment="share of dates with a rank IC above 0"),
    Column("spread_quarter", Double, comment="top minus bottom decile, fraction a quarter"),
    Column("spread_lower", Double, comment="95 % interval of the spread; null for too few dates"),
    Column("spread_upper", Double),
    Column("top20_quarter", Double, comment="best 20 over the mean of all, fraction a quarter"),
    Column("top20_net_quarter", Double, comment="the same after costs"),
    Column("coverage", Double, comment="share of results inside the 80 % interval; null without interval"),
    Column("r2", Double, comment="of the expected excess; null where none is forecast"),
    Column("lead_ic", Double, comment="rank IC of the blend minus that of this ranking; null for itself"),
    Column("lead_lower", Double, comment="95 % interval of the lead; null for too few dates"),
    Column("lead_upper", Double),
    Column("by_year", JSON, nullable=False, comment="mean daily rank IC by calendar year"),
    Column("computed_at", UTCDateTime, nullable=False),
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
    Column("reasons", BothLanguages, nullable=False),
)

drift_runs = _table(
    "drift_runs",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("status", String(24), nullable=False),
    Column("summary", BothLanguages, nullable=False),
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
    Column("label", OptionalBothLanguages, comment="what the feature is called"),
    Column("distance", Double, comment="KS distance between the newest window and the training window"),
    Column("typical", Double, comment="median distance of the same check on past sessions"),
    Column("record", Double, comment="largest distance of the same check on past sessions"),
    Column("median_then", Double, comment="of the raw values in the training window"),
    Column("median_now", Double, comment="of the raw values in the newest window"),
    Column("iqr_then", Double, comment="interquartile range in the training window"),
    Column("iqr_now", Double, comment="interquartile range in the newest window"),
    Column("missing_then", Double, comment="share of missing values in the training window"),
    Column("missing_now", Double, comment="share of missing values in the newest window"),
    Column("psi", Double, comment="effect size; no alarm hangs on it"),
    Column("wasserstein", Double, comment="effect size; no alarm hangs on it"),
    Column("importance", Double, comment="share in what moves the scores"),
)

drift_reports = _table(
    "drift_reports",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("html", _FILE, nullable=False, comment="the whole report, compressed with gzip"),
)

drift_checks = _table(
    "drift_checks",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("check_name", String(32), primary_key=True),
    Column("status", String(24), nullable=False),
    Column("statistic", Double),
    Column("p_value", Double, comment="how often a quiet market shows as much"),
    Column("threshold", Double, comment="where the alarm begins"),
    Column("record", Double, comment="largest of the sessions compared with"),
    Column("action", BothLanguages, nullable=False),
    Column("message", BothLanguages, nullable=False),
    Column("model_version", String(20), nullable=False, comment="empty where no model is concerned"),
    Column("checked_at", UTCDateTime, nullable=False),
)

drift_calibrations = _table(
    "drift_calibrations",
    Column("source", _SOURCE, primary_key=True),
    Column("model_name", String(100), primary_key=True),
    Column("model_version", String(20), primary_key=True),
    Column("session", Date, nullable=False, comment="the model was trained at; nothing in it is newer"),
    Column("trained_until", Date, nullable=False, comment="last session of the training rows"),
    Column("features", JSON, nullable=False, comment="names of the watched features, in order"),
    Column("features_hash", String(16), nullable=False),
    Column("content_hash", String(16), nullable=False, comment="of the file"),
    Column("file", String(200), nullable=False, comment="path in the lake"),
    Column("replays", Integer, nullable=False, comment="past weeks, for a champion in its first quarter"),
    Column("record_sessions", Integer, nullable=False, comment="pairs of sessions in the daily record"),
    Column("daily_ic", Double, comment="mean rank IC with the next session, before the model"),
    Column("built_at", UTCDateTime, nullable=False),
)

drift_episodes = _table(
    "drift_episodes",
    Column("source", _SOURCE, primary_key=True),
    Column("check_name", String(32), primary_key=True),
    Column("status", String(24), primary_key=True),
    Column("opened_on", Date, primary_key=True),
    Column("last_seen", Date, nullable=False),
    Column("closed_on", Date, comment="null while it lasts"),
    Column("cause", BothLanguages, nullable=False),
    Column("urgency", BothLanguages, nullable=False),
    Column("runbook", BothLanguages, nullable=False),
    Column("model_version", String(20), nullable=False),
    Column("alerted_at", UTCDateTime, comment="null until people were told"),
    Column("alerted_by", JSON, comment="channels that were reached"),
)

drift_releases = _table(
    "drift_releases",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("message", BothLanguages, nullable=False, comment="what the break check had said"),
    Column("released_at", UTCDateTime, nullable=False),
)

retrain_requests = _table(
    "retrain_requests",
    Column("source", _SOURCE, primary_key=True),
    Column("session", Date, primary_key=True),
    Column("reason", BothLanguages, nullable=False),
    Column("forced", Boolean, nullable=False, comment="asked for by a person"),
    Column("requested_at", UTCDateTime, nullable=False),
    Column("answered_by", String(20), comment="model version that was trained next; null while open"),
)
