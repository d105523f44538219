"""The current ranking, one share of it, and what was published for that share before."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from bist_pipeline.store import read
from serving.answers.shares import History, PastPrediction, Prediction, Predictions, SymbolPrediction
from serving.answers.trust import DriftState, Score, Texts
from serving.board import Board, Page, Share, Sort, build_board, header_of
from serving.database import Database, DatabaseOfApp
from serving.delivery import SnapshotOfApp, board_of, deliver, describe_answers
from serving.parameters import (
    MAX_LIMIT,
    MAX_SYMBOL,
    IsoDate,
    Paged,
    Parameters,
    Symbol,
    refuse_parameters,
    refuse_repeats,
)
from serving.problems import ProblemError, nothing_published
from serving.snapshot import Snapshot
from serving.symbols import normalize_symbol
from serving.tables import encode_table

_PREFIX = "/api/v1/predictions"
router = APIRouter(prefix=_PREFIX, tags=["predictions"])

_MAX_SYMBOLS = 100
_NEAREST_SESSIONS = 3
_UNKNOWN_SYMBOL = {404: "No such share; `near` names similar ones"}
_CSV = (
    "session,kind,horizon_sessions,symbol,name,sector,rank,percentile,score,expected_excess_return,lower,upper,"
    "tradable\r\n"
    "2024-06-28,forecast,63,THYAO,Türk Hava Yolları,Industrials,12,0.977,0.83,0.041,-0.162,0.287,true\r\n"
)
_CSV_PAST = (
    "symbol,session,run_id,horizon_sessions,rank,universe,score,expected_excess_return,lower,upper,tradable,"
    "model_version,realized_excess_return,matured_on\r\n"
    "THYAO,2024-03-28,files-20240328-4f0c9a1e,63,31,468,0.41,0.033,-0.171,0.264,true,2,0.082,2024-06-28\r\n"
)


class Wanted(Parameters):
    """Which shares, in which order."""

    session: IsoDate | None = Field(
        None, description="Published trading date; the newest by default.", examples=["2024-06-28"]
    )
    symbol: list[Symbol] = Field(
        [],
        max_length=_MAX_SYMBOLS,
        description="These shares; may be given again and again.",
        examples=[["THYAO", "AKBNK"]],
    )
    sector: str | None = Field(
        None,
        max_length=100,
        description="Shares of this sector, spelled as in the answers.",
        examples=["Industrials"],
    )
    tradable: bool | None = Field(None, description="Shares with this flag.", examples=[True])
    min_excess: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Least expected excess return, a fraction (0.05 is 5 % over the horizon).",
        examples=[0.05],
    )
    sort: Sort = Field(
        "rank",
        description="What to order by, after a minus sign if the largest come first; equals by rank.",
        examples=["-expected_excess_return"],
    )
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="At most this many shares (count).", examples=[50])
    after: int | None = Field(
        None,
        ge=1,
        description="Paging key: start behind the share of this rank. `next` of every answer has it.",
        examples=[50],
    )


SymbolInPath = Annotated[
    str,
    Path(
        max_length=MAX_SYMBOL,
        description="The share's symbol; case, Turkish letters and the suffix `.IS` do not matter.",
        examples=["THYAO"],
    ),
]


@router.get(
    "",
    summary="The best-ranked shares",
    dependencies=[Depends(refuse_repeats)],
    **describe_answers(Predictions, _CSV, {404: "No such session, share or sector; `near` has similar ones"}),
)
def list_predictions(
    request: Request, snapshot: SnapshotOfApp, database: DatabaseOfApp, wanted: Annotated[Wanted, Query()]
) -> Response:
    """Rank shares by their expected return over the next three months, best first.

    Without `session`, the newest publication. Ranks and percentiles are those within the whole batch,
    whatever the filters.
    """
    board = board_of(snapshot)
    if wanted.session not in (None, board.publication.session):
        board = _read_board(database, wanted.session)
    page = _select(board, wanted)
    following = None
    if page.last is not None:
        # All pages are of one session, even if the next one is published meanwhile.
        following = wanted.address(_PREFIX, session=board.publication.session.isoformat(), after=page.last)
    return deliver(
        request,
        snapshot,
        json=lambda: _encode_page(board, page, following),
        table=lambda: b"".join([header_of(board.publication), *(share.csv for share in page.shares)]),
        following=following,
    )


@router.get(
    "/{symbol}",
    summary="One share, and how far to trust its rank",
    dependencies=[Depends(refuse_parameters)],
    **describe_answers(SymbolPrediction, _CSV, _UNKNOWN_SYMBOL),
)
def show_prediction(request: Request, snapshot: SnapshotOfApp, symbol: SymbolInPath) -> Response:
    """Tell the newest prediction for one share, the published ranks' record so far, and the drift verdict."""
    board = board_of(snapshot)
    share = _find(board, symbol)
    return deliver(
        request,
        snapshot,
        json=lambda: _encode_share(snapshot, board, share),
        table=lambda: header_of(board.publication) + share.csv,
    )


