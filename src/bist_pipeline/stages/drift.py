"""Drift: do data, features, scores and results still look as they did when the champion was trained?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings
from bist_pipeline.contracts import KEY
from bist_pipeline.drift.calibration import MOVE, RELATED_MOVE, REPLAYED, SCORE, Calibration
from bist_pipeline.drift.distribution import FeatureDriftReport, check_distribution
from bist_pipeline.drift.performance import DAILY_ICS, QUARTER_ICS, check_performance, compute_daily_ic
from bist_pipeline.drift.policy import WEEKLY, find_retrain_reason, is_weekly_due
from bist_pipeline.drift.replays import CURRENT_SESSIONS
from bist_pipeline.drift.status import Check, Status, worst
from bist_pipeline.drift.summary import summarise
from bist_pipeline.drift.wording import NO_ACTION, tell_check, tell_failure
from bist_pipeline.errors import DriftInputError, MissingDataError
from bist_pipeline.features.wording import name_feature
from bist_pipeline.lake import Lake, open_lake
from bist_pipeline.market.cleaning import clean
from bist_pipeline.market.panel import build_panel, compute_moves, look_up
from bist_pipeline.receipt import Receipt
from bist_pipeline.reports.drift import CheckLine, Report, as_line, render_drift
from bist_pipeline.stages.calibrate import (
    load_calibration,
    measure_moves,
    score_sessions,
    watched_columns,
)
from bist_pipeline.stages.drift_report import build_report
from bist_pipeline.stages.hold import judge_break
from bist_pipeline.stages.inputs import open_store, read_market, read_prices
from bist_pipeline.stages.watch import as_outcome, record
from bist_pipeline.store.drift import (
    RetrainRequest,
    StoredCheck,
    read_checks,
    read_quarterly_ic,
    read_requests,
    read_scores,
    write_request,
    write_run,
)
from bist_pipeline.store.engine import connect
from bist_pipeline.store.read import PUBLISHED
from bist_pipeline.tracking import ModelVersion, Registry
from bist_pipeline.wording import Wording, join, say

# Published sessions that the daily results are taken from, the reference of a champion's first year.
RESULT_SESSIONS = 2 * DAILY_ICS
_REPAIR = Wording(
    "repair what the message names, then check again", "iletide adı geçeni onarın, sonra yeniden denetleyin"
)


@dataclass(frozen=True)
class _Weekly:
    """What the weekly checks found; `features` is None where they could not be made."""

    checks: tuple[Check, ...]
    features: FeatureDriftReport | None


def drift(settings: Settings, session: dt.date) -> Receipt:
    """Make the checks that are due on a session, store them, and say what follows from them.

    The daily checks are made every time, the weekly ones on the last session of a week, or when they are five
    sessions old; between two weekly checks the older one stands. What cannot be judged is stored as ERROR or
    INSUFFICIENT_HISTORY, so that nothing is lost and nothing passes for OK. A report for people goes to the
    lake as `reports/drift/<session>.html`.

    Raises
    ------
    MissingDataError
        If the features of `session` were not computed.
    """
    store, lake = open_store(settings), open_lake(settings)
    _require_features(lake, session)
    model = Registry(settings).find_for(session)
    with connect(store) as connection:
        history = read_checks(connection, settings.source)
    before = [check for check in history if check.session < session]
    calibration, problem = _try_calibration(settings, model)
    ic = _read_daily_ic(settings, store, session)
    broken = judge_break(settings, session, model)
    checks = [
        _standing_quality(history, session),
        *broken.checks,
        *_judge_results(settings, store, session, model, calibration, ic),
    ]
    weekly = None
    if is_weekly_due(session, sessions=bist_calendar().sessions, last=_last_weekly(before, model)):
        weekly = _judge_week(settings, session, model, calibration, problem)
        checks += weekly.checks
    notes = [*record(settings, store, session, checks, model_version=model.version)]
    notes += _request_training(settings, store, session)
    asked = _read_open_requests(settings, store, session)
    standing = [] if weekly else _standing_week(before)
    late = [check.session for check in history if check.session > session]
    if late:
        checks.append(_say_late(session, max(late)))
    status = _verdict([*checks, *standing])
    told = _tell_first(status, checks, standing)
    told_of = build_report(
        settings,
        session,
        model,
        calibration,
        ic,
        status=status,
        told=told,
        checks=[*(as_line(check, session) for check in checks), *map(_stored_as_line, standing)],
        measures=broken.measures,
        asked=asked,
    )
    html = render_drift(told_of)
    _write_verdict(settings, store, told_of, model, checks, weekly, html=html)
    report = lake.publish(f"reports/drift/{session}.html", html)
    return Receipt(
        stage="drift",
        session=session,
        rows=len(checks),
        summary=f"{status.value}, {told} Report: {report}",
        details={
            "status": status.value,
            "report": report,
            "retrain_requested": asked[0].reason.en if asked else "",
            "checks": [_as_json(check, session) for check in checks]
            + [_stored_as_json(check) for check in standing],
        },
        warnings=tuple(notes),
    )


def request_training(settings: Settings, session: dt.date, reason: str) -> bool:
    """Ask for a new model because a person wants one; False where one was asked for on this session."""
    request = RetrainRequest(session, Wording(reason, reason), True, dt.datetime.now(dt.UTC), None)
    return write_request(open_store(settings), settings.source, request)


def _require_features(lake: Lake, session: dt.date) -> None:
    if str(session) not in lake.require("features").sessions:
        raise MissingDataError(
            f"The lake holds no features of {session}.", next_step=f"bist features --session {session}"
        )


def _try_calibration(settings: Settings, model: ModelVersion) -> tuple[Calibration | None, Wording]:
    try:
        return load_calibration(settings, model), NO_ACTION
    except DriftInputError as error:
        return None, tell_failure(error)


def _standing_quality(history: Sequence[StoredCheck], session: dt.date) -> Check:
    """The verdict of the stage `check`, which stores its own."""
    for stored in history:
        if (stored.session, stored.check_name) == (session, "data_quality"):
            return Check(
                stored.check_name,
                Status(stored.status),
                stored.statistic,
                stored.p_value,
                stored.threshold,
                stored.action,
                stored.message,
                stored.record,
            )
    message = say(
        "The prices of {day} were not checked.", "{day} seansının fiyatları denetlenmedi.", day=session
    )
    command = f"bist check --session {session}"
    return Check("data_quality", Status.ERROR, None, None, None, Wording(command, command), message)


def _judge_results(
    settings: Settings,
    store: Engine,
    session: dt.date,
    model: ModelVersion,
    calibration: Calibration | None,
    ic: pd.Series,
) -> tuple[Check, ...]:
    with connect(store) as connection:
        quarterly = read_quarterly_ic(
            connection, settings.source, horizon=settings.horizon_sessions, ranking=PUBLISHED, until=session
        )
    return check_performance(
        calibration.daily_ic if calibration else np.empty(0),
        ic[ic.index >= pd.Timestamp(model.trained_through)].to_numpy(),
        daily=ic.to_numpy(),
        quarterly=np.array(quarterly[-QUARTER_ICS:]),
        horizon=settings.horizon_sessions,
    )


def _read_daily_ic(settings: Settings, store: Engine, session: dt.date) -> pd.Series:
    """Rank IC of every published session's scores with the next session's returns, up to yesterday's."""
    calendar = bist_calendar()
    since = calendar.between(calendar.first, session)[-RESULT_SESSIONS - 1 :][0].item()
    with connect(store) as connection:
        rows = read_scores(connection, settings.source, since=since, until=session)
    scores = pd.DataFrame(rows, columns=[*KEY, SCORE])
    if scores["session"].nunique() < 2:
        return pd.Series(dtype=np.float64, index=pd.DatetimeIndex([]))
    first = scores["session"].min()
    scores["session"] = pd.to_datetime(scores["session"])
    prices = read_prices(open_lake(settings), session, since=first)
    panel = clean(build_panel(prices, calendar.between(first, session))).panel
    following = np.full_like(panel.close, np.nan)
    following[:-1] = compute_moves(panel.close)[1:]
    return compute_daily_ic(scores.assign(excess=look_up(panel, following, scores)))


