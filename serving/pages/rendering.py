"""From a template and what it shows to an answer in the reader's language."""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from bist_pipeline import __version__
from serving.pages.language import CODES, COOKIE, choose_language

_LONGEST_ADDRESS = 4096
_YEAR_S = 365 * 24 * 3600


@cache
def _environment() -> Environment:
    loader = PackageLoader("serving")
    settings = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=loader, autoescape=True, **settings)  # type: ignore[arg-type]
    environment.globals["version"] = __version__
    return environment


def render(
    request: Request, template: str, *, status: int = 200, is_whole: bool = True, **shown: Any
) -> HTMLResponse:
    """Fill a template; `t` is the reader's language in it, `languages` leads to the others.

    A page that is not whole, or no success, has no entity tag: whoever asks again may get more.
    """
    t = choose_language(request)
    page = _environment().get_template(template)
    body = page.render(t=t, path=request.url.path, languages=_addresses(request), **shown)
    # Readers come back after a publication: they ask each time, and get what is newest.
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie", "Content-Language": t.code}
    if is_whole and status == HTTPStatus.OK:
        headers["ETag"] = f'"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'
    answer = HTMLResponse(body, status, headers=headers)
    if request.query_params.get(COOKIE) == t.code:
        answer.set_cookie(COOKIE, t.code, max_age=_YEAR_S, httponly=True, samesite="lax")
    return answer


def _addresses(request: Request) -> dict[str, str]:
    """Return the address of this page in every language; of the first page where its own is beyond use."""
    url = request.url
    if len(str(url)) > _LONGEST_ADDRESS:
        url = url.replace(path="/", query="")
    return {code: f"{url.path}?{url.include_query_params(**{COOKIE: code}).query}" for code in CODES}
