"""What query parameters have in common. One that does not exist is refused, lest it filter nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_LIMIT = 1000
MAX_SYMBOL = 32

_REPEATABLE = frozenset({"symbol"})


def _check_iso(text: Any) -> Any:
    # pydantic alone would read 20240628 as seconds since 1970.
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise PydanticCustomError("iso_date", "Input should be a date as YYYY-MM-DD")
    return text


IsoDate = Annotated[dt.date, BeforeValidator(_check_iso)]
Symbol = Annotated[str, Field(max_length=MAX_SYMBOL)]


class Parameters(BaseModel):
    """The query parameters of a route."""

    model_config = ConfigDict(extra="forbid")

    def address(self, path: str, **changes: Any) -> str:
        """Return path and query of the same question with some things changed, defaults left out."""
        asked = self.model_dump(mode="json", exclude_defaults=True) | changes
        plain = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()
        }
        return f"{path}?{urlencode(plain, doseq=True)}"


class Paged(Parameters):
    """A part of a list that runs back in time."""

    limit: int = Field(63, ge=1, le=MAX_LIMIT, description="At most this many (count).", examples=[63])
    before: IsoDate | None = Field(
        None,
        description="Paging key: only trading dates before this one. `next` of every answer has it.",
        examples=["2024-06-28"],
    )

    def is_within(self, newest: int) -> bool:
        """Whether so many of the newest rows hold all that is asked for, and tell whether more follows."""
        return self.before is None and self.limit < newest


def refuse_repeats(request: Request) -> None:
    """Refuse a parameter that was given twice: only one of them could count, and nobody knows which."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    _refuse(
        (name for name, times in names.items() if times > 1 and name not in _REPEATABLE),
        request,
        "given_twice",
    )


def refuse_parameters(request: Request) -> None:
    """Refuse any parameter, on a route that has none."""
    _refuse(request.query_params.keys(), request, "extra_forbidden")


_FAULTS = {"given_twice": "May be given only once", "extra_forbidden": "Extra inputs are not permitted"}


def _refuse(names: Iterable[str], request: Request, fault: str) -> None:
    found = [
        {"type": fault, "loc": ("query", name), "msg": _FAULTS[fault], "input": request.query_params[name]}
        for name in names
    ]
    if found:
        raise RequestValidationError(found)
