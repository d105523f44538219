"""Figures of walk-forwards on every kind of database: what replaces what, and what readers get."""

import datetime as dt

import pytest

from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_backtests, read_batch, read_decisions, read_mark
from bist_pipeline.store.write import write_backtest, write_decision
from bist_pipeline.wording import Wording
from tests.browser.invented_batch import GATED, TESTED, make_figures
from tests.publishing import SESSION, publish_score

EARLIER = SESSION - dt.timedelta(days=1)


@pytest.fixture
def engine(store):
    publish_score(store, 0.1, rows=3)  # by version 1 of the model
    return store


def decide(engine, *, version: str, figures, session: dt.date = SESSION) -> None:
    row = {
        "decided_at": dt.datetime.now(dt.UTC),
        "source": "files",
        "session": session,
        "model_name": "bist-rank-63s",
        "challenger_version": version,
        "champion_version": "",
        "promoted": True,
        "reasons": Wording("No champion yet.", "Henüz model yok."),
    }
    write_decision(engine, row, figures=figures)


def figures_of(engine) -> dict[str, dict[str, float]]:
    """Rank IC by ranking, for the training and the backtest that readers of the batch get."""
    with connect(engine) as connection:
        found = read_backtests(connection, read_batch(connection).publication)
    return {one.origin: {each.ranking: each.rank_ic for each in one.rankings} for one in found}


def mark_of(engine):
    with connect(engine) as connection:
        return read_mark(connection, now=dt.datetime.now(dt.UTC))


def test_readers_get_the_test_of_the_served_model_and_the_newest_backtest_best_ranking_first(engine):
    assert figures_of(engine) == {}
    before = mark_of(engine)

    decide(engine, version="1", figures=make_figures(GATED))
    decide(engine, version="2", figures=make_figures({"blend": 0.5, "low_vol_126": 0.4}))
    write_backtest(engine, "files", SESSION, make_figures({"blend": 0.3, "low_vol_126": 0.2}))
    write_backtest(engine, "files", EARLIER, make_figures(TESTED))
    write_backtest(engine, "synthetic", SESSION, make_figures({"blend": 0.9}))

    assert figures_of(engine) == {"training": GATED, "backtest": TESTED}
    assert [*figures_of(engine)["backtest"]] == sorted(TESTED, key=TESTED.get, reverse=True)
    assert mark_of(engine) != before


def test_a_rerun_replaces_its_figures_and_appends_its_decision(engine):
    for figures in (make_figures({"blend": 0.1, "low_vol_126": 0.2}), make_figures({"blend": 0.3})):
        decide(engine, version="1", figures=figures)
        write_backtest(engine, "files", SESSION, figures)

    assert figures_of(engine) == {"training": {"blend": 0.3}, "backtest": {"blend": 0.3}}
    with connect(engine) as connection:
        assert len(read_decisions(connection, "files", limit=9)) == 2


def test_what_is_unknown_stays_unknown_and_years_keep_their_figures(engine):
    (blend,) = make_figures({"blend": 0.1})
    unknown = dict.fromkeys(("rank_ic", "rank_ic_lower", "nw_t", "spread_lower"))
    write_backtest(engine, "files", SESSION, [{**blend, **unknown}])

    with connect(engine) as connection:
        (found,) = read_backtests(connection, read_batch(connection).publication)

    (one,) = found.rankings
    assert one.rank_ic is one.rank_ic_lower is one.nw_t is one.spread_lower is one.lead_ic is None
    assert one.by_year == blend["by_year"]
    assert (found.folds, found.dates, found.first_session) == (9, 112, blend["first_session"])
    assert found.computed_at.tzinfo is dt.UTC
