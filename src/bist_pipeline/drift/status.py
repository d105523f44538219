"""What a check can conclude, and the one form in which every check reports it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from bist_pipeline.wording import Wording

# Consequence of every refusal to judge.
NO_VERDICT = "The check was not made; that is not the same as no drift."


class Status(Enum):
    """Outcome of a check, declared from harmless to most urgent.

    `ERROR` outranks `RED` because nobody knows what it hides; `BLOCK` outranks all because it stops scoring.
    """

    OK = "OK"
    INFO = "INFO"
    INSUFFICIENT_HISTORY = "INSUFFICIENT_HISTORY"
    AMBER = "AMBER"
    RED = "RED"
    ERROR = "ERROR"
    BLOCK = "BLOCK"


# What people are told of.
ALARMS = (Status.AMBER, Status.RED, Status.ERROR, Status.BLOCK)

_URGENCY = {status: urgency for urgency, status in enumerate(Status)}


@dataclass(frozen=True)
class Check:
    """One line of the drift report.

    Parameters
    ----------
    check : str
        Name of the check.
    status : Status
        What it concluded.
    statistic, p_value, threshold : float or None
        What was measured, how often a quiet market shows as much, and where the alarm begins; None where
        the check could not be made.
    action, message : Wording
        What to do about it, and one sentence for people.
    record : float or None
        The largest statistic of the sessions that the check compares with.
    shares : tuple of str
        Symbols of the single shares concerned; empty where it is about no single ones.
    """

    check: str
    status: Status
    statistic: float | None
    p_value: float | None
    threshold: float | None
    action: Wording
    message: Wording
    record: float | None = None
    shares: tuple[str, ...] = ()


def urgency_of(status: Status) -> int:
    """Place of a status in the order of urgency, 0 the most harmless."""
    return _URGENCY[status]


def worst(statuses: Iterable[Status]) -> Status:
    """Return the most urgent status; of none at all, `ERROR`: what was not checked is never OK.

    >>> worst([Status.OK, Status.AMBER, Status.INSUFFICIENT_HISTORY])
    <Status.AMBER: 'AMBER'>
    """
    return max(statuses, key=_URGENCY.__getitem__, default=Status.ERROR)
