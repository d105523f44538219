"""Finished answers, kept as long as their snapshot is the newest.

A route makes an answer from one snapshot, and nothing but the request decides which: so the same request
needs it made only once. Whoever has the answer already gets 304. Pages are kept by the reader's language and,
during an outage, apart from those that do not mention it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.pages import is_page
from serving.pages.language import choose_language
from serving.snapshot import Keeper, Snapshot

# Whoever asks for something else every time must not fill the memory.
MAX_ANSWERS = 4096
MAX_BYTES = 32 * 1024 * 1024

# Under this key a shelf has the bytes it holds.
_SIZE = "bytes"
_USED = (b"accept", b"accept-encoding")
_KEPT_ON_304 = (b"etag", b"cache-control", b"vary", b"link", b"set-cookie")


@dataclass(frozen=True)
class _Finished:
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    etag: bytes
    route: Any


class Shelf:
    """ASGI middleware: answers GET requests that were answered before from the same snapshot.

    Parameters
    ----------
    app : ASGI application
        Finds the snapshot it must use in `request.state.snapshot`, the outage to tell of in `.outage`.
    keeper : Keeper
        Of the snapshots.
    """

    def __init__(self, app: ASGIApp, *, keeper: Keeper) -> None:
        self._app = app
        self._keeper = keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        snapshot = self._keeper.snapshot
        if snapshot is None or not _concerns(scope):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        key: tuple[Any, ...] = (scope["path"], scope["query_string"], *(headers.get(name) for name in _USED))
        outage = self._keeper.outage
        if is_page(scope["path"]):
            key = (*key, choose_language(Request(scope)).code, outage)
        finished = snapshot.shelf.get(key)
        if finished is None:
            scope.setdefault("state", {}).update(snapshot=snapshot, outage=outage)
            catch = _Catch(send)
            await self._app(scope, receive, catch)
            finished = catch.finished(scope)
            if finished is None:
                return
            _put(snapshot, key, finished)
        scope["route"] = finished.route
        await self._send(finished, headers.get(b"if-none-match", b""), send)

    async def _send(self, finished: _Finished, known: bytes, send: Send) -> None:
        headers, body, status = finished.headers, finished.body, 200
        if known and not {tag.strip() for tag in known.split(b",")}.isdisjoint({finished.etag, b"*"}):
            headers = tuple(each for each in headers if each[0] in _KEPT_ON_304)
            body, status = b"", 304
        if self._keeper.is_lost:
            headers = (*headers, (b"age", b"%d" % max(self._keeper.unconfirmed_s, 0)))
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})


class _Catch:
    """Holds back an answer that can be kept; anything else passes through."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if (
            message["type"] == "http.response.start"
            and message["status"] == 200
            and _etag(message["headers"])
        ):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))

    def finished(self, scope: Scope) -> _Finished | None:
        if self._start is None:
            return None
        headers = tuple(self._start["headers"])
        return _Finished(headers, b"".join(self._parts), _etag(headers), scope.get("route"))


def _concerns(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    path: str = scope["path"]
    return path.startswith("/api/") or is_page(path)


def _etag(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next((value for name, value in headers if name == b"etag"), b"")


def _put(snapshot: Snapshot, key: Any, finished: _Finished) -> None:
    shelf = snapshot.shelf
    size = len(finished.body) + len(repr(key))
    if len(shelf) > MAX_ANSWERS or shelf.get(_SIZE, 0) + size > MAX_BYTES:
        shelf.clear()
    shelf[key], shelf[_SIZE] = finished, shelf.get(_SIZE, 0) + size
