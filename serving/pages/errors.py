"""Problems for people: the same answer, status and headers as a machine gets, as a page in their language."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from serving.pages.language import Language, choose_language
from serving.pages.rendering import render

_MACHINES = ("/api/", "/health/", "/metrics", "/static/", "/openapi.json")


def wants_page(request: Request) -> bool:
    """Whether a person is looking: a browser's address line, and nothing that only programs read."""
    is_for_machines = request.url.path.startswith(_MACHINES)
    return not is_for_machines and "text/html" in request.headers.get("accept", "")


def as_page(request: Request, answer: Response) -> Response:
    """Turn a problem+json answer into a page with its status and headers."""
    problem = json.loads(bytes(answer.body))
    t = choose_language(request)
    page = render(request, "error.html", status=answer.status_code, **_in_words(t, problem))
    for name in ("retry-after", "allow"):
        if name in answer.headers:
            page.headers[name] = answer.headers[name]
    page.headers["cache-control"] = "no-store"
    return page


def _in_words(t: Language, problem: dict[str, Any]) -> dict[str, Any]:
    """Choose what to say: by the kind of problem, else by its status, else what the problem says itself."""
    kind = problem["type"].rpartition(":")[2]
    for key in (kind, str(problem["status"])):
        title = t.look_up(f"error.{key}.title")
        if title is not None:
            return {"problem": problem, "title": title, "text": t(f"error.{key}.text")}
    return {"problem": problem, "title": problem["title"], "text": problem["detail"]}
