"""The current ranking, and one share of it."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Connection

from bist_pipeline.store import read
from serving.answers import Predictions, SymbolPrediction
from serving.caching import answer_from
from serving.database import EngineOfApp, reading
from serving.problems import ProblemError, describe_problems, nothing_published
from serving.symbols import normalize_symbol

router = APIRouter(prefix="/api/v1/predictions", tags=["predictions"])

MAX_LIMIT = 1000

_NEAREST_SESSIONS = 3
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "`If-None-Match` names this publication"}}
_NOT_SERVING = "Nothing is published yet, or the database is out of reach; `next` leads on"


def _check_iso(text: Any) -> Any:
    # pydantic alone would read 20240628 as seconds since 1970.
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("Input should be a date as YYYY-MM-DD")
    return text


IsoDate = Annotated[dt.date, BeforeValidator(_check_iso)]


class Wanted(BaseModel):
    """The query parameters; one that is not among them is refused, lest a misspelt filter filter nothing."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="At most this many shares.")
    session: IsoDate | None = Field(
        None, description="Published trading date; the newest by default.", examples=["2024-06-28"]
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


@router.get(
    "",
    summary="The best-ranked shares",
    response_model=Predictions,
    responses=_UNCHANGED
    | describe_problems(
        {404: "Nothing is published for that session", 422: "A parameter cannot be used", 503: _NOT_SERVING}
    ),
)
def list_predictions(request: Request, engine: EngineOfApp, wanted: Annotated[Wanted, Query()]) -> Response:
    """Rank shares by their expected return over the next three months, best first.

    Without `session`, the newest publication. Ranks and percentiles are those within the whole batch,
    whatever the filters.
    """
    with reading(engine) as connection:
        batch = read.read_batch(connection, **wanted.model_dump())
        if batch is None:
            raise _not_published(connection, wanted.session)
        if wanted.sector is not None and not batch.matched:
            _check_sector(connection, batch.publication, wanted.sector)
    return answer_from(batch.publication, Predictions.model_validate(batch), to=request)


@router.get(
    "/{symbol}",
    summary="One share",
    response_model=SymbolPrediction,
    responses=_UNCHANGED
    | describe_problems(
        {404: "No such share; `near` names similar ones", 422: "It cannot be a symbol", 503: _NOT_SERVING}
    ),
)
def show_prediction(
    request: Request,
    engine: EngineOfApp,
    symbol: Annotated[
        str,
        Path(
            max_length=32,
            description="The share's symbol; case, Turkish letters and the suffix `.IS` do not matter.",
            examples=["THYAO"],
        ),
    ],
) -> Response:
    """Tell the newest prediction for one share."""
    bare = normalize_symbol(symbol)
    with reading(engine) as connection:
        batch = read.read_batch(connection, symbol=bare)
        if batch is None:
            raise nothing_published()
        if not batch.predictions:
            raise _unknown_symbol(connection, batch.publication, bare)
    answer = {"publication": batch.publication, "prediction": batch.predictions[0]}
    return answer_from(batch.publication, SymbolPrediction.model_validate(answer), to=request)


def _not_published(connection: Connection, session: dt.date | None) -> ProblemError:
    published = read.read_published_sessions(connection)
    if session is None or not published:
        return nothing_published()
    nearest = sorted(published, key=lambda day: abs(day - session))[:_NEAREST_SESSIONS]
    span = f"{len(published)} published session(s) from {published[0]} to {published[-1]}"
    detail = f"Nothing is published for {session}; there are {span}."
    return ProblemError(404, "session-not-published", detail, near=[str(day) for day in nearest])


def _check_sector(connection: Connection, publication: read.Publication, sector: str) -> None:
    known = read.read_sectors(connection, publication.run_id)
    if sector not in known:
        detail = f"sector: none of the {publication.universe} ranked shares is in {sector!r}."
        raise ProblemError(422, "unknown-sector", detail, near=_near(sector, known) or known)


def _unknown_symbol(connection: Connection, publication: read.Publication, symbol: str) -> ProblemError:
    near = _near(symbol, read.read_symbols(connection, publication.run_id))
    detail = f"No share {symbol!r} among the {publication.universe} ranked for {publication.session}."
    return ProblemError(404, "unknown-symbol", detail, near=near)


def _near(text: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(text, known, n=5)
