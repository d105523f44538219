"""The API on a real socket, and what its tests ask of every answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from serving.snapshot import Keeper


class Api(httpx.Client):
    """A client, and the keeper of the server it asks: `api.keeper.refresh()` need not wait for its thread."""

    keeper: Keeper


@contextmanager
def serve(app: FastAPI) -> Iterator[Api]:
    """Run an application on a free port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with Api(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            client.keeper = app.state.keeper
            yield client
    finally:
        server.should_exit = True
        thread.join()


def problem_of(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Return the problem that an answer describes, after making sure that it is of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:problem-type:bist:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem
