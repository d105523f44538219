"""A batch is published whole or not at all, and a rerun replaces it: on every kind of database."""

import datetime as dt
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from sqlalchemy import func, select

from bist_pipeline.errors import DatabaseUnavailableError, StoreError
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.store.read import read_batch
from bist_pipeline.store.schema import pipeline_runs, predictions, publications
from bist_pipeline.store.write import Run, publish

SESSION = dt.date(2024, 6, 28)
SYMBOLS = [f"S{i:03}" for i in range(300)]


def run(run_id: str, *, session: dt.date = SESSION, rows: int = len(SYMBOLS)) -> Run:
    return Run(
        run_id=run_id,
        source="files",
        session=session,
        rows=rows,
        data_hash="d" * 16,
        model_name="bist-rank-63s",
        model_version="1",
        code_version="0",
        rank_ic=0.1,
        finished_at=dt.datetime.now(dt.UTC),
    )


def batch(score: float) -> list[dict]:
    return [
        {
            "symbol": symbol,
            "horizon_sessions": 63,
            "score": score,
            "rank": i + 1,
            "percentile": 1 - i / len(SYMBOLS),
            "expected_excess_return": score,
            "lower": score - 1,
            "upper": score + 1,
            "tradable": True,
            "drivers": [{"feature": "vol_126", "contribution": 0.1, "value": 0.2}],
            "model_name": "bist-rank-63s",
            "model_version": "1",
        }
        for i, symbol in enumerate(SYMBOLS)
    ]


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    upgrade(engine)
    yield engine
    engine.dispose()


def published_scores(engine) -> set[float]:
    with connect(engine) as connection:
        found = read_batch(connection)
    assert found is not None
    assert len(found.predictions) == len(SYMBOLS)
    return {p.score for p in found.predictions}


def test_a_rerun_of_a_session_replaces_and_never_adds(engine):
    publish(engine, run("first"), batch(1.0))
    publish(engine, run("first"), batch(1.0))
    publish(engine, run("second"), batch(2.0))

    assert published_scores(engine) == {2.0}
    with connect(engine) as connection:
        for table, expected in ((predictions, len(SYMBOLS)), (publications, 1), (pipeline_runs, 1)):
            assert connection.scalar(select(func.count()).select_from(table)) == expected


def test_another_session_stands_beside_it_and_the_newest_is_current(engine):
    publish(engine, run("new"), batch(2.0))
    publish(engine, run("old", session=dt.date(2024, 6, 27)), batch(1.0))

    assert published_scores(engine) == {2.0}


def test_scores_come_back_to_the_last_bit(engine):
    publish(engine, run("first"), batch(1 / 3))

    assert published_scores(engine) == {1 / 3}


def test_a_short_batch_is_refused_and_the_old_one_stays(engine):
    publish(engine, run("first"), batch(1.0))

    with pytest.raises(StoreError, match="300 of 301"):
        publish(engine, run("second", rows=301), batch(2.0))

    assert published_scores(engine) == {1.0}


def test_a_row_the_database_refuses_leaves_the_old_batch(engine):
    publish(engine, run("first"), batch(1.0))
    doubled = [*batch(2.0), batch(2.0)[0]]

    with pytest.raises(StoreError):
        publish(engine, run("second", rows=301), doubled)

    assert published_scores(engine) == {1.0}


def test_readers_see_a_whole_batch_while_a_writer_replaces_it(engine):
    publish(engine, run("0"), batch(0.0))
    done = threading.Event()
    seen: list[set[float]] = []

    def read_on():
        while not done.is_set():
            seen.append(published_scores(engine))

    reader = threading.Thread(target=read_on)
    reader.start()
    for i in range(1, 11):
        publish(engine, run(str(i)), batch(float(i)))
    done.set()
    reader.join()

    assert len(seen) > 1
    assert all(len(scores) == 1 for scores in seen)


def test_a_writer_killed_in_the_middle_leaves_the_old_batch(engine, database_url):
    publish(engine, run("first"), batch(1.0))
    script = f"""
        import sys, time
        sys.path.insert(0, {str(__file__.rsplit("/", 1)[0])!r})
        import test_publish as t
        import bist_pipeline.store.write as write

        def stop_here(*args, **kwargs):
            print("inside", flush=True)
            time.sleep(60)

        engine = t.open_engine({database_url!r})
        real = write.insert
        write.insert = lambda table: stop_here() if table is t.publications else real(table)
        t.publish(engine, t.run("second"), t.batch(2.0))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "inside"
        assert published_scores(engine) == {1.0}
        writer.send_signal(signal.SIGKILL)

    assert published_scores(engine) == {1.0}
    publish(engine, run("third"), batch(3.0))
    assert published_scores(engine) == {3.0}


@pytest.mark.parametrize(
    "url", ["mysql+mysqldb://nobody@127.0.0.1:1/bist", "sqlite:////nowhere/at/all/bist.db"]
)
def test_a_database_out_of_reach_is_named_quickly(url):
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1|/nowhere") as caught:
        publish(open_engine(url), run("first"), batch(1.0))

    assert "BIST_DATABASE_URL" in caught.value.next_step
