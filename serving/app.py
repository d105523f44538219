"""The web application: `create_app()` puts routes, pages, problems and the snapshot's keeper together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from bist_pipeline import __version__
from bist_pipeline.config import Settings, load_settings
from bist_pipeline.store.engine import open_engine
from serving import documentation, pages, problems
from serving.database import Database
from serving.gate import Gate
from serving.metrics import Metrics
from serving.routes import health, predictions, returns, trust
from serving.secrets import check_secrets
from serving.shelf import Shelf
from serving.snapshot import LOST_AFTER_S, Keeper

_GZIP_LEVEL = 6


class _Application(documentation.DocumentedApi):
    def build_middleware_stack(self) -> ASGIApp:
        # Around everything, Starlette's handler of faults too, which add_middleware() would leave outside.
        state = self.state
        inner = GZipMiddleware(super().build_middleware_stack(), compresslevel=_GZIP_LEVEL)
        kept = Shelf(inner, keeper=state.keeper)
        return Gate(kept, settings=state.settings, metrics=state.metrics)


@asynccontextmanager
async def _keep(app: FastAPI) -> AsyncIterator[None]:
    app.state.keeper.start()
    yield
    app.state.keeper.stop()
    app.state.engine.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; the database is first contacted when it starts.

    Parameters
    ----------
    settings : Settings, optional
        Only `database_url` and `serving` are used; read from the environment by default.

    Raises
    ------
    ConfigError
        If the settings or the database URL cannot be used, or a secret is one that everybody knows.
    """
    settings = settings or load_settings()
    check_secrets(settings)
    app = _Application(
        title="bist_pipeline",
        version=__version__,
        description=documentation.DESCRIPTION,
        lifespan=_keep,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings.serving
    app.state.engine = open_engine(settings.database_url, answer_timeout_s=int(LOST_AFTER_S))
    app.state.keeper = Keeper(app.state.engine, poll_seconds=settings.serving.poll_seconds)
    app.state.database = Database(app.state.engine, app.state.keeper)
    app.state.metrics = Metrics(app.state.database)
    problems.install_handlers(app)
    for routes in (predictions, returns, trust, health):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(packages=[("serving", "static")]))
    documentation.install(app)
    pages.install(app, settings.serving)
    return app
