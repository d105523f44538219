"""Errors as people and machines read them: RFC 9457 `application/problem+json`, for every failure.

A handler raises `ProblemError`; database failures, refused parameters, unknown paths and bugs are translated
here, into Turkish or English. What a database says about itself (host, user, path) goes to the log and never
into an answer.
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
from serving.negotiation import Language, choose_language
from serving.problem_texts import OTHER_PARAMETER_FAULT, PARAMETER_FAULTS, PROBLEMS

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER_S = 5
_SHOWN = 80
_NAMED = 10
_LONGEST_INSTANCE = 200


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
        description="Stable identifier of this kind of problem.",
        examples=["urn:problem-type:bist:unknown-symbol"],
    )
    title: str = Field(
        description="The kind of problem in words, Turkish or English by `Accept-Language`.",
        examples=["Unknown symbol"],
    )
    status: int = Field(description="The HTTP status, repeated.", examples=[404])
    detail: str = Field(
        description="What happened this time.",
        examples=["No share 'THYA0' among the 471 ranked for 2024-06-28."],
    )
    instance: str = Field(description="The requested path.", examples=["/api/v1/predictions/THYA0"])
    next: str | None = Field(
        None,
        description="What leads on: a command, a path, or who has to do what, in the language of `title`.",
        examples=["bist run"],
    )
    near: list[str] | None = Field(
        None, description="Existing values near to the one asked for, nearest first.", examples=[["THYAO"]]
    )
    errors: list[ParameterProblem] | None = Field(
        None,
        description="Every parameter that cannot be used.",
        examples=[
            [{"parameter": "limit", "message": "Input should be less than or equal to 1000", "got": "9999"}]
        ],
    )
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
        Key of `PROBLEMS`; ends the problem's type.
    facts : mapping of str to object, optional
        What the texts of this kind have in braces.
    headers : mapping of str to str, optional
        Of the answer.
    **members
        Those of `Problem` that apply: `near`, `errors`, `age_sessions`.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(kind)
        self.status = HTTPStatus(status)
        self.kind = kind
        self.facts = dict(facts or {})
        self.headers = {"Cache-Control": "no-store", **(headers or {})}
        self.members = members

    def words(self, language: Language) -> dict[str, str]:
        """Return title, detail and, where something leads on, `next`."""
        texts = (text.format(**self.facts) for text in PROBLEMS[self.kind][language])
        return dict(zip(("title", "detail", "next"), texts, strict=False))


def nothing_published() -> ProblemError:
    """Return the problem of a database that is in order but still empty."""
    return ProblemError(503, "nothing-published")


def database_away() -> ProblemError:
    """Return the problem of a database that does not answer."""
    return ProblemError(503, "database-unavailable", headers={"Retry-After": str(_RETRY_AFTER_S)})


def describe_problems(reasons: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for the statuses that a route answers with a problem, and why it does."""
    return {status: {"model": Problem, "description": reason} for status, reason in reasons.items()}


def install_handlers(app: FastAPI) -> None:
    """Answer every failure of `app` with a problem."""
    for kind in (ProblemError, StoreError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)


def as_problem(error: Exception, language: Language) -> ProblemError:
    """Translate whatever went wrong into the problem that a client is told."""
    match error:
        case ProblemError():
            return error
        case StoreError():
            return _from_store(error)
        case RequestValidationError():
            return _from_parameters(error, language)
        case HTTPException():
            return _from_framework(error)
        case _:  # the server has logged it, with its traceback
            return ProblemError(500, "internal-error")


def render_problem(problem: ProblemError, *, path: str, language: Language) -> Response:
    """Return the answer that describes a problem at `path`."""
    body = Problem(
        type=f"urn:problem-type:bist:{problem.kind}",
        status=problem.status,
        instance=quote(path)[:_LONGEST_INSTANCE],
        **problem.words(language),
        **problem.members,
    ).model_dump_json(exclude_none=True)
    headers = {**problem.headers, "Content-Language": language, "Vary": "Accept-Language"}
    return Response(body, problem.status, media_type=MEDIA_TYPE, headers=headers)


async def _answer(request: Request, error: Exception) -> Response:
    language = choose_language(request.headers.get("accept-language", ""))
    return render_problem(as_problem(error, language), path=request.url.path, language=language)


def _from_store(error: StoreError) -> ProblemError:
    log.error("%s Next: %s", error.what, error.next_step)
    match error:
        case DatabaseUnavailableError():
            return database_away()
        case SchemaRevisionError():
            return ProblemError(503, "schema-mismatch")
        case _:  # a batch that no answer can be made of, or a statement that the database refuses
            return ProblemError(503, "unreadable-data")


def _from_framework(error: HTTPException) -> ProblemError:
    kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
    facts = {"what": str(error.detail)}
    return ProblemError(error.status_code, kind, facts, headers=error.headers)


def _from_parameters(error: RequestValidationError, language: Language) -> ProblemError:
    problems = [
        ParameterProblem(
            parameter=_name(found["loc"]),
            message=_describe_fault(found, language),
            got=str(found["input"])[:_SHOWN],
        )
        for found in error.errors()
    ]
    what = "; ".join(f"{each.parameter}: {each.message} ({each.got!r})" for each in problems[:_NAMED])
    return ProblemError(422, "invalid-parameters", {"what": what}, errors=problems[:_NAMED])


def _name(location: tuple[int | str, ...]) -> str:
    # The place within a repeated parameter is of no use to whoever sent it.
    return ".".join(part for part in location[1:] if isinstance(part, str))[:_SHOWN]


def _describe_fault(found: Mapping[str, Any], language: Language) -> str:
    if language == "en":
        return str(found["msg"])
    facts = dict(found.get("ctx", {}))
    if "expected" in facts:  # a list that pydantic has joined in English
        facts["expected"] = facts["expected"].replace(" or ", " ya da ")
    return PARAMETER_FAULTS.get(found["type"], OTHER_PARAMETER_FAULT).format(**facts)
