"""The OpenAPI description, and the page that shows it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from serving.gate import KEY_HEADER
from serving.problems import MEDIA_TYPE

DESCRIPTION = """
Shares of Borsa Istanbul, ranked each session by their expected return over the next three months against
the market. Research, not investment advice; no orders, nothing in real time.

Every list comes as JSON or, with `Accept: text/csv`, as CSV; `next` (CSV: the header `Link`) leads to its
next page. Every answer has an `ETag` that changes with the next publication. Every error is
`application/problem+json` (RFC 9457), in Turkish or English by `Accept-Language`. While the database is out
of reach, what was read last is served, with its `Age` in seconds.
"""

# What is told before any route is asked.
_ANYWHERE = {
    "400": "The server does not go by that name",
    "413": "The body is too large; none is needed",
    "414": "Path and query are too long",
}
_IN_API = {
    "401": "The API key is missing or unknown, where keys are required",
    "406": "`Accept` wants neither JSON nor CSV",
    "429": "The key's allowance is used up; `Retry-After` says for how long",
}
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

# Without inline script, which the content security policy forbids; nothing from other hosts.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>bist_pipeline API</title>
<link rel="icon" href="/static/pages/icon.svg">
<link rel="stylesheet" href="/static/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/static/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/static/docs.js"></script>
</body>
</html>
"""


class DocumentedApi(FastAPI):
    """An application that describes all its answers."""

    def openapi(self) -> dict[str, Any]:
        """Describe the API; FastAPI would declare problems as plain JSON, and knows nothing of the gate."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    _complete(operation, is_in_api=path.startswith("/api/"))
            schemes = schema["components"].setdefault("securitySchemes", {})
            schemes["ApiKey"] = {"type": "apiKey", "in": "header", "name": KEY_HEADER}
        return super().openapi()


def install(app: FastAPI) -> None:
    """Add the page `/docs`."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_PAGE)


def _complete(operation: dict[str, Any], *, is_in_api: bool) -> None:
    answers = operation["responses"]
    for status, reason in (_ANYWHERE | (_IN_API if is_in_api else {})).items():
        answers[status] = {"description": reason, "content": dict(_PROBLEM)}
    for status, answer in answers.items():
        content = answer.get("content", {})
        if status >= "400" and "application/json" in content:
            content[MEDIA_TYPE] = content.pop("application/json")
    operation["responses"] = dict(sorted(answers.items()))
    if is_in_api:
        # Either with a key or without: where none are set, everyone may read.
        operation["security"] = [{}, {"ApiKey": []}]
