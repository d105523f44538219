"""Judgements and scorecards on every kind of database: what is due, what replaces what, what readers get."""

import datetime as dt
from dataclasses import replace

import pytest

from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import PUBLISHED, read_due, read_judged, read_result, read_scorecards
from bist_pipeline.store.read.stored_runs import read_published_run, read_run_ids
from bist_pipeline.store.scorecards import write_judgement, write_scorecards
from bist_pipeline.store.write import Run, publish

MARCH, APRIL, JUNE = dt.date(2024, 3, 28), dt.date(2024, 4, 1), dt.date(2024, 6, 28)
DRIVERS = [{"feature": "vol_126_rank", "contribution": 0.1, "value": 0.2, "text": {"en": "a", "tr": "ı"}}]


@pytest.fixture
def engine(store):
    return store


def put(engine, run_id: str, session: dt.date) -> Run:
    run = Run(
        run_id=run_id,
        source="files",
        session=session,
        rows=2,
        data_hash="d" * 16,
        facts_hash="f" * 16,
        calendar_hash="c" * 16,
        model_name="bist-rank-63s",
        model_version="1",
        code_version="0",
        rank_ic=0.1,
        finished_at=dt.datetime.now(dt.UTC),
    )
    made_by = {"model_name": "bist-rank-63s", "model_version": "1", "horizon_sessions": 63, "tradable": True}
    figures = {"expected_excess_return": 0.1, "lower": -0.1, "upper": 0.3, "drivers": DRIVERS}
    batch = [
        {"symbol": symbol, "rank": i, "percentile": 2.0 - i, "score": 0.1 / i, **figures, **made_by}
        for i, symbol in enumerate(("THYAO", "GARAN"), start=1)
    ]
    publish(engine, run, batch)
    return run


def judge(engine, run: Run, *, rank_ic: float) -> None:
    matured = {"matured_on": JUNE}
    results = [{"symbol": symbol, "excess_return": rank_ic, **matured} for symbol in ("THYAO", "GARAN")]
    judged = [
        {"model": model, "run_id": run.run_id, "symbols": 2, "rank_ic": rank_ic, "coverage": None, **matured}
        for model in (PUBLISHED, "low_vol_126")
    ]
    write_judgement(engine, "files", run.session, results, judged, horizon=63)


def due(engine, *, until: dt.date = APRIL, again: tuple[dt.date, ...] = ()) -> list[tuple]:
    with connect(engine) as connection:
        rows = read_due(connection, "files", horizon=63, until=until, again=again)
    return [(row["run_id"], row["symbol"]) for row in rows]


def test_due_is_what_was_never_judged_or_was_published_anew(engine):
    march, april = put(engine, "m1", MARCH), put(engine, "a1", APRIL)
    of_march, of_april = ([(run, "THYAO"), (run, "GARAN")] for run in ("m1", "a1"))

    assert due(engine) == [*of_march, *of_april]
    assert due(engine, until=MARCH) == of_march
    judge(engine, march, rank_ic=0.2)
    assert due(engine) == of_april
    assert due(engine, again=(MARCH,)) == [*of_march, *of_april]
    judge(engine, april, rank_ic=0.1)
    put(engine, "m2", MARCH)
    assert due(engine) == [("m2", "THYAO"), ("m2", "GARAN")]


def test_judging_again_replaces(engine):
    run = put(engine, "m1", MARCH)
    for rank_ic in (0.2, 0.3):
        judge(engine, run, rank_ic=rank_ic)

    with connect(engine) as connection:
        judged = read_judged(connection, "files", horizon=63, until=MARCH)
        assert read_result(connection, "files", MARCH, "THYAO", horizon=63) == 0.3
        assert read_result(connection, "files", MARCH, "AKBNK", horizon=63) is None
        assert read_judged(connection, "files", horizon=63, until=dt.date(2024, 3, 27)) == []
    assert [(row["model"], row["rank_ic"]) for row in judged] == [("low_vol_126", 0.3), (PUBLISHED, 0.3)]


def test_readers_get_the_newest_scorecards_the_longest_window_first(engine):
    with connect(engine) as connection:
        assert read_scorecards(connection, "files") == ()
    about = {"judged": 1, "first_session": MARCH, "last_session": MARCH, "lag_sessions": 63, "symbols": 2}
    figures = {"rank_ic": 0.2, "lower": -1.0, "upper": 1.0, "independent": 1.0, "coverage": 0.5}
    told = {"skill": "unproven", "verdict": {"en": "no proven skill", "tr": "kanıtlanamadı"}}
    cards = [
        {"window_sessions": window, "model": PUBLISHED, **about, **figures, **told} for window in (21, 252)
    ]
    for _ in range(2):
        write_scorecards(engine, "files", APRIL, cards[:1], horizon=63)
        write_scorecards(engine, "files", JUNE, cards, horizon=63)

    with connect(engine) as connection:
        found = read_scorecards(connection, "files")
        older = read_scorecards(connection, "files", session=APRIL)
    assert [card.window_sessions for card in found] == [252, 21]
    assert found[0].session == JUNE
    assert found[0].verdict["tr"] == "kanıtlanamadı"
    assert older == (replace(found[1], session=APRIL),)


def test_a_stored_run_comes_back_whole_to_the_last_bit(engine):
    run = put(engine, "m1", MARCH)
    put(engine, "a1", APRIL)

    with connect(engine) as connection:
        stored = read_published_run(connection, "files", MARCH)
        newest = read_published_run(connection, "files")
        assert read_published_run(connection, "yahoo") is None
        assert read_run_ids(connection) == ["a1", "m1"]
    assert newest.run_id == "a1"
    assert (stored.data_hash, stored.facts_hash, stored.calendar_hash) == (
        run.data_hash,
        run.facts_hash,
        run.calendar_hash,
    )
    assert [(row["symbol"], row["score"]) for row in stored.rows] == [("THYAO", 0.1), ("GARAN", 0.1 / 2)]
    assert stored.rows[0]["drivers"] == DRIVERS
