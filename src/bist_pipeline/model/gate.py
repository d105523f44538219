"""Which model is served: a pure decision with its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeGuard

Skill = Literal["proven", "unproven"]

# Rank IC is about 0.1 where the model works and varies by about as much between quarters: a difference below
# this says nothing about which model is better.
MARGIN = 0.01
# Two quarters without a refit: the newest labels a champion knows are then nine months old.
VALID_SESSIONS = 126
_PROVEN_T = 2.0


@dataclass(frozen=True)
class Candidate:
    """What the gate knows of a model.

    Parameters
    ----------
    source : str
        The market data it was trained on.
    rank_ic, t : float or None
        Out-of-sample mean daily rank IC and its Newey-West t; None or NaN where there is none.
    age_sessions : int
        Sessions since the newest one it was trained through; negative for a model from the future.
    """

    source: str
    rank_ic: float | None
    t: float | None
    age_sessions: int = 0


@dataclass(frozen=True)
class Decision:
    """Whether to serve the challenger, why, and whether its skill is proven."""

    promoted: bool
    reasons: tuple[str, ...]
    skill: Skill


def decide(challenger: Candidate, champion: Candidate | None) -> Decision:
    """Decide whether the challenger is served from now on.

    Something must be served: without a champion that knows this market and is young enough, the challenger
    is promoted whatever it proved, and its skill says which. Otherwise it must not be worse than the
    champion by more than `MARGIN`, in rank IC itself: a ratio would mean nothing around zero.

    Examples
    --------
    >>> decision = decide(Candidate("files", rank_ic=0.12, t=1.1), None)
    >>> decision.promoted, decision.skill
    (True, 'unproven')
    >>> decision.reasons
    ('No champion yet.', 'Skill unproven: rank IC 0.1200, t 1.1, need 2.0.')
    """
    skill, evidence = judge_skill(challenger)
    if champion is None:
        return Decision(True, ("No champion yet.", evidence), skill)
    if champion.source != challenger.source:
        reason = f"The champion was trained on {champion.source}, not on {challenger.source}."
        return Decision(True, (reason, evidence), skill)
    if champion.age_sessions < 0:
        reason = "The champion has seen later sessions: this model serves the past only."
        return Decision(True, (reason, evidence), skill)
    if not _is_known(challenger.rank_ic):
        return Decision(False, ("The challenger has no rank IC to compare.",), skill)
    if champion.age_sessions > VALID_SESSIONS:
        reason = f"The champion is {champion.age_sessions} sessions old, valid for {VALID_SESSIONS}."
        return Decision(True, (reason, evidence), skill)
    promoted, comparison = _compare(challenger.rank_ic, champion.rank_ic)
    return Decision(promoted, (comparison, evidence), skill)


def judge_skill(challenger: Candidate) -> tuple[Skill, str]:
    """Say whether a model is proven better than random, and by which figures."""
    figures = f"rank IC {_show(challenger.rank_ic, 4)}, t {_show(challenger.t, 1)}"
    rank_ic, t = challenger.rank_ic, challenger.t
    if _is_known(rank_ic) and rank_ic > 0 and _is_known(t) and t >= _PROVEN_T:
        return "proven", f"Better than random: {figures}."
    return "unproven", f"Skill unproven: {figures}, need {_PROVEN_T}."


def _compare(challenger: float, champion: float | None) -> tuple[bool, str]:
    if not _is_known(champion):
        return True, "The champion has no rank IC to compare."
    figures = f"rank IC {challenger:.4f} against the champion's {champion:.4f}, margin {MARGIN}"
    if challenger < champion - MARGIN:
        return False, f"Worse than the champion: {figures}."
    return True, f"Not worse than the champion: {figures}."


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _show(value: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" if _is_known(value) else "unknown"
