"""What the rules of data quality conclude about a session: one form for all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from bist_pipeline.drift.status import Status, worst
from bist_pipeline.wording import Wording, say


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Parameters
    ----------
    rule : str
        Name of the rule.
    status : Status
        OK, INFO (single shares to set aside), AMBER, BLOCK or INSUFFICIENT_HISTORY.
    value, threshold : float
        What was measured, and beyond what it alarms; None where the rule could not judge.
    symbols : tuple of str
        The shares concerned, sorted.
    message : Wording
        One sentence for people.
    """

    rule: str
    status: Status
    value: float | None
    threshold: float | None
    symbols: tuple[str, ...]
    message: Wording


@dataclass(frozen=True)
class QualityReport:
    """What every rule found on one session."""

    session: dt.date
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """Status of the most urgent finding."""
        return worst(finding.status for finding in self.findings)

    def as_json(self) -> list[dict[str, object]]:
        """Return every rule with what it found, in plain JSON types."""
        return [
            {
                "rule": finding.rule,
                "status": finding.status.value,
                "count": len(finding.symbols),
                "symbols": list(finding.symbols),
                "message": finding.message.en,
                "message_tr": finding.message.tr,
            }
            for finding in self.findings
        ]

    def having(self, status: Status) -> tuple[Finding, ...]:
        """Return the findings of exactly this status."""
        return tuple(finding for finding in self.findings if finding.status is status)


def judge(
    rule: str,
    value: float,
    threshold: float,
    symbols: Iterable[str],
    *,
    is_alarm: bool,
    alarm: Status = Status.BLOCK,
    message: Wording,
) -> Finding:
    """Conclude from a figure: `alarm` where it is one, else INFO if single shares are concerned."""
    concerned = tuple(sorted(symbols))
    harmless = Status.INFO if concerned else Status.OK
    return Finding(rule, alarm if is_alarm else harmless, float(value), float(threshold), concerned, message)


def not_judged(rule: str, reason: Wording) -> Finding:
    """Say why a rule could not judge."""
    message = say("Not judged: {reason}", "Değerlendirilmedi: {reason}", reason=reason)
    return Finding(rule, Status.INSUFFICIENT_HISTORY, None, None, (), message)
