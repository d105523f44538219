"""What every request passes first and every answer last: trusted names, limits, keys, headers, counters."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bist_pipeline.config import ServingSettings
from serving.keys import KeyRing
from serving.metrics import Metrics
from serving.negotiation import choose_language
from serving.pages.errors import as_page, wants_page
from serving.problems import ProblemError, render_problem

# Counted where a client hung up before it had an answer; nobody is ever sent it.
HUNG_UP = 499
MAX_BODY_BYTES = 16 * 1024
MAX_ADDRESS_CHARACTERS = 16 * 1024
KEY_HEADER = "X-API-Key"

_POLICY = "; ".join(
    [
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"),
        *("font-src 'self'", "connect-src 'self'", "form-action 'self'", "base-uri 'none'"),
    ]
)
_CSP = b"content-security-policy"
_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }.items()
]


def _refuse(request: Request, problem: ProblemError) -> Response:
    language = choose_language(request.headers.get("accept-language", ""))
    answer = render_problem(problem, path=request.url.path, language=language)
    return as_page(request, answer) if wants_page(request) else answer


class Gate:
    """ASGI middleware around everything, so that refusals and faults leave with the same headers.

    Parameters
    ----------
    app : ASGI application
        What is behind the gate.
    settings : ServingSettings
        Names, keys and allowances.
    metrics : Metrics
        Counts every answer.
    """

    def __init__(self, app: ASGIApp, *, settings: ServingSettings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = frozenset(host for host in settings.trusted_hosts if not host.startswith("*"))
        self._domains = tuple(host[1:] for host in settings.trusted_hosts if host.startswith("*."))
        self._trusts_any = "*" in settings.trusted_hosts
        # Only Airflow's user interface, which shows the pages inside its own, may frame them.
        framed_by = settings.airflow_page or "'none'"
        self._framing = f"; frame-ancestors {framed_by}".encode()
        self._keys = (
            KeyRing(settings.api_keys, requests_per_minute=settings.requests_per_minute)
            if settings.api_keys
            else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*self._secure(message.get("headers", ()))]
            await send(message)

        headers = dict(scope["headers"])
        try:
            self._admit(scope, headers)
        except ProblemError as problem:
            await _refuse(Request(scope), problem)(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)
        finally:
            # Paths that do not exist are one route, lest guesses fill the memory.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count(route, status or HUNG_UP, time.perf_counter() - started)

    def _secure(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Add what every answer says to browsers; a policy of an answer's own stands in place of ours."""
        policy = _POLICY.encode()
        for name, value in headers:
            if name == _CSP:
                policy = value
            else:
                yield name, value
        yield from _HEADERS
        yield _CSP, policy + self._framing

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        self._check_host(headers.get(b"host", b"").decode("latin-1"))
        if len(scope["path"]) + len(scope["query_string"]) > MAX_ADDRESS_CHARACTERS:
            raise ProblemError(414, "address-too-long", {"limit": MAX_ADDRESS_CHARACTERS})
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            raise ProblemError(413, "body-too-large", {"limit": MAX_BODY_BYTES})
        if self._keys is not None and scope["path"].startswith("/api/"):
            self._check_key(self._keys, headers.get(KEY_HEADER.lower().encode(), b""))

    def _check_host(self, host: str) -> None:
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        if not (self._trusts_any or name in self._hosts or name.endswith(self._domains or ("\0",))):
            raise ProblemError(400, "untrusted-host", {"host": name[:80]})

    def _check_key(self, keys: KeyRing, sent: bytes) -> None:
        owner = keys.owner_of(sent) if sent else None
        if owner is None:
            raise ProblemError(
                401, "key-required", headers={"WWW-Authenticate": f'ApiKey header="{KEY_HEADER}"'}
            )
        wait_s = keys.wait_s(owner)
        if wait_s > 0:
            retry = {"Retry-After": str(math.ceil(wait_s))}
            raise ProblemError(429, "too-many-requests", {"limit": keys.requests_per_minute}, headers=retry)
