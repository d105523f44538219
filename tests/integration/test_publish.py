"""A batch is published whole or not at all, and a rerun replaces it: on every kind of database."""

import threading

import pytest
from sqlalchemy import func, select

from bist_pipeline.errors import DatabaseUnavailableError, StoreError
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.read import read_batch
from bist_pipeline.store.schema import (
    past_returns,
    pipeline_runs,
    predictions,
    price_series,
    publications,
)
from bist_pipeline.store.write import publish
from tests.publishing import SESSION, batch, publish_score, published, run

pytestmark = pytest.mark.integration

# As many as there are shares.
ROWS = 300
YESTERDAY = SESSION.replace(day=27)


def put(engine, score, *, session=SESSION) -> None:
    publish_score(engine, score, session=session, rows=ROWS)


def count(engine) -> dict[str, int]:
    tables = (predictions, publications, pipeline_runs, past_returns, price_series)
    with connect(engine) as connection:
        return {t.name: connection.scalar(select(func.count()).select_from(t)) for t in tables}


def test_a_rerun_of_a_session_replaces_and_never_adds(store):
    put(store, 1.0)
    once = count(store)
    put(store, 1.0)
    put(store, 2.0)

    assert published(store, rows=ROWS) == 2.0
    assert count(store) == once
    assert once["predictions"] == ROWS


def test_an_older_session_stands_beside_the_newest_whose_closes_stay(store):
    put(store, 2.0)
    put(store, 1.0, session=YESTERDAY)

    assert published(store, rows=ROWS) == 2.0
    with connect(store) as connection:
        assert read_batch(connection).publication.session == SESSION
        assert connection.scalars(select(past_returns.c.past_return).filter_by(session=YESTERDAY)).all() == [
            1.0,
            1.0,
        ]


def test_a_batch_without_prices_takes_those_of_the_batch_before_with_it(store):
    put(store, 1.0)
    publish(store, run("bare", rows=ROWS), batch(2.0, rows=ROWS))

    assert count(store) == {
        "predictions": ROWS,
        "publications": 1,
        "pipeline_runs": 1,
        "past_returns": 0,
        "price_series": 0,
    }


def test_scores_come_back_to_the_last_bit(store):
    put(store, 1 / 3)

    assert published(store, rows=ROWS) == 1 / 3


def test_a_rerun_of_the_same_run_forgets_the_shares_it_no_longer_has(store):
    publish(store, run("same", rows=ROWS), batch(1.0, rows=ROWS))
    publish(store, run("same", rows=ROWS - 1), batch(1.0, rows=ROWS)[1:])

    assert count(store)["predictions"] == ROWS - 1


def test_a_short_batch_is_refused_and_the_old_one_stays(store):
    put(store, 1.0)

    with pytest.raises(StoreError, match="300 of 301"):
        publish(store, run("second", rows=ROWS + 1), batch(2.0, rows=ROWS))

    assert published(store, rows=ROWS) == 1.0


def test_a_row_the_database_refuses_leaves_the_old_batch(store):
    put(store, 1.0)
    doubled = [*batch(2.0, rows=ROWS), batch(2.0)[0]]

    with pytest.raises(StoreError):
        publish(store, run("second", rows=ROWS + 1), doubled)

    assert published(store, rows=ROWS) == 1.0


def test_readers_see_a_whole_batch_while_a_writer_replaces_it(store):
    put(store, 0.0)
    done = threading.Event()
    seen: list[set[float]] = []

    def read_on():
        while not done.is_set():
            with connect(store) as connection:
                seen.append({p.score for p in read_batch(connection).predictions})

    reader = threading.Thread(target=read_on)
    reader.start()
    for i in range(1, 11):
        put(store, float(i))
    done.set()
    reader.join()

    assert len(seen) > 1
    assert all(len(scores) == 1 for scores in seen)


@pytest.mark.parametrize(
    "url", ["mysql+mysqldb://nobody@127.0.0.1:1/bist", "sqlite:////nowhere/at/all/bist.db"]
)
def test_a_database_out_of_reach_is_named_quickly(url):
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1|/nowhere") as caught:
        put(open_engine(url), 1.0)

    assert "BIST_DATABASE_URL" in caught.value.next_step
