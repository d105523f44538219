"""The thread behind the API outlives whatever the database holds."""

import pytest
from sqlalchemy import text

from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.migrate import upgrade
from serving.snapshot import Keeper
from tests.publishing import publish_score


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