@router.get(
    "/{symbol}/history",
    summary="What was published for one share, and what became of it",
    dependencies=[Depends(refuse_repeats)],
    **describe_answers(History, _CSV_PAST, _UNKNOWN_SYMBOL),
)
def show_history(
    request: Request,
    snapshot: SnapshotOfApp,
    database: DatabaseOfApp,
    symbol: SymbolInPath,
    wanted: Annotated[Paged, Query()],
) -> Response:
    """List what was published for one share, newest first, with its result once the horizon has passed."""
    board = board_of(snapshot)
    bare = normalize_symbol(symbol)
    with database.reading() as connection:
        found = read.read_history(connection, bare, before=wanted.before, limit=wanted.limit + 1)
        if not found and not read.read_history(connection, bare, limit=1):
            raise _unknown_symbol(board, bare)
    shown = [PastPrediction.model_validate(past) for past in found[: wanted.limit]]
    following = None
    if len(found) > wanted.limit:
        following = wanted.address(f"{_PREFIX}/{bare}/history", before=shown[-1].session.isoformat())
    answer = History(symbol=bare, kind=board.publication.kind, next=following, predictions=shown)
    return deliver(
        request,
        snapshot,
        json=lambda: answer.model_dump_json().encode(),
        table=lambda: encode_table(PastPrediction, shown, lead={"symbol": bare}),
        following=following,
    )


def _read_board(database: Database, session: dt.date | None) -> Board:
    with database.reading() as connection:
        batch = read.read_batch(connection, session=session)
        if batch is None:
            raise _not_published(read.read_published_sessions(connection), session)
        freshness = read.read_freshness(connection, now=dt.datetime.now(dt.UTC), session=session)
    return build_board(batch, age_sessions=freshness.age_sessions)


def _select(board: Board, wanted: Wanted) -> Page:
    symbols = frozenset(map(normalize_symbol, wanted.symbol))
    for symbol in sorted(symbols - board.by_symbol.keys()):
        raise _unknown_symbol(board, symbol)
    if wanted.sector is not None and wanted.sector not in board.sectors:
        facts = {"universe": len(board.shares), "sector": wanted.sector}
        near = _near(wanted.sector, board.sectors) or board.sectors
        raise ProblemError(404, "unknown-sector", facts, near=near)
    filters = wanted.model_dump(exclude={"session", "symbol"})
    return board.select(symbols=symbols, **filters)


def _find(board: Board, symbol: str) -> Share:
    bare = normalize_symbol(symbol)
    if bare not in board.by_symbol:
        raise _unknown_symbol(board, bare)
    return board.by_symbol[bare]


def _encode_page(board: Board, page: Page, following: str | None) -> bytes:
    # Joined from what was encoded once for all answers; a test compares it with the declared answer.
    shares = b",".join(share.json for share in page.shares)
    following_json = b"null" if following is None else b'"%s"' % following.encode()
    return b'{"publication":%s,"matched":%d,"next":%s,"predictions":[%s]}' % (
        board.head_json,
        page.matched,
        following_json,
        shares,
    )


def _encode_share(snapshot: Snapshot, board: Board, share: Share) -> bytes:
    answer = SymbolPrediction(
        publication=board.head,
        prediction=Prediction.model_validate(share.facts),
        scorecard=None if snapshot.card is None else Score.model_validate(snapshot.card),
        drift=None if snapshot.drift is None else describe_drift(snapshot.drift),
    )
    return answer.model_dump_json().encode()


def describe_drift(run: read.DriftRun) -> DriftState:
    """Return one verdict with its first sentence."""
    first = {"en": run.summary.en.partition("\n")[0], "tr": run.summary.tr.partition("\n")[0]}
    return DriftState(session=run.session, status=run.status, summary=Texts(**first))


def _not_published(published: Sequence[dt.date], session: dt.date | None) -> ProblemError:
    if session is None or not published:
        return nothing_published()
    nearest = sorted(published, key=lambda day: abs(day - session))[:_NEAREST_SESSIONS]
    facts = {"session": session, "count": len(published), "first": published[0], "last": published[-1]}
    return ProblemError(404, "session-not-published", facts, near=[str(day) for day in nearest])


def _unknown_symbol(board: Board, symbol: str) -> ProblemError:
    publication = board.publication
    facts = {"symbol": symbol, "universe": publication.universe, "session": publication.session}
    return ProblemError(404, "unknown-symbol", facts, near=_near(symbol, list(board.by_symbol)))


def _near(text: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(text, known, n=5)
