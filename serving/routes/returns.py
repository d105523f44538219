"""Who gained most: the past, apart from any forecast."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, Field

from bist_pipeline.store import read
from serving.answers.shares import PastReturn, TopReturns
from serving.database import DatabaseOfApp
from serving.delivery import SnapshotOfApp, board_of, deliver, describe_answers
from serving.parameters import MAX_LIMIT, Parameters, refuse_repeats
from serving.snapshot import GAIN_WINDOW
from serving.tables import encode_table

_PATH = "/api/v1/returns/top"
router = APIRouter(tags=["returns"])

_CSV = (
    "session,sessions,rank,symbol,name,sector,past_return,excess_return\r\n"
    "2024-06-28,63,1,THYAO,Türk Hava Yolları,Industrials,0.418,0.305\r\n"
)


def _as_number(text: Any) -> Any:
    return (
        int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 5 else text
    )


class Wanted(Parameters):
    """Which window, and how much of the list."""

    sessions: Annotated[Literal[5, 21, 63, 126, 252], BeforeValidator(_as_number)] = Field(
        63, description="Length of the window in sessions; 63 is about a quarter.", examples=[63]
    )
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="At most this many shares (count).", examples=[50])
    after: int | None = Field(
        None,
        ge=1,
        description="Paging key: start behind this rank. `next` of every answer has it.",
        examples=[50],
    )


@router.get(
    _PATH,
    summary="Who gained most",
    dependencies=[Depends(refuse_repeats)],
    **describe_answers(TopReturns, _CSV, {}),
)
def list_top_returns(
    request: Request, snapshot: SnapshotOfApp, database: DatabaseOfApp, wanted: Annotated[Wanted, Query()]
) -> Response:
    """List what shares returned over the sessions up to the newest publication, the largest gain first."""
    publication = board_of(snapshot).publication
    found = snapshot.gains
    if wanted.sessions != GAIN_WINDOW:
        with database.reading() as connection:
            found = read.read_past_returns(
                connection, publication.source, publication.session, window=wanted.sessions
            )
    first = wanted.after or 0
    last = first + wanted.limit
    shown = [_describe(rank, past) for rank, past in enumerate(found[first:last], start=first + 1)]
    following = wanted.address(_PATH, after=last) if last < len(found) else None
    answer = TopReturns(
        source=publication.source,
        session=publication.session,
        sessions=wanted.sessions,
        matched=len(found),
        next=following,
        returns=shown,
    )
    lead = {"session": publication.session, "sessions": wanted.sessions}
    return deliver(
        request,
        snapshot,
        json=lambda: answer.model_dump_json().encode(),
        table=lambda: encode_table(PastReturn, shown, lead=lead),
        following=following,
    )


def _describe(rank: int, past: read.PastReturn) -> PastReturn:
    return PastReturn(
        rank=rank,
        symbol=past.symbol,
        name=past.name,
        sector=past.sector,
        past_return=past.past_return,
        excess_return=past.excess_return,
    )
