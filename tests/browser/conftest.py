"""Servers with real databases in every state a reader can meet, started once, and who visits them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page

from bist_pipeline.config import ServingSettings, Settings
from bist_pipeline.store.engine import open_engine
from serving.app import create_app
from tests.browser import invented_batch

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
LINKED = ServingSettings(mlflow_page="http://127.0.0.1:5000", airflow_page="http://127.0.0.1:8080")


@contextmanager
def _serve(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses of the site by the state of its database.

    `gone` cannot reach one, `bare` has no tables, and `lost` has been without one since it was first read.
    """
    home = tmp_path_factory.mktemp("sites")
    filled = {
        "fresh": {},
        "stale": {"newest": invented_batch.STALE, "source": "synthetic"},
        "snapshot": {"source": "snapshot"},
        "lost": {},
    }
    urls = {name: f"sqlite:///{home}/{name}.db" for name in (*filled, "empty", "bare")}
    for name in (*filled, "empty"):
        engine = open_engine(urls[name])
        invented_batch.create_tables(engine)
        if name in filled:
            invented_batch.fill(engine, **filled[name])
        engine.dispose()
    urls["gone"] = f"sqlite:///{home}/no/such/folder/bist.db"
    apps = {name: create_app(Settings(database_url=url, serving=LINKED)) for name, url in urls.items()}
    with ExitStack() as servers:
        found = {name: servers.enter_context(_serve(app)) for name, app in apps.items()}
        for file in home.glob("lost.db*"):
            file.unlink()
        (home / "lost.db").mkdir()
        apps["lost"].state.keeper.refresh()
        yield found


class Reader:
    """Someone at a browser: opens pages, and notes what they complain of and which hosts they ask."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._site = site
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def open(self, path: str, *, status: int = 200) -> Page:
        answer = self.page.goto(self._site + path)
        assert answer is not None
        assert answer.status == status
        return self.page

    def reads(self, words: str) -> bool:
        return words in " ".join(self.page.inner_text("body").split())

    def _note(self, kind: str, words: str) -> None:
        # Chromium itself reports the status of a page that is an error on purpose.
        if kind in ("error", "warning") and "Failed to load resource: the server responded" not in words:
            self.complaints.append(words)


@pytest.fixture
def visit(chromium: Browser, sites: dict[str, str]) -> Iterator[object]:
    """Let someone visit a site: `visit("fresh", locale="tr", viewport=PHONE)`."""
    with ExitStack() as contexts:

        def _visit(site: str, *, locale: str = "en-GB", **wishes: object) -> Reader:
            context = chromium.new_context(**{"viewport": DESKTOP, "locale": locale, **wishes})
            contexts.callback(context.close)
            return Reader(context, sites[site])

        yield _visit
