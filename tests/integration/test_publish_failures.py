"""Whatever happens to a writer, readers see the old batch or the new one, whole: on real servers."""

import subprocess
import sys
import threading

import pytest
from sqlalchemy import event, text

from bist_pipeline.errors import DatabaseFullError, DatabaseUnavailableError
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.migrate import upgrade
from tests.database_servers import ROOT, empty_database, run_mariadb, run_mysql, small_disk
from tests.publishing import SESSION, before, publish_score, published

pytestmark = pytest.mark.integration

YESTERDAY = SESSION.replace(day=27)
STATEMENTS = ["INSERT INTO predictions", "INSERT INTO publications", "COMMIT"]

on_servers = pytest.mark.parametrize("migrated_url", ["mariadb", "mysql"], indirect=True)


@pytest.fixture
def engine(store):
    publish_score(store, 1.0)
    return store


def kill_at(engine, statement, *, rows=2_500, seconds=60):
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.publishing", url, statement, str(rows), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "inside\n"
        writer.kill()
    assert writer.returncode < 0


@pytest.mark.slow
def test_a_writer_killed_at_any_point_leaves_the_old_batch(engine):
    for statement in STATEMENTS:
        kill_at(engine, statement)
        assert published(engine) == 1.0

    publish_score(engine, 3.0)
    assert published(engine) == 3.0


@on_servers
@pytest.mark.slow
def test_a_writer_killed_while_the_server_loads_its_file_leaves_the_old_batch(engine):
    kill_at(engine, "LOAD DATA", rows=60_000, seconds=0)

    assert published(engine) == 1.0
    publish_score(engine, 3.0)
    assert published(engine) == 3.0


@on_servers
@pytest.mark.parametrize("statement", ["LOAD DATA", "COMMIT"])
def test_a_connection_lost_on_the_way_leaves_the_old_batch(engine, statement):
    def cut(connection):
        with begin(engine) as other:
            other.execute(text(f"KILL {connection.connection.thread_id()}"))

    met = before(engine, statement, cut)
    with pytest.raises(DatabaseUnavailableError, match="broke the connection") as caught:
        publish_score(engine, 2.0)

    assert met
    assert "repeat" in caught.value.next_step
    assert published(engine) == 1.0
    publish_score(engine, 3.0)
    assert published(engine) == 3.0


@on_servers
def test_the_victim_of_a_deadlock_starts_anew(engine):
    """The other writer holds what publishing needs last, and asks for what it has already taken."""
    with begin(engine) as connection:
        connection.execute(text("CREATE TABLE heavy (id INTEGER PRIMARY KEY)"))
    held, crossed, done = threading.Event(), threading.Event(), threading.Event()

    def cross() -> None:
        with begin(engine) as other:
            # Whoever has changed fewer rows is the victim.
            other.execute(text("INSERT INTO heavy VALUES (:i)"), [{"i": i} for i in range(20_000)])
            other.execute(text("UPDATE past_returns SET past_return = past_return + 0"))
            other.execute(text("SELECT * FROM past_returns FOR UPDATE"))
            held.set()
            crossed.wait(10)
            other.execute(text("SELECT * FROM publications FOR UPDATE"))
        done.set()

    thread = threading.Thread(target=cross)

    def wait_until_crossed(_connection: object) -> None:
        crossed.set()

    thread.start()
    held.wait(10)
    met = before(engine, "DELETE FROM past_returns", wait_until_crossed)
    starts = before(engine, "SELECT max(publications.session)", lambda _: None, times=9)
    publish_score(engine, 2.0)
    thread.join()

    assert met
    assert done.is_set()
    assert len(starts) == 2
    assert published(engine) == 2.0
    with begin(engine) as connection:
        connection.execute(text("DROP TABLE heavy"))


def test_two_writers_at_once_take_turns(engine):
    """Twice the same session, and an older one whose closes must not replace the newest."""
    days = [SESSION, SESSION, YESTERDAY]
    together, failed = threading.Barrier(len(days)), []

    def write(number: int) -> None:
        mine = open_engine(engine.url.render_as_string(hide_password=False), can_load_files=True)
        try:
            for turn in range(3):
                together.wait(30)
                publish_score(mine, 10.0 * number + turn, session=days[number])
        except BaseException as error:  # noqa: BLE001 - of another thread, to be shown by this one
            failed.append(error)
            together.abort()
        finally:
            mine.dispose()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(len(days))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert failed == []
    assert published(engine) in (2.0, 12.0)


def test_a_full_sqlite_file_keeps_the_old_batch(settings):
    engine = open_engine(settings.database_url)
    upgrade(engine)
    publish_score(engine, 1.0)
    with begin(engine) as connection:
        pages = connection.scalar(text("PRAGMA page_count"))
    event.listen(engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {pages + 20}"))

    with pytest.raises(DatabaseFullError, match="no room left") as caught:
        publish_score(engine, 2.0)

    assert "disk space" in caught.value.next_step
    assert published(engine) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("megabytes", "run_server", "option"),
    [
        pytest.param(110, run_mariadb, "--innodb-log-file-size=4M", id="mariadb"),
        pytest.param(190, run_mysql, "--innodb-redo-log-capacity=8M", id="mysql"),
    ],
)
def test_a_full_disk_under_the_server_keeps_the_old_batch(megabytes, run_server, option):
    with (
        small_disk(megabytes) as home,
        run_server(home, option) as server,
        empty_database(server) as url,
    ):
        engine = open_engine(url, can_load_files=True)
        upgrade(engine)
        publish_score(engine, 1.0)

        with pytest.raises(DatabaseFullError, match="no room left"):
            publish_score(engine, 2.0, rows=150_000)

        assert published(engine) == 1.0
        engine.dispose()
