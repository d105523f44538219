"""Which model is served: a pure decision with its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeGuard

from bist_pipeline.wording import Wording, say, say_number

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
        Out-of-sample mean daily rank IC and its Newey-West t; None or NaN where there is none. All
        candidates of one decision must have theirs from the same rows.
    age_sessions : int
        Sessions since the newest one it was trained through; negative for a model from the future.
    lacks : tuple of str
        Columns it needs and that are no longer there: it cannot score any more.
    """

    source: str
    rank_ic: float | None
    t: float | None = None
    age_sessions: int = 0
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Whether to serve the challenger, why, and whether its skill is proven."""

    promoted: bool
    reasons: tuple[Wording, ...]
    skill: Skill


def decide(
    challenger: Candidate, champion: Candidate | None, *, low_volatility: float | None = None
) -> Decision:
    """Decide whether the challenger is served from now on.

    Something must be served: without a champion that knows this market and is young enough, the challenger
    is promoted whatever it proved, and its skill says which. Otherwise it must not be worse than the
    champion by more than `MARGIN`, in rank IC itself: a ratio would mean nothing around zero.

    Parameters
    ----------
    challenger, champion : Candidate
        None for `champion` where there is none.
    low_volatility : float, optional
        Rank IC of low volatility on the same rows. A model below it is no better than a rule that anyone can
        follow: that is said with the decision, and does not make it, because a champion may be no better.

    Examples
    --------
    >>> decision = decide(Candidate("files", rank_ic=0.12, t=1.1), None, low_volatility=0.10)
    >>> decision.promoted, decision.skill
    (True, 'unproven')
    >>> [reason.en for reason in decision.reasons[:2]]
    ['No champion yet.', 'Skill unproven: rank IC 0.1200, t 1.1, need 2.0.']
    >>> decision.reasons[2].tr
    "Düşük oynaklığın üstünde: sıra IC'si 0,1200; onunki 0,1000."
    """
    skill, evidence = judge_skill(challenger)
    promoted, reason = _rule(challenger, champion)
    reasons = (reason, evidence, _compare_with_low_volatility(challenger.rank_ic, low_volatility))
    return Decision(promoted, tuple(text for text in reasons if text is not None), skill)


def needs_comparison(challenger: Candidate, champion: Candidate) -> bool:
    """Whether the decision will rest on both models' figures, so that the champion's are worth computing."""
    is_same_market = champion.source == challenger.source
    return is_same_market and 0 <= champion.age_sessions <= VALID_SESSIONS


def judge_skill(challenger: Candidate) -> tuple[Skill, Wording]:
    """Say whether a model is proven better than random, and by which figures."""
    figures = {"rank_ic": _show(challenger.rank_ic, 4), "t": _show(challenger.t, 1)}
    rank_ic, t = challenger.rank_ic, challenger.t
    if _is_known(rank_ic) and rank_ic > 0 and _is_known(t) and t >= _PROVEN_T:
        return "proven", say(
            "Better than random: rank IC {rank_ic}, t {t}.",
            "Rastgele sıralamadan iyi: sıra IC'si {rank_ic}, t {t}.",
            **figures,
        )
    return "unproven", say(
        "Skill unproven: rank IC {rank_ic}, t {t}, need {needed}.",
        "İsabeti kanıtlanmadı: sıra IC'si {rank_ic}, t {t}; en az {needed} gerekir.",
        **figures,
        needed=say_number(_PROVEN_T, 1),
    )


def _rule(challenger: Candidate, champion: Candidate | None) -> tuple[bool, Wording]:
    if champion is None:
        return True, Wording("No champion yet.", "Henüz kullanımda bir model yoktu.")
    if champion.source != challenger.source:
        return True, say(
            "The champion was trained on {old}, not on {new}.",
            "Kullanımdaki model {new} değil, {old} verileriyle eğitilmişti.",
            old=champion.source,
            new=challenger.source,
        )
    if champion.age_sessions < 0:
        return True, Wording(
            "The champion has seen later sessions: this model serves the past only.",
            "Kullanımdaki model daha sonraki seansları gördü: bu model yalnız geçmiş için kullanılır.",
        )
    if not _is_known(challenger.rank_ic):
        return False, Wording(
            "The challenger has no rank IC to compare.", "Adayın karşılaştırılacak sıra IC'si yok."
        )
    if champion.age_sessions > VALID_SESSIONS:
        return True, say(
            "The champion is {age} sessions old, valid for {valid}.",
            "Kullanımdaki model {age} seanslık, geçerlilik süresi {valid} seanstı.",
            age=champion.age_sessions,
            valid=VALID_SESSIONS,
        )
    if champion.lacks:
        return True, say(
            "The champion needs {n} columns that are no longer there: {missing}.",
            "Kullanımdaki modelin gerektirdiği {n} sütun artık yok: {missing}.",
            n=len(champion.lacks),
            missing=", ".join(champion.lacks[:3]),
        )
    return _compare(challenger.rank_ic, champion.rank_ic)


def _compare(challenger: float, champion: float | None) -> tuple[bool, Wording]:
    if not _is_known(champion):
        return True, Wording(
            "The champion has no rank IC to compare.",
            "Kullanımdaki modelin karşılaştırılacak sıra IC'si yok.",
        )
    is_worse = challenger < champion - MARGIN
    side = Wording("Worse", "Kullanımdaki modelden kötü")
    other_side = Wording("Not worse", "Kullanımdaki modelden kötü değil")
    return not is_worse, say(
        "{side} than the champion: rank IC {mine} against the champion's {its} on the same rows, "
        "margin {margin}.",
        "{side}: aynı satırlarda sıra IC'si {mine}, kullanımdaki modelinki {its}; pay {margin}.",
        side=side if is_worse else other_side,
        mine=say_number(challenger, 4),
        its=say_number(champion, 4),
        margin=say_number(MARGIN, 2),
    )


def _compare_with_low_volatility(rank_ic: float | None, low_volatility: float | None) -> Wording | None:
    if not _is_known(rank_ic) or not _is_known(low_volatility):
        return None
    is_above = rank_ic > low_volatility
    return say(
        "{side} low volatility: rank IC {mine} against {its}.",
        "Düşük oynaklığın {side}: sıra IC'si {mine}; onunki {its}.",
        side=Wording("Above", "üstünde") if is_above else Wording("Not above", "üstünde değil"),
        mine=say_number(rank_ic, 4),
        its=say_number(low_volatility, 4),
    )


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _show(value: float | None, digits: int) -> Wording:
    return say_number(value, digits) if _is_known(value) else Wording("unknown", "bilinmiyor")
