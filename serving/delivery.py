"""From what a route found to an answer: JSON or CSV, the snapshot's entity tag, the way to the next page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel

from serving.board import Board
from serving.negotiation import CSV, JSON, choose_media_type
from serving.problems import ProblemError, describe_problems, nothing_published
from serving.snapshot import Keeper, Outage, Snapshot


def _snapshot(request: Request) -> Snapshot:
    # The shelf has put its own there: what is made from one snapshot must not be kept beside another.
    found: Snapshot | None = getattr(request.state, "snapshot", None)
    keeper: Keeper = request.app.state.keeper
    return found or keeper.current()


def _outage(request: Request) -> Outage | None:
    keeper: Keeper = request.app.state.keeper
    found: Outage | None = getattr(request.state, "outage", keeper.outage)
    return found


SnapshotOfApp = Annotated[Snapshot, Depends(_snapshot)]
OutageOfApp = Annotated[Outage | None, Depends(_outage)]


def board_of(snapshot: Snapshot) -> Board:
    """Return the newest batch; a problem where nothing is published."""
    if snapshot.board is None:
        raise nothing_published()
    return snapshot.board


def deliver(
    request: Request,
    snapshot: Snapshot,
    *,
    json: Callable[[], bytes],
    table: Callable[[], bytes],
    following: str | None = None,
) -> Response:
    """Answer in the form that the client wants most.

    Parameters
    ----------
    request : Request
        Whose `Accept` decides.
    snapshot : Snapshot
        That the answer is made from.
    json, table : callable
        Encode it as JSON, as CSV; one of the two is called.
    following : str, optional
        Path and query of the next page.

    Raises
    ------
    ProblemError
        If the client wants neither.
    """
    forms = {JSON: json, CSV: table}
    media_type = choose_media_type(request.headers.get("accept", ""), tuple(forms))
    if media_type is None:
        raise ProblemError(406, "not-acceptable", {"offered": " / ".join(forms)})
    headers = {"ETag": snapshot.etag, "Cache-Control": "no-cache", "Vary": "Accept"}
    if following is not None:
        headers["Link"] = f'<{following}>; rel="next"'
    return Response(forms[media_type](), media_type=media_type, headers=headers)


def describe_answers(kind: type[BaseModel], csv: str, problems: Mapping[int, str]) -> dict[str, Any]:
    """Return what FastAPI is to say of a route that delivers `kind`, with an example of its CSV."""
    headers = {
        "ETag": "Changes whenever something is published or judged.",
        "Age": "Seconds since the database last confirmed the answer; only while it is out of reach.",
        "Link": '`rel="next"`: path and query of the next page, where there is one.',
    }
    described = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    table = {"schema": {"type": "string"}, "example": csv}
    always = {
        422: "A parameter cannot be used",
        503: "Nothing is published yet, or the database is out of reach; `next` leads on",
    }
    return {
        "response_model": kind,
        "responses": {
            200: {"content": {CSV: table}, "headers": described},
            304: {"description": "`If-None-Match` names the newest answer already"},
            **describe_problems(dict(sorted((always | dict(problems)).items()))),
        },
    }
