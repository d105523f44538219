"""From what the checks found, session by session, to what people and the training have to do about it.

Everything follows from the stored history alone: a check that is run twice, or for an older session, changes
the history in one place and never opens an episode twice.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bist_pipeline.drift.status import ALARMS, Status, urgency_of
from bist_pipeline.wording import Wording

DAILY = (
    *("data_quality", "break", "missing_values"),
    *("performance_change", "performance_daily", "performance_quarter"),
)
WEEKLY = ("features", "scores")
WEEK = 5
# What keeps a session from being scored.
STOPPING = {"data_quality": Status.BLOCK, "missing_values": Status.BLOCK, "break": Status.RED}
# An episode of a daily check is over after so many sessions without another alarm.
QUIET_SESSIONS = 5
# Two weekly checks belong together if no more than so many sessions lie between them.
NEXT_WEEK = 2 * WEEK
SESSIONS_BETWEEN_RETRAINS = 63

RUNBOOK = {
    "data_quality": Wording(
        "Repair the source, then: bist ingest, bist check, and the stages after it. If nothing is missing "
        "and the data is right: bist drift release SESSION --reason '…'.",
        "Kaynağı onarın, sonra: bist ingest, bist check ve ardından gelen aşamalar. Eksik yoksa ve veri "
        "doğruysa: bist drift release SESSION --reason '…'.",
    ),
    "break": Wording(
        "Compare the named feature with yesterday's. If the market really moved: bist drift release "
        "SESSION --reason '…'; if the data is wrong: repair it, bist ingest and repeat.",
        "Adı geçen özelliği dünküyle karşılaştırın. Piyasa gerçekten hareket ettiyse: bist drift release "
        "SESSION --reason '…'; veri yanlışsa: onarın, bist ingest ile tekrarlayın.",
    ),
    "missing_values": Wording(
        "Find out which input the named feature lacks, repair it, bist features and repeat.",
        "Adı geçen özelliğin eksik girdisini bulun, onarın; bist features ile tekrarlayın.",
    ),
    "features": Wording(
        "Look at the named features, then and now. A fault: repair the data. A new regime: "
        "bist drift retrain SESSION --reason '…'.",
        "Adı geçen özelliklere bakın, o zaman ve şimdi. Arızaysa: veriyi onarın. Yeni bir dönemse: "
        "bist drift retrain SESSION --reason '…'.",
    ),
    "scores": Wording(
        "Compare with the feature check of the same week; alone it needs no action.",
        "Aynı haftanın özellik denetimiyle karşılaştırın; tek başına bir şey gerektirmez.",
    ),
    "performance_change": Wording(
        "Compare with the scorecard; wait for the daily mean before acting.",
        "Karne ile karşılaştırın; bir şey yapmadan önce günlük ortalamayı bekleyin.",
    ),
    "performance_daily": Wording(
        "Ranks were worth nothing for half a year: bist drift retrain SESSION --reason '…'.",
        "Sıralama yarım yıl hiçbir şeye değmedi: bist drift retrain SESSION --reason '…'.",
    ),
    "performance_quarter": Wording(
        "The published ranks have failed over a year: retrain, or stop using them.",
        "Yayımlanan sıralama bir yıldır tutmuyor: yeniden eğitin ya da kullanmayın.",
    ),
}

Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class Outcome:
    """One check on one session, as it is stored."""

    session: dt.date
    check: str
    status: Status
    message: Wording
    model_version: str = ""


@dataclass(frozen=True)
class Episode:
    """A stretch of alarms of one check at one urgency; `closed_on` is None while it lasts."""

    check: str
    status: Status
    opened_on: dt.date
    last_seen: dt.date
    closed_on: dt.date | None
    cause: Wording
    model_version: str

    @property
    def urgency(self) -> Wording:
        """How soon a person has to look."""
        if self.status is Status.AMBER:
            return Wording("this week", "bu hafta")
        return Wording("before the next session", "bir sonraki seanstan önce")

    @property
    def runbook(self) -> Wording:
        """What to do, in one line, with the session in its commands."""
        line, day = RUNBOOK[self.check], str(self.last_seen)
        return Wording(line.en.replace("SESSION", day), line.tr.replace("SESSION", day))


def is_weekly_due(session: dt.date, *, sessions: Days, last: dt.date | None) -> bool:
    """Whether the weekly checks are due: on the last session of a week, or when the last are 5 sessions old.

    Parameters
    ----------
    session : date
    sessions : array of datetime64[D]
        The trading calendar.
    last : date or None
        Newest session before `session` on which they were made; None if they never were.

    Examples
    --------
    >>> days = np.array(["2024-06-27", "2024-06-28", "2024-07-01", "2024-07-02"], dtype="datetime64[D]")
    >>> [is_weekly_due(day, sessions=days, last=dt.date(2024, 6, 26)) for day in days[:3].tolist()]
    [False, True, False]
    """
    if last is None or _between(sessions, last, session) >= WEEK:
        return True
    later = sessions[sessions > np.datetime64(session, "D")]
    return not len(later) or later[0].item().isocalendar()[:2] != session.isocalendar()[:2]


def find_stopped(history: Iterable[Outcome], *, released: Mapping[dt.date, Wording]) -> frozenset[dt.date]:
    """Sessions that a check stopped and no person released: none of them says what is usual.

    Parameters
    ----------
    history : iterable of Outcome
    released : mapping of date to Wording
        Sessions of which a person said that they are right as they are, and what the checks had told that
        person. Missing values cannot be released.
    """
    return frozenset(
        outcome.session
        for outcome in history
        if outcome.status is STOPPING.get(outcome.check)
        and (
            outcome.check == "missing_values"
            or not is_covered(outcome.message, released.get(outcome.session))
        )
    )


def is_covered(message: Wording, seen: Wording | None) -> bool:
    r"""Whether a release covers what a check says: only what the person saw, a line for each check.

    >>> is_covered(Wording("a jump.", "bir sıçrama."), Wording("late.\na jump.", "geç.\nbir sıçrama."))
    True
    >>> is_covered(Wording("a jump.", "bir sıçrama."), None)
    False
    """
    return seen is not None and message.en in seen.en.splitlines()


def find_yardstick(
    held: Days,
    *,
    session: dt.date,
    good: Collection[dt.date],
    stopped: Collection[dt.date],
    trusted: dt.date,
    reach: int,
) -> dt.date | None:
    """Newest session before `session` that a break may be measured from; None where there is none.

    It was published or released, or it is one of those that the champion learned from. A session that nobody
    judged since then is none, or a fault that began there would pass the day after. Only where nobody looked
    for longer than the record reaches, and nothing was stopped, the session before has to do.

    Parameters
    ----------
    held : array of datetime64[D]
        The sessions that have features, in order.
    session : date
        The session to judge.
    good : collection of date
        Published and released sessions.
    stopped : collection of date
        From `find_stopped`: never a yardstick, whatever else they are.
    trusted : date
        Session that the champion was trained at.
    reach : int
        Sessions apart that the champion's record knows.
    """
    earlier: list[dt.date] = held[held < np.datetime64(session, "D")].tolist()
    newest = next((d for d in reversed(earlier) if d not in stopped and (d in good or d <= trusted)), None)
    since = [day for day in earlier if newest is None or day > newest]
    if len(since) >= reach and not any(day in stopped for day in since):
        return since[-1]
    return newest


def build_episodes(history: Iterable[Outcome], *, sessions: Days) -> list[Episode]:
    """Join the alarms of every check to episodes, oldest first.

    An AMBER of `features` counts from its second week running, one of `scores` never: alone it asks nothing
    of anybody. Everything else counts at once. Where an alarm becomes more urgent one episode ends and
    another begins; becoming less urgent does not end one.

    Parameters
    ----------
    history : iterable of Outcome
        In any order, one for each session and check.
    sessions : array of datetime64[D]
        The trading calendar.
    """
    ordered = sorted(history, key=lambda outcome: outcome.session)
    episodes = [
        episode
        for check in RUNBOOK
        for episode in _join([outcome for outcome in ordered if outcome.check == check], sessions)
    ]
    return sorted(episodes, key=lambda episode: (episode.opened_on, episode.check))


def find_since(history: Iterable[Outcome], *, sessions: Days) -> dict[str, dt.date]:
    """Say since when each check, as it stood last, has alarmed or had something to note; nothing where fine.

    An alarm that became more or less urgent is the same one, and a few sessions without another do not end
    that of a daily check. Here an AMBER counts from its first week, though nobody is told of it yet.

    Parameters
    ----------
    history : iterable of Outcome
        In any order, one for each session and check.
    sessions : array of datetime64[D]
        The trading calendar.
    """
    by_check: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in sorted(history, key=lambda outcome: outcome.session, reverse=True):
        by_check[outcome.check].append(outcome)
    return {
        check: _find_start(outcomes, sessions)
        for check, outcomes in by_check.items()
        if _find_kind(outcomes[0]) is not None
    }


def _find_start(newest_first: Sequence[Outcome], sessions: Days) -> dt.date:
    start, *earlier = newest_first
    kind, is_daily = _find_kind(start), start.check in DAILY
    for outcome in earlier:
        is_apart = _between(sessions, outcome.session, start.session) > (
            QUIET_SESSIONS if is_daily else NEXT_WEEK
        )
        is_same = _find_kind(outcome) == kind
        if is_apart or not (is_same or is_daily):
            break
        start = outcome if is_same else start
    return start.session


def _find_kind(outcome: Outcome) -> str | None:
    if outcome.status in ALARMS:
        return "alarm"
    return "note" if outcome.status is Status.INFO and outcome.check not in DAILY else None


def find_retrain_reason(
    history: Iterable[Outcome], *, session: dt.date, requested: Sequence[dt.date], sessions: Days
) -> Wording | None:
    """Say why the model should be trained anew; None where it should not, or was asked for within a quarter.

    Parameters
    ----------
    history : iterable of Outcome
        Only what is not after `session` counts.
    session : date
        The session of the decision.
    requested : sequence of date
        Sessions of earlier requests.
    sessions : array of datetime64[D]
        The trading calendar.
    """
    if any(_between(sessions, day, session) < SESSIONS_BETWEEN_RETRAINS for day in requested):
        return None
    known = [outcome for outcome in history if outcome.session <= session]
    if all(_is_lasting([o for o in known if o.check == check], session, sessions) for check in WEEKLY):
        return Wording(
            "Features and scores have both drifted for two weeks running.",
            "Özellikler de puanlar da üst üste iki haftadır kayıyor.",
        )
    return None


def _is_lasting(outcomes: Sequence[Outcome], session: dt.date, sessions: Days) -> bool:
    newest = sorted(outcomes, key=lambda outcome: outcome.session)[-2:]
    return (
        len(newest) == 2
        and newest[1].session == session
        and all(outcome.status in (Status.AMBER, Status.RED) for outcome in newest)
        and _between(sessions, newest[0].session, newest[1].session) <= NEXT_WEEK
    )


def _join(outcomes: Sequence[Outcome], sessions: Days) -> list[Episode]:
    episodes: list[Episode] = []
    current: Episode | None = None
    for before, outcome in pairwise([None, *outcomes]):
        assert outcome is not None  # noqa: S101 (only the first of the list is)
        if current is not None and _is_over(current, outcome, sessions):
            episodes.append(replace(current, closed_on=outcome.session))
            current = None
        if not _is_alarm(outcome, before, sessions):
            continue
        if current is not None and urgency_of(outcome.status) > urgency_of(current.status):
            episodes.append(replace(current, closed_on=outcome.session))
            current = None
        current = _open(outcome) if current is None else replace(current, last_seen=outcome.session)
    return episodes if current is None else [*episodes, current]


def _open(outcome: Outcome) -> Episode:
    return Episode(
        check=outcome.check,
        status=outcome.status,
        opened_on=outcome.session,
        last_seen=outcome.session,
        closed_on=None,
        cause=outcome.message,
        model_version=outcome.model_version,
    )


def _is_alarm(outcome: Outcome, before: Outcome | None, sessions: Days) -> bool:
    if outcome.check not in WEEKLY or outcome.status is not Status.AMBER:
        return outcome.status in ALARMS
    if outcome.check == "scores":
        return False  # there is nothing to do about it alone; with `features` it asks for a new model
    return (
        before is not None
        and before.status in ALARMS
        and _between(sessions, before.session, outcome.session) <= NEXT_WEEK
    )


def _is_over(episode: Episode, outcome: Outcome, sessions: Days) -> bool:
    if outcome.check in WEEKLY:
        return outcome.status not in ALARMS
    return _between(sessions, episode.last_seen, outcome.session) > QUIET_SESSIONS


def _between(sessions: Days, first: dt.date, last: dt.date) -> int:
    """Sessions from one day to another; days that are none count as the next session."""
    start, end = np.searchsorted(sessions, np.array([first, last], dtype="datetime64[D]"))
    return int(end - start)
