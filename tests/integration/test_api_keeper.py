"""The thread behind the API outlives whatever the database holds, and sees whatever is published."""

import datetime as dt
import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from bist_pipeline.store.engine import begin, connect, open_engine
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.store.read import read_mark
from bist_pipeline.store.write import publish, write_decision, write_drift
from bist_pipeline.wording import Wording
from serving.snapshot import Keeper
from tests.publishing import SESSION, batch, history, publish_score, run

EARLIER = SESSION - dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/bist.db")
    upgrade(engine)
    publish_score(engine, 0.1, rows=20)
    return engine


@pytest.mark.parametrize("drivers", ["{broken", "[{}]", "null"])
def test_a_batch_that_cannot_be_read_leaves_the_last_one_in_place_until_it_is_repaired(engine, drivers):
    keeper = Keeper(engine, poll_seconds=60)
    keeper.refresh()
    before = keeper.snapshot
    publish_score(engine, 0.2, rows=20)
    with begin(engine) as connection:
        connection.execute(text("UPDATE predictions SET drivers = :drivers"), {"drivers": drivers})

    keeper.refresh()

    assert keeper.snapshot is before
    assert keeper.is_lost
    publish_score(engine, 0.3, rows=20)
    keeper.refresh()
    assert not keeper.is_lost
    assert {share.facts.score for share in keeper.current().board.shares} == {0.3}


VERDICT = {
    "status": "OK",
    "summary": Wording("Nothing unusual.", "Olağan dışı bir şey yok."),
    "reference_first": None,
    "reference_last": None,
    "model_version": "1",
    "checked_at": NOW,
}
DECISION = {
    "decided_at": NOW,
    "source": "files",
    "session": SESSION,
    "model_name": "bist-rank-63s",
    "challenger_version": "1",
    "champion_version": "",
    "promoted": True,
    "reasons": Wording("No champion yet.", "Henüz model yok."),
}


@pytest.mark.parametrize(
    "words", ['{"tr": "Yarım"}', '["en", "tr"]', "null", "3", "{broken", '{"en": 1, "tr": 2}']
)
@pytest.mark.parametrize("place", ["drift_runs.summary", "model_decisions.reasons"])
def test_a_text_that_lacks_a_language_never_ends_the_polling(engine, place, words):
    write_drift(engine, "files", SESSION, VERDICT, [])
    write_decision(engine, DECISION)
    table, column = place.split(".")
    good = '{"en": "Fine.", "tr": "İyi."}'

    def write(value):
        with begin(engine) as connection:
            connection.execute(text(f"UPDATE {table} SET {column} = :value"), {"value": value})  # noqa: S608

    write(words)
    keeper = Keeper(engine, poll_seconds=0.01)
    keeper.start()
    try:
        assert keeper.snapshot is None
        assert keeper.failure is not None
        assert not keeper.is_away
        write(good)
        assert waited_for(lambda: not keeper.is_lost)
        assert keeper.snapshot is not None
    finally:
        keeper.stop()


def waited_for(condition) -> bool:
    pause = threading.Event()
    return any(condition() or pause.wait(0.01) for _ in range(3000))


def test_the_newest_session_is_seen_when_it_is_republished_by_a_writer_whose_clock_is_behind(engine):
    publish_score(engine, 0.2, session=EARLIER, rows=20)
    keeper = Keeper(engine, poll_seconds=60)
    keeper.refresh()
    late = replace(run("late", rows=20), finished_at=NOW - dt.timedelta(days=2))
    publish(engine, late, batch(0.3, rows=20), history=history(0.3))

    keeper.refresh()

    assert {share.facts.score for share in keeper.current().board.shares} == {0.3}


def test_what_is_served_is_in_the_mark_whatever_the_times_of_publications_say(engine):
    publish_score(engine, 0.2, session=EARLIER, rows=20)
    with connect(engine) as connection:
        before = read_mark(connection, now=NOW)
    with begin(engine) as connection:
        connection.execute(text("PRAGMA foreign_keys = OFF"))
        connection.execute(
            text("UPDATE publications SET run_id = 'another' WHERE session = :session"), {"session": SESSION}
        )
    with connect(engine) as connection:
        assert read_mark(connection, now=NOW) != before


def test_every_publication_of_a_source_is_later_than_its_last_one(engine):
    past = replace(run("past", session=EARLIER, rows=20), finished_at=NOW - dt.timedelta(days=9))
    with connect(engine) as connection:
        first = connection.scalar(text("SELECT max(published_at) FROM publications"))
    publish(engine, past, batch(0.3, rows=20), history=history(0.3))
    with connect(engine) as connection:
        newest = connection.execute(
            text("SELECT session FROM publications WHERE published_at > :first"), {"first": first}
        ).scalars()
        assert list(newest) == [str(EARLIER)]
