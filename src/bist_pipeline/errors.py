"""Everything that can go wrong, as one tree.

::

    BistError
    ├── ConfigError                 a setting is missing, unknown or out of range          fail
    ├── SourceError
    │   ├── SourceUnavailableError  the source does not answer; it may later               retry
    │   │   └── SourceNotFoundError   its path does not exist                              fail
    │   ├── SourceContentError      it answered with something that is not market data     fail
    │   └── IncompleteSessionError  too many shares of the session have not arrived yet    retry
    ├── ContractError               a table breaks its contract as a whole                 fail
    ├── SessionError
    │   ├── NotASessionError        the exchange does not trade on that day                skip
    │   └── SessionOutOfRangeError  before the history, in the future, or not in the data  fail
    ├── DataQualityError            a deterministic quality rule refuses the session       fail
    ├── ScoringHeldError            a break holds scoring until a person releases it       fail
    ├── LookAheadError              something would have known the future                  fail
    ├── LakeError
    │   ├── LakeUnavailableError    full, read-only or unreachable storage                 retry
    │   ├── LakeConflictError       other writers were faster, again and again             retry
    │   └── MissingDataError        an earlier stage has not written what this one reads   fail
    ├── ModelError
    │   ├── InsufficientDataError   too few sessions or shares to fit or judge a model     fail
    │   ├── FeatureSchemaError      columns differ from those the model was fitted on      fail
    │   └── NoModelError            no usable model is registered for that session         fail
    ├── RegistryUnavailableError    MLflow does not answer                                 retry
    ├── DriftInputError             a drift check was handed data it cannot judge          fail
    └── StoreError
        ├── DatabaseUnavailableError  the database does not answer or refuses the login    retry
        ├── DatabaseBusyError         other writers hold what this one needs               retry
        ├── DatabaseFullError         no room is left for it                               retry
        ├── DatabaseRightsError       its user may not do what was asked                   fail
        ├── UnreadableTextError       a stored text is not in both languages               fail
        └── SchemaRevisionError       the schema is older or newer than this code          fail

The last column is what an orchestrator should do: `BistError.policy` carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

from bist_pipeline.wording import Wording

_NAMED = 3


class Policy(Enum):
    """What an orchestrator does with a task that ended in an error."""

    FAIL = "fail"
    RETRY = "retry"
    SKIP = "skip"


class BistError(Exception):
    """An error that says what happened, to which items, the consequence, and the next command.

    Parameters
    ----------
    what : str
        What was found, measured against what was expected.
    which : sequence of str, optional
        The items concerned (symbols, columns, rules); the first three are named, the rest counted.
    consequence : str, optional
        What did, or did not, happen because of it.
    next_step : str, optional
        One command or action that leads on.

    Examples
    --------
    >>> print(BistError("3 of 5 symbols arrived.", which=["A", "B", "C", "D"], next_step="bist ingest"))
    3 of 5 symbols arrived. Concerned: A, B, C and 1 more. Nothing was published.
    Next: bist ingest
    """

    policy: ClassVar[Policy] = Policy.FAIL

    def __init__(
        self,
        what: str,
        *,
        which: Sequence[str] = (),
        consequence: str = "Nothing was published.",
        next_step: str = "",
    ) -> None:
        self.what = what
        self.which = tuple(which)
        self.consequence = consequence
        self.next_step = next_step
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [self.what]
        if self.which:
            rest = len(self.which) - _NAMED
            named = ", ".join(self.which[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
            parts.append(f"Concerned: {named}.")
        parts.append(self.consequence)
        text = " ".join(part for part in parts if part)
        return f"{text}\nNext: {self.next_step}" if self.next_step else text

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call cls(text), which is no `what`, when a worker process hands the error back.
        return _rebuild, (type(self), str(self)), vars(self)


def _rebuild(cls: type[BistError], text: str) -> BistError:
    error = cls.__new__(cls)
    Exception.__init__(error, text)
    return error


class ConfigError(BistError):
    """A setting is missing, unknown or out of range."""


class SourceError(BistError):
    """A market-data source failed."""


class SourceUnavailableError(SourceError):
    """The source does not answer now; it may later."""

    policy = Policy.RETRY


class SourceNotFoundError(SourceUnavailableError):
    """The path of the source does not exist: more likely misspelt than late."""

    policy = Policy.FAIL


class SourceContentError(SourceError):
    """The source answered with something that is not the market data it should be."""


class IncompleteSessionError(SourceError):
    """Too many of the listed shares have no price of the session yet."""

    policy = Policy.RETRY


class ContractError(BistError):
    """A table breaks its contract as a whole: columns, types or completeness."""


class SessionError(BistError):
    """The requested session cannot be processed."""


class NotASessionError(SessionError):
    """The exchange does not trade on the requested day."""

    policy = Policy.SKIP


class SessionOutOfRangeError(SessionError):
    """The session lies before the history, in the future, or is absent from the data."""


class DataQualityError(BistError):
    """A deterministic data-quality rule refuses the session."""


class ScoringHeldError(BistError):
    """The features broke with the session before; scoring is held until a person releases it."""


class LookAheadError(BistError):
    """A computation would have used something not yet known at its session."""


class LakeError(BistError):
    """The lake cannot be read or written."""


class LakeUnavailableError(LakeError):
    """The lake's storage is full, read-only or out of reach."""

    policy = Policy.RETRY


class LakeConflictError(LakeError):
    """Other writers changed the data set each time that this one was about to."""

    policy = Policy.RETRY


class MissingDataError(LakeError):
    """A data set that an earlier stage should have written is not there."""


class ModelError(BistError):
    """A model cannot be fitted, loaded or used."""


class InsufficientDataError(ModelError):
    """Too few sessions or shares to fit or judge a model honestly."""


class FeatureSchemaError(ModelError):
    """The columns differ from those the model was fitted on."""


class NoModelError(ModelError):
    """No usable model is registered for the requested session."""


class RegistryUnavailableError(BistError):
    """The MLflow server or its store does not answer."""

    policy = Policy.RETRY


class DriftInputError(BistError):
    """A drift check was handed data it cannot judge; a text in both languages is kept for the report."""

    def __init__(self, what: Wording, **fields: Any) -> None:
        super().__init__(what.en, **fields)
        self.turkish = what.tr


class StoreError(BistError):
    """The predictions database failed."""


class DatabaseUnavailableError(StoreError):
    """The database does not answer, or refuses the login."""

    policy = Policy.RETRY


class DatabaseBusyError(StoreError):
    """Other writers hold what this one needs: a deadlock, or a lock that was not released in time."""

    policy = Policy.RETRY


class DatabaseFullError(StoreError):
    """The database has no room left for what was to be written."""

    policy = Policy.RETRY


class DatabaseRightsError(StoreError):
    """The user of the database URL may not do what was asked."""


class UnreadableTextError(StoreError):
    """A text that is stored in English and Turkish lacks one of them, or is something else."""


class SchemaRevisionError(StoreError):
    """The database schema is older or newer than this code."""
