"""A database as the pipeline leaves it, made without it: 120 shares with ranks, results and drift."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Mapping

import numpy as np
from sqlalchemy import Engine, insert, text

from bist_pipeline.calendar import Session
from bist_pipeline.drift.status import Status
from bist_pipeline.reports.drift import CheckLine, Report, render_drift
from bist_pipeline.store.engine import begin
from bist_pipeline.store.schema import (
    REVISION,
    drift_checks,
    drift_episodes,
    drift_features,
    drift_reports,
    drift_runs,
    metadata,
)
from bist_pipeline.store.scorecards import write_judgement, write_scorecards
from bist_pipeline.store.write import (
    History,
    Run,
    publish,
    write_backtest,
    write_decision,
    write_securities,
    write_sessions,
)
from bist_pipeline.wording import Wording

TODAY = dt.datetime.now(dt.UTC).date()
DAYS = [TODAY + dt.timedelta(days=n) for n in range(-330, 120)]
# The newest session whose prices are final, and the one before the last published one of a stale market.
NEWEST = TODAY - dt.timedelta(days=1)
STALE = NEWEST - dt.timedelta(days=4)
HORIZON = 63
DRIFT_DAYS = 30
WINDOWS = (5, 21, 63, 126, 252)
SECTORS = ("Basic Materials", "Energy", "Financial Services", "Industrials", "Technology")
KNOWN = {"THYAO": "Türk Hava Yolları", "ISCTR": "Türkiye İş Bankası", "SISE": "Şişecam"}
ILLIQUID = "SISE"
LABELS = {
    "vol_126": Wording("Volatility over 126 sessions", "126 seanslık oynaklık"),
    "mom_21": Wording("Return over 21 sessions", "21 seanslık getiri"),
    "beta_252": None,
}
# Mean rank correlations of a training's test, and of a backtest.
GATED = {"blend": 0.131, "low_vol_126": 0.09}
TESTED = {"blend": 0.136, "lightgbm": 0.127, "ridge": 0.126, "low_vol_126": 0.124, "random": -0.007}
MODEL = {"model_name": "bist-rank-63s", "model_version": "4"}


def create_tables(engine: Engine) -> None:
    metadata.create_all(engine)
    with begin(engine) as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISION})


def fill(engine: Engine, *, newest: dt.date = NEWEST, source: str = "files") -> None:
    """Publish four batches up to `newest`, the older three with results, and all that stands around them."""
    symbols = _symbols()
    write_sessions(engine, [_session(day) for day in DAYS])
    names = [
        {"symbol": symbol, "name": KNOWN.get(symbol, f"{symbol.title()} A.Ş."), "sector": SECTORS[i % 5]}
        for i, symbol in enumerate(symbols)
    ]
    write_securities(engine, source, names)
    for age in (200, 150, 100, 0):
        session = newest - dt.timedelta(days=age)
        history = History() if age else History(_returns(symbols), _closes(symbols, session))
        _publish(engine, source, session, symbols, history=history)
        if age >= HORIZON and source != "snapshot":
            _judge(engine, source, session, symbols)
    if source != "snapshot":
        _write_scorecards(engine, source, newest)
    tested = source != "snapshot"
    write_decision(engine, _decision(source, newest), figures=make_figures(GATED) if tested else ())
    if tested:
        write_backtest(engine, source, newest, make_figures(TESTED))
    days = [newest - dt.timedelta(days=age) for age in range(DRIFT_DAYS)]
    verdicts = dict.fromkeys(days, "OK") | {days[12]: "AMBER"}
    # What stopped the ranks after a stale batch.
    _write_drift(engine, source, verdicts if newest == NEWEST else {**verdicts, NEWEST: "RED"})


def expected(symbol: str, session: dt.date) -> float:
    """The excess that is predicted for a share: THYAO is always on top."""
    return 0.0731 if symbol == "THYAO" else _chance(symbol, session).uniform(-0.07, 0.07)


def make_figures(rankings: Mapping[str, float]) -> list[dict[str, object]]:
    """Rows of `backtests` for rankings with these rank correlations."""
    shared = {
        "horizon_sessions": HORIZON,
        "first_session": NEWEST - dt.timedelta(days=900),
        "last_session": NEWEST - dt.timedelta(days=90),
        "folds": 9,
        "dates": 112,
        "symbols": 120,
        "independent": 8.9,
        "nw_t": 5.9,
        "ic_positive": 0.93,
        "top20_quarter": 0.041,
        "top20_net_quarter": 0.036,
    }
    return [
        {
            **shared,
            "ranking": ranking,
            "rank_ic": ic,
            "rank_ic_lower": ic - 0.042,
            "rank_ic_upper": ic + 0.042,
            "spread_quarter": ic * 0.8,
            "spread_lower": ic * 0.8 - 0.05,
            "spread_upper": ic * 0.8 + 0.05,
            "coverage": 0.797 if ranking == "blend" else None,
            "r2": 0.004 if ranking == "blend" else None,
            "lead_ic": None if ranking == "blend" else rankings["blend"] - ic,
            "lead_lower": None if ranking == "blend" else rankings["blend"] - ic - 0.014,
            "lead_upper": None if ranking == "blend" else rankings["blend"] - ic + 0.014,
            "by_year": {"2022": ic + 0.005, "2023": ic - 0.04},
        }
        for ranking, ic in rankings.items()
    ]


def _chance(*seed: object) -> np.random.Generator:
    return np.random.default_rng(list(" ".join(map(str, seed)).encode()))


def _symbols() -> list[str]:
    chance, letters = _chance("symbols"), list("ABCDEGKLMNPRSTUYZ")
    invented = {"".join(chance.choice(letters, 5)) for _ in range(117)}
    return sorted({*KNOWN, *invented})


def _session(day: dt.date) -> Session:
    # At the very end of the day: the newest final session is yesterday's, whatever hour the tests run at.
    closes = dt.datetime.combine(day, dt.time(23, 59), dt.UTC)
    return Session(day, opens_at=closes - dt.timedelta(hours=8), cutoff=closes, is_half_day=False)


def _publish(engine: Engine, source: str, session: dt.date, symbols: list[str], *, history: History) -> None:
    ranked = sorted(symbols, key=lambda symbol: -expected(symbol, session))
    batch = [_prediction(symbol, rank, len(ranked), session) for rank, symbol in enumerate(ranked, start=1)]
    if source == "snapshot":
        batch = [{**row, "horizon_sessions": 0} for row in batch]
    run = Run(
        run_id=f"{source}-{session:%Y%m%d}",
        source=source,
        session=session,
        rows=len(batch),
        data_hash="",
        code_version="",
        rank_ic=0.131,
        finished_at=dt.datetime.now(dt.UTC),
        **MODEL,
    )
    publish(engine, run, batch, history=history)


def _prediction(symbol: str, rank: int, universe: int, session: dt.date) -> dict[str, object]:
    middle, reach = expected(symbol, session), _chance(symbol).uniform(0.12, 0.3)
    text = {
        "en": "Volatility over 126 sessions is 2.1 % a day, lower than for 67 % of shares: raises the rank.",
        "tr": "126 seanslık oynaklık: günlük %2,1, hisselerin %67 kadarından düşük; sırayı yükseltiyor.",
    }
    driver = {"feature": "vol_126_rank", "contribution": 0.08, "value": 0.33, "raw": 0.021, "text": text}
    return {
        **MODEL,
        "symbol": symbol,
        "horizon_sessions": HORIZON,
        "score": middle,
        "rank": rank,
        "percentile": 1 - (rank - 1) / (universe - 1),
        "expected_excess_return": middle,
        "lower": middle - reach,
        "upper": middle + 1.4 * reach,
        "tradable": symbol != ILLIQUID,
        "drivers": [driver, {**driver, "contribution": -0.03}],
    }


def _returns(symbols: list[str]) -> list[dict[str, object]]:
    chance = _chance("returns")
    gains = [(symbol, window, chance.normal(0, 0.2)) for symbol in symbols for window in WINDOWS]
    return [
        {"symbol": symbol, "window_sessions": window, "past_return": gain, "excess_return": gain - 0.02}
        for symbol, window, gain in gains
    ]


def _closes(symbols: list[str], session: dt.date) -> list[dict[str, object]]:
    days = [str(session - dt.timedelta(days=n)) for n in reversed(range(252))]
    found = []
    for symbol in symbols:
        walk = 100 * np.exp(np.cumsum(_chance(symbol).normal(0.0007, 0.02, len(days))))
        closes = [list(one) for one in zip(days, walk.tolist(), strict=True)]
        found.append({"symbol": symbol, "closes": closes})
    return found


def _judge(engine: Engine, source: str, session: dt.date, symbols: list[str]) -> None:
    matured = session + dt.timedelta(days=HORIZON)
    chance = _chance(session)
    results = [
        {"symbol": symbol, "matured_on": matured, "excess_return": chance.normal(0.0, 0.15)}
        for symbol in symbols
    ]
    facts = {"run_id": f"{source}-{session:%Y%m%d}", "symbols": len(symbols), "matured_on": matured}
    judged = [
        {**facts, "model": "published", "rank_ic": 0.12, "coverage": 0.79},
        {**facts, "model": "low_vol_126", "rank_ic": 0.09, "coverage": None},
    ]
    write_judgement(engine, source, session, results, judged, horizon=HORIZON)


def _write_scorecards(engine: Engine, source: str, newest: dt.date) -> None:
    card = {
        "window_sessions": 252,
        "judged": 3,
        "first_session": newest - dt.timedelta(days=200),
        "last_session": newest - dt.timedelta(days=100),
        "lag_sessions": 100,
        "symbols": 360,
        "lower": -0.02,
        "upper": 0.26,
        "independent": 2.6,
        "skill": "unproven",
        "verdict": {"en": "", "tr": ""},
    }
    cards = [
        {**card, "model": "published", "rank_ic": 0.12, "coverage": 0.79},
        {**card, "model": "low_vol_126", "rank_ic": 0.09, "coverage": None},
    ]
    write_scorecards(engine, source, newest, cards, horizon=HORIZON)


def _decision(source: str, session: dt.date) -> dict[str, object]:
    return {
        "decided_at": dt.datetime.now(dt.UTC),
        "source": source,
        "session": session,
        "model_name": MODEL["model_name"],
        "challenger_version": MODEL["model_version"],
        "champion_version": "3",
        "promoted": True,
        "reasons": Wording(
            "Not worse than the champion: rank IC 0.131 against 0.116.\nBetter than random.",
            "Kullanımdaki modelden kötü değil: sıra IC'si 0,131; onunki 0,116.\nRastgele sıralamadan iyi.",
        ),
    }


def _write_drift(engine: Engine, source: str, verdicts: Mapping[dt.date, str]) -> None:
    about = {"source": source, "model_version": MODEL["model_version"]}
    checked = {**about, "checked_at": dt.datetime.now(dt.UTC)}
    reference = {"reference_first": TODAY - dt.timedelta(days=900), "reference_last": TODAY}
    summary = Wording(
        "features: vol_126 differs most: 1.4 times its usual distance.",
        "Özellikler: en çok ayrılan vol_126, uzaklığı olağanın 1,4 katı.",
    )
    said = {"summary": summary, **reference}
    message = Wording(
        "vol_126 differs most. A quiet market shows as much in 4 of 10 checks.",
        "En çok ayrılan: vol_126. Sakin bir piyasa bunu 10 denetimin 4 tanesinde gösterir.",
    )
    check = {"check_name": "features", "message": message, "p_value": 0.4, "action": Wording("none", "yok")}
    told = {
        "check_name": "features",
        "cause": Wording("mom_21 moved.", "mom_21 oynadı."),
        "urgency": Wording("this week", "bu hafta"),
        "runbook": Wording("Look at it.", "Bakın."),
    }
    newest = max(verdicts)
    report = Report(
        session=newest,
        source=source,
        status=Status(verdicts[newest]),
        told=message,
        checks=[CheckLine(newest, "features", Status.OK, 1.4, 0.4, 2.0, 3.0, message)],
        model="bist-rank-63s 3",
        trained_through=newest,
        ic_before=np.linspace(-0.1, 0.1, 252),
    )
    html = gzip.compress(render_drift(report).encode())
    with begin(engine) as connection:
        connection.execute(insert(drift_reports), {"source": source, "session": newest, "html": html})
        for day, status in verdicts.items():
            when = {"session": day, "status": status}
            connection.execute(insert(drift_runs), [{**checked, **said, **when}])
            connection.execute(insert(drift_checks), [{**checked, **check, **when}])
            features = [{**each, "source": source, "session": day} for each in _features(newest - day)]
            connection.execute(insert(drift_features), features)
            if status != "OK":
                episode = {"status": status, "opened_on": day, "last_seen": day, "closed_on": None}
                connection.execute(insert(drift_episodes), [{**about, **told, **episode}])


def _features(age: dt.timedelta) -> list[dict[str, object]]:
    """Three features: one that drifts, one that does not, one that an older version left without words."""
    shape = {"median_then": 0.021, "median_now": 0.034, "missing_then": 0.0, "missing_now": 0.02}
    measured = {"typical": 0.1, "record": 0.3, "importance": 0.25, **shape}
    times = {"vol_126": 1.4, "mom_21": 3.4 - 0.1 * age.days, "beta_252": 0.8}
    return [
        {"feature": name, "label": LABELS[name], "distance": 0.1 * many, **measured}
        for name, many in times.items()
    ]
