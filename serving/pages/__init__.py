"""Web pages for people, in Turkish and English: `install(app)` adds them to the API."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from bist_pipeline.config import ServingSettings
from serving.pages.drift import show_drift
from serving.pages.drift_report import show_drift_report
from serving.pages.errors import as_page, wants_page
from serving.pages.frame import NothingPublished
from serving.pages.home import show_home
from serving.pages.model import show_model
from serving.pages.rendering import render
from serving.pages.share import show_share

_SHARES, _REPORTS = "/symbols/", "/drift/reports/"
_PAGES: dict[str, Callable[..., Any]] = {
    "/": show_home,
    f"{_SHARES}{{symbol:path}}": show_share,
    "/drift": show_drift,
    f"{_REPORTS}{{session}}": show_drift_report,
    "/model": show_model,
}
router = APIRouter(include_in_schema=False)
for _path, _show in _PAGES.items():
    router.add_api_route(_path, _show, methods=["GET", "HEAD"], response_class=HTMLResponse)


def is_page(path: str) -> bool:
    """Whether a path is that of a page, or would be if there were such a share."""
    return path in _PAGES or path.startswith((_SHARES, _REPORTS))


def install(app: FastAPI, settings: ServingSettings) -> None:
    """Add the pages, and let people see the app's problems as pages; call it after the app's own handlers.

    Parameters
    ----------
    app : FastAPI
        With its engine as `app.state.engine`.
    settings : ServingSettings
        Of the other user interfaces, those that are set are linked to.
    """
    pages = {"mlflow": settings.mlflow_page, "airflow": settings.airflow_page}
    app.state.links = {name: address for name, address in pages.items() if address}
    app.include_router(router)
    for kind, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _for_people(handler))
    app.add_exception_handler(NothingPublished, _show_empty)


def _for_people(handler: Callable[..., Any]) -> Callable[..., Any]:
    async def answer(request: Request, error: Exception) -> Response:
        found = handler(request, error)
        problem: Response = await found if inspect.isawaitable(found) else found
        return as_page(request, problem) if wants_page(request) else problem

    return answer


def _show_empty(request: Request, _: Exception) -> Response:
    page = render(request, "empty.html", status=503)
    page.headers["retry-after"] = "30"
    return page
