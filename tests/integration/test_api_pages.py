"""Pages are made once for every publication and language, and say the same as the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, select

from bist_pipeline.config import ServingSettings, Settings
from bist_pipeline.store.engine import begin, open_engine
from bist_pipeline.store.schema import scorecards
from serving.app import create_app
from serving.pages import home
from tests.api_client import Api, serve
from tests.browser.invented_batch import create_tables, fill

pytestmark = pytest.mark.integration

PAGES = ("/", "/?q=thy", "/symbols/THYAO", "/drift", "/model")
HTML = {"Accept": "text/html"}


@pytest.fixture
def database(tmp_path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/bist.db")
    create_tables(engine)
    fill(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def api(database) -> Iterator[Api]:
    settings = Settings(database_url=str(database.url), serving=ServingSettings(poll_seconds=60))
    with serve(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_who_has_a_page_already_gets_304_in_their_own_language_only(api, path):
    english, turkish = (api.get(path, headers={**HTML, "Accept-Language": code}) for code in ("en", "tr"))
    assert len({english.headers["etag"], turkish.headers["etag"]}) == 2
    for page, code in ((english, "en"), (turkish, "tr")):
        known = {**HTML, "Accept-Language": code, "If-None-Match": english.headers["etag"]}
        again = api.get(path, headers=known)
        assert again.status_code == (304 if page is english else 200)
        assert again.headers["etag"] == page.headers["etag"]


def test_a_chosen_language_is_remembered_even_if_the_page_is_known_already(api):
    page = api.get("/?lang=tr", headers=HTML)
    again = api.get("/?lang=tr", headers={**HTML, "If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["set-cookie"] == page.headers["set-cookie"]
    assert "lang=tr" in again.headers["set-cookie"]


def test_a_page_is_made_once_and_again_after_a_change(api, database, monkeypatch):
    before = api.get("/", headers=HTML)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("made twice")

    with monkeypatch.context() as patch:
        patch.setattr(home, "render", fail)
        assert api.get("/", headers=HTML).text == before.text
    add_horizon(database, 63, rank_ic=0.9)
    api.keeper.refresh()
    assert api.get("/", headers=HTML).headers["etag"] != before.headers["etag"]


def add_horizon(engine: Engine, horizon: int, *, rank_ic: float) -> None:
    """Store the published ranks' scorecards once more, for another horizon or window."""
    with begin(engine) as connection:
        rows = connection.execute(select(scorecards).filter_by(model="published")).mappings().all()
        assert rows
        changed = {"horizon_sessions": horizon, "rank_ic": rank_ic, "lower": 0.8, "skill": "proven"}
        window = {"window_sessions": 999}
        connection.execute(insert(scorecards), [{**rows[0], **changed, **window}])


def test_trust_is_told_of_the_horizon_that_the_ranks_have_by_page_and_api_alike(api, database):
    add_horizon(database, 21, rank_ic=0.987)
    api.keeper.refresh()
    told = api.get("/api/v1/predictions/THYAO").json()["scorecard"]
    assert (told["horizon_sessions"], told["skill"]) == (63, "unproven")
    for path in ("/", "/symbols/THYAO", "/model"):
        page = api.get(path, headers=HTML).text
        assert "0.987" not in page, path
        assert "had skill" not in page, path
    assert f"{told['rank_ic']:+.3f}" in api.get("/", headers=HTML).text
