"""Errors as people and machines read them: RFC 9457 `application/problem+json`, for every failure.

A handler raises `ProblemError`; database failures, refused parameters, unknown paths and bugs are translated
here. What a database says about itself (host, user, path) goes to the log and never into an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bist_pipeline.errors import DatabaseUnavailableError, SchemaRevisionError, StoreError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER_S = 5
_SHOWN = 80


class ParameterProblem(BaseModel):
    """One parameter that cannot be used."""

    parameter: str = Field(description="Its name.", examples=["limit"])
    message: str = Field(
        description="What it should be.", examples=["Input should be less than or equal to 1000"]
    )
    got: str = Field(
        description=f"What was sent, at most {_SHOWN} characters of it.", examples=["1000000000"]
    )


class Problem(BaseModel):
    """An error as RFC 9457 describes it; members after `instance` are ours, there if they apply."""

    type: str = Field(
        description="Stable identifier of this kind of problem; `about:blank` where the status says it all.",
        examples=["urn:problem-type:bist:unknown-symbol"],
    )
    title: str = Field(description="The kind of problem in words.", examples=["Unknown symbol"])
    status: int = Field(description="The HTTP status, repeated.", examples=[404])
    detail: str = Field(
        description="What happened this time.",
        examples=["No share 'THYA0' among the 471 ranked for 2024-06-28."],
    )
    instance: str = Field(description="The requested path.", examples=["/api/v1/predictions/THYA0"])
    next: str | None = Field(None, description="What leads on: a command or a path.", examples=["bist run"])
    near: list[str] | None = Field(
        None, description="Existing values near to the one asked for, nearest first.", examples=[["THYAO"]]
    )
    errors: list[ParameterProblem] | None = Field(None, description="Every parameter that cannot be used.")
    age_sessions: int | None = Field(
        None, description="Closed sessions (count) that the newest publication lacks.", examples=[2]
    )


class ProblemError(Exception):
    """An answer other than success.

    Parameters
    ----------
    status : int
        Of the answer.
    kind : str
        Ends the problem's type and, in words, is its title: `unknown-symbol`. Empty for `about:blank`.
    detail : str
        What happened this time.
    headers : mapping of str to str, optional
        Of the answer.
    **members
        Those of `Problem` that apply: `next`, `near`, `errors`, `age_sessions`.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.kind = kind
        self.detail = detail
        self.headers = {"Cache-Control": "no-store", **(headers or {})}
        self.members = members


def nothing_published() -> ProblemError:
    """Return the problem of a database that is in order but still empty."""
    return ProblemError(503, "nothing-published", "No predictions have been published yet.", next="bist run")


def describe_problems(reasons: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for the statuses that a route answers with a problem, and why it does."""
    return {status: {"model": Problem, "description": reason} for status, reason in reasons.items()}


def install_handlers(app: FastAPI) -> None:
    """Answer every failure of `app` with a problem."""
    for kind in (ProblemError, StoreError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    found = _as_problem(error)
    problem = Problem(
        type=f"urn:problem-type:bist:{found.kind}" if found.kind else "about:blank",
        title=found.kind.replace("-", " ").capitalize() or found.status.phrase,
        status=found.status,
        detail=found.detail,
        instance=quote(request.url.path),
        **found.members,
    )
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, found.status, media_type=MEDIA_TYPE, headers=found.headers)


def _as_problem(error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case StoreError():
            return _from_store(error)
        case RequestValidationError():
            return _from_parameters(error)
        case HTTPException():
            return ProblemError(error.status_code, "", str(error.detail), headers=error.headers, next="/docs")
        case _:  # the server has logged it, with its traceback
            return ProblemError(
                500, "", "A fault of this server, not of the request; its log has the details."
            )


def _from_store(error: StoreError) -> ProblemError:
    log.error("%s Next: %s", error.what, error.next_step)
    match error:
        case DatabaseUnavailableError():
            detail = "The predictions database does not answer. Every request tries it again."
            retry = {"Retry-After": str(_RETRY_AFTER_S)}
            return ProblemError(503, "database-unavailable", detail, headers=retry, next=error.next_step)
        case SchemaRevisionError():
            detail = "The predictions database does not have the schema that this server reads."
            return ProblemError(503, "schema-mismatch", detail, next=error.next_step)
        case _:
            return ProblemError(
                500, "", "The predictions database refused a statement; the log has the details."
            )


def _from_parameters(error: RequestValidationError) -> ProblemError:
    problems = [
        ParameterProblem(
            parameter=".".join(str(part) for part in found["loc"][1:])[:_SHOWN],
            message=found["msg"].removeprefix("Value error, "),
            got=str(found["input"])[:_SHOWN],
        )
        for found in error.errors()
    ]
    detail = "; ".join(f"{each.parameter}: {each.message} (got {each.got!r})" for each in problems)
    return ProblemError(422, "invalid-parameters", detail, errors=problems)