def _last_weekly(before: Sequence[StoredCheck], model: ModelVersion) -> dt.date | None:
    """Newest weekly check of this champion: a new one is looked at straight away."""
    made = [c.session for c in before if c.check_name in WEEKLY and c.model_version == model.version]
    return max(made, default=None)


def _judge_week(
    settings: Settings,
    session: dt.date,
    model: ModelVersion,
    calibration: Calibration | None,
    problem: Wording,
) -> _Weekly:
    if calibration is None:
        return _Weekly(tuple(_as_error(name, problem) for name in WEEKLY), None)
    lake, age = open_lake(settings), bist_calendar().count(model.trained_through, session)
    days = [dt.date.fromisoformat(day) for day in sorted(lake.require("features").sessions)]
    window = np.array([day for day in days if day <= session][-CURRENT_SESSIONS:], dtype="datetime64[D]")
    columns = list(watched_columns(lake))

    def read(*names: str) -> pd.DataFrame:
        wanted = [*KEY, "tradable", *names]
        return lake.read("features", since=window[0].item(), until=session, columns=wanted)

    @cache
    def score() -> pd.DataFrame:
        return score_sessions(lake, Registry(settings).load(model), window)

    @cache
    def measure() -> pd.DataFrame:
        return measure_moves(read_market(settings, session).panel, read())

    tables: dict[str, tuple[list[str], Callable[[], pd.DataFrame]]] = {
        "features": (columns, lambda: read(*columns)),
        "regime": ([MOVE], measure),
        "regime_change": ([RELATED_MOVE], measure),
        "scores": ([SCORE], score),
        "score_spread": ([SCORE], score),
    }
    reports: dict[str, FeatureDriftReport] = {}
    checks = []
    for name, (watched, read_table) in tables.items():
        try:
            current = summarise(read_table(), watched, until=session)
            reports[name] = check_distribution(
                getattr(calibration, name), current, name=name, session=session, age_sessions=age
            )
            checks.append(reports[name].check)
        except DriftInputError as error:
            checks.append(_as_error(name, tell_failure(error)))
    return _Weekly(tuple(checks), reports.get("features"))


