"""The web application: `create_app()` puts routes, problems and the database engine together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from bist_pipeline import __version__
from bist_pipeline.config import Settings, load_settings
from bist_pipeline.store.engine import open_engine
from serving import problems
from serving.routes import health, predictions

_DESCRIPTION = """
Shares of Borsa Istanbul, ranked each session by their expected return over the next three months against
the market. Research, not investment advice; no orders, nothing in real time.

Every error is `application/problem+json` (RFC 9457).
"""


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Describe the API; FastAPI would declare problems as plain JSON."""
        schema = super().openapi()
        operations = (operation for path in schema["paths"].values() for operation in path.values())
        for status, answer in (item for operation in operations for item in operation["responses"].items()):
            if status >= "400" and "application/json" in answer["content"]:
                answer["content"][problems.MEDIA_TYPE] = answer["content"].pop("application/json")
        return schema


@asynccontextmanager
async def _dispose(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.engine.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; the database is first contacted by a request.

    Parameters
    ----------
    settings : Settings, optional
        Only `database_url` is used; read from the environment by default.

    Raises
    ------
    ConfigError
        If the settings or the database URL cannot be used.
    """
    settings = settings or load_settings()
    app = _Api(
        title="bist_pipeline", version=__version__, description=_DESCRIPTION, lifespan=_dispose, docs_url=None
    )
    app.state.engine = open_engine(settings.database_url)
    problems.install_handlers(app)
    for routes in (predictions, health):
        app.include_router(routes.router)

    app.mount("/static", StaticFiles(packages=[("serving", "static")]))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        # FastAPI's own page loads Swagger UI from another host: blank without a way to the internet.
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/static/swagger-ui/swagger-ui-bundle.js",
            swagger_css_url="/static/swagger-ui/swagger-ui.css",
            swagger_favicon_url="data:,",
        )

    @app.get("/", include_in_schema=False)
    def home() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
