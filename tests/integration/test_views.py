"""The views of `sql/views/` say what the API says, on every kind of database."""

import pytest
from sqlalchemy import text

from bist_pipeline.contracts import UNKNOWN_SECTOR
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import read_batch, read_history
from bist_pipeline.store.scorecards import write_judgement
from bist_pipeline.store.write import write_securities
from tests.publishing import SESSION, publish_score

pytestmark = pytest.mark.integration

YESTERDAY = SESSION.replace(day=27)
ROWS = 40


@pytest.fixture
def filled(store):
    """Two sessions, one of them with two results: inside and above the interval of -0.5 to 1.5."""
    publish_score(store, 0.5, session=YESTERDAY, rows=ROWS)
    publish_score(store, 2.0, rows=ROWS)
    write_securities(store, "files", [{"symbol": "S00001", "name": "Çığ Işık A.Ş.", "sector": "Banks"}])
    results = [
        {"symbol": symbol, "excess_return": gain, "matured_on": SESSION}
        for symbol, gain in (("S00000", 0.25), ("S00001", 1.75))
    ]
    write_judgement(store, "files", YESTERDAY, results, [], horizon=63)
    return store


def look(engine, view: str) -> list[dict]:
    with connect(engine) as connection:
        found = connection.execute(text(f"SELECT * FROM {view} ORDER BY symbol"))  # noqa: S608 - our views
        return [dict(row) for row in found.mappings()]


def test_current_predictions_are_the_batch_that_the_api_serves(filled):
    shown = look(filled, "current_predictions")

    with connect(filled) as connection:
        served = read_batch(connection).predictions
    names = ("symbol", "name", "rank", "score", "expected_excess_return", "lower", "upper", "tradable")
    assert len(shown) == ROWS
    assert [[row[n] for n in names] for row in shown] == [[getattr(p, n) for n in names] for p in served]
    assert [row["sector"] or UNKNOWN_SECTOR for row in shown] == [p.sector for p in served]
    assert {str(row["session"]) for row in shown} == {str(SESSION)}


def test_matured_predictions_stand_beside_their_results(filled):
    shown = look(filled, "matured_predictions")

    assert [(r["symbol"], r["realized_excess_return"], r["inside_interval"]) for r in shown] == [
        ("S00000", 0.25, 1),
        ("S00001", 1.75, 0),
    ]
    with connect(filled) as connection:
        for row in shown:
            _, past = read_history(connection, row["symbol"], limit=9)
            assert row["realized_excess_return"] == past.realized_excess_return
            assert row["expected_excess_return"] == past.expected_excess_return