def _as_error(name: str, message: Wording) -> Check:
    return Check(name, Status.ERROR, None, None, None, _REPAIR, message)


def _standing_week(before: Sequence[StoredCheck]) -> list[StoredCheck]:
    """The newest weekly checks there are; they stand until the next ones."""
    newest = max((check.session for check in before if check.check_name in WEEKLY), default=None)
    return [check for check in before if check.session == newest and check.check_name in REPLAYED]


def _request_training(settings: Settings, store: Engine, session: dt.date) -> list[str]:
    with connect(store) as connection:
        history = [as_outcome(check) for check in read_checks(connection, settings.source, until=session)]
        requested = [request.session for request in read_requests(connection, settings.source)]
    reason = find_retrain_reason(
        history, session=session, requested=requested, sessions=bist_calendar().sessions
    )
    if reason is None:
        return []
    write_request(
        store, settings.source, RetrainRequest(session, reason, False, dt.datetime.now(dt.UTC), None)
    )
    return [f"a new model was asked for: {reason}"]


def _read_open_requests(settings: Settings, store: Engine, session: dt.date) -> list[RetrainRequest]:
    """Requests up to this session that no training has answered; the training is told of them once more.

    Read, not remembered: a rerun says the same, and a request that a person made waits for the next run.
    """
    with connect(store) as connection:
        requests = read_requests(connection, settings.source)
    return [each for each in requests if each.session <= session and each.answered_by is None]


def _say_late(session: dt.date, newest: dt.date) -> Check:
    message = say(
        "{newest} was checked before {day}: this result stands at its own date and changes no other.",
        "{newest}, {day} gününden önce denetlendi: bu sonuç kendi gününde geçerlidir, başkasını değiştirmez.",
        newest=newest,
        day=session,
    )
    return Check("order", Status.INFO, None, None, None, NO_ACTION, message)


def _verdict(checks: Sequence[Check | StoredCheck]) -> Status:
    """The most urgent status. Results come in slowly: their wait is worth knowing, and no more."""
    found = []
    for check in checks:
        name, status = (
            (check.check, check.status)
            if isinstance(check, Check)
            else (check.check_name, Status(check.status))
        )
        waits = name.startswith("performance") and status is Status.INSUFFICIENT_HISTORY
        found.append(Status.INFO if waits else status)
    return worst(found)


def _tell_first(status: Status, checks: Sequence[Check], standing: Sequence[StoredCheck]) -> Wording:
    """The most urgent check in words; where none says more than OK, what the features look like."""
    told = [(check.status, check.check, check.message) for check in checks]
    told += [(Status(check.status), check.check_name, check.message) for check in standing]
    # INFO may come from results that are still to come alone: then no check has it.
    urgent = [entry for entry in told if entry[0] is status and status is not Status.OK]
    _, name, message = (urgent or [entry for entry in told if entry[1] == "features"] or told)[0]
    return tell_check(name, message)


def _write_verdict(
    settings: Settings,
    store: Engine,
    report: Report,
    model: ModelVersion,
    checks: Sequence[Check],
    weekly: _Weekly | None,
    *,
    html: str,
) -> None:
    found = weekly.features if weekly else None
    lines = (tell_check(check.check, check.message) for check in checks)
    run = {
        "status": report.status.value,
        "summary": join([report.told, *(line for line in lines if line != report.told)], by="\n"),
        "reference_first": found.reference_first if found else None,
        "reference_last": found.reference_last if found else None,
        "model_version": model.version,
        "checked_at": dt.datetime.now(dt.UTC),
    }
    distances = None
    if found:
        weights = report.story.importance if report.story else {}
        distances = [
            {
                **asdict(each),
                "label": Wording(*name_feature(each.feature)),
                "importance": weights.get(each.feature),
            }
            for each in found.features
        ]
    write_run(store, settings.source, report.session, run, distances, html=html)


def _stored_as_line(check: StoredCheck) -> CheckLine:
    return CheckLine(
        check.session,
        check.check_name,
        Status(check.status),
        check.statistic,
        check.p_value,
        check.threshold,
        check.record,
        check.message,
    )


def _as_json(check: Check, session: dt.date) -> dict[str, object]:
    facts = {**vars(check), **_texts(check), "status": check.status.value, "session": str(session)}
    del facts["shares"]
    return facts


def _stored_as_json(check: StoredCheck) -> dict[str, object]:
    facts = {**vars(check), **_texts(check), "session": str(check.session)}
    del facts["model_version"]
    return {**facts, "check": facts.pop("check_name")}


def _texts(check: Check | StoredCheck) -> dict[str, str]:
    """What a check says, the English under the names that programs know."""
    return {
        "action": check.action.en,
        "action_tr": check.action.tr,
        "message": check.message.en,
        "message_tr": check.message.tr,
    }
