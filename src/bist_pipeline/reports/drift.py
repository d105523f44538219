"""The drift report as one HTML page: Turkish and English, no script, nothing from other hosts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from bist_pipeline.drift.adapter import CVM_RUN_TIME
from bist_pipeline.drift.breaks import FeatureBreak
from bist_pipeline.drift.distribution import as_rate
from bist_pipeline.drift.performance import LEAST_OFTEN, LEAST_SKILL
from bist_pipeline.drift.policy import RUNBOOK
from bist_pipeline.drift.report import TOP_FEATURES, FeatureStory, ScoreEffect, Values
from bist_pipeline.drift.status import ALARMS, Check, Status
from bist_pipeline.events import Event
from bist_pipeline.features.wording import name_feature
from bist_pipeline.reports import drift_charts as charts
from bist_pipeline.reports.page import in_both, open_environment, show
from bist_pipeline.store.drift import RetrainRequest
from bist_pipeline.wording import Wording, say, say_number, say_percent

# Each text in English and Turkish.
STATUSES = {
    "OK": ("fine", "uygun"),
    "INFO": ("note", "not"),
    "INSUFFICIENT_HISTORY": ("not judged", "değerlendirilemedi"),
    "AMBER": ("unusual", "olağan dışı"),
    "RED": ("alarm", "alarm"),
    "ERROR": ("not checked", "denetlenemedi"),
    "BLOCK": ("blocked", "engel"),
}
VERDICTS = {
    "OK": (
        "Nothing unusual: today's market looks like the one the model learned from.",
        "Olağan dışı bir şey yok: bugünkü piyasa, modelin öğrendiği piyasaya benziyor.",
    ),
    "INFO": (
        "No fault, but something worth knowing.",
        "Arıza yok, ancak bilinmesi gereken bir şey var.",
    ),
    "INSUFFICIENT_HISTORY": (
        "Not judged in full: the history is too short to say what is usual. That is not the same as fine.",
        "Tam değerlendirilemedi: neyin olağan olduğunu söyleyecek geçmiş yok. Sorun yok demek değildir.",
    ),
    "AMBER": (
        "Something is unusual. The ranks stand; a person should look this week.",
        "Olağan dışı bir şey var. Sıralama geçerli; bu hafta bir kişinin bakması gerekir.",
    ),
    "RED": (
        "Something broke, or the model has aged: look before the next session.",
        "Bir şey bozuldu ya da model eskidi: bir sonraki seanstan önce bakın.",
    ),
    "ERROR": (
        "A check could not be made. What was not checked may be broken: repair it before the next session.",
        "Bir denetim yapılamadı. Denetlenmeyen şey bozuk olabilir: bir sonraki seanstan önce onarın.",
    ),
    "BLOCK": (
        "The data is not fit to be scored; the ranks published before stay in use.",
        "Veri puanlanmaya uygun değil; önceden yayımlanan sıralama geçerliliğini koruyor.",
    ),
}
WAITING = (
    "Nothing unusual; what the ranks are worth is not known yet, for the results are still to come.",
    "Olağan dışı bir şey yok; sonuçlar henüz gelmediği için sıralamanın değeri bilinmiyor.",
)
# What each check asks, and what an alarm of it points to.
CHECKS = {
    "data_quality": ("Did the prices arrive whole?", "Fiyatlar eksiksiz geldi mi?"),
    "break": ("Did any feature jump since yesterday?", "Dünden bugüne sıçrayan bir özellik var mı?"),
    "missing_values": ("Is more missing than ever before?", "Hiç olmadığı kadar çok değer mi eksik?"),
    "features": (
        "Do shares differ from each other as they did in training?",
        "Hisseler birbirinden eğitimdeki gibi mi ayrışıyor?",
    ),
    "regime": (
        "Is the market as a whole as calm or wild as in training?",
        "Piyasanın bütünü eğitimdeki kadar sakin ya da hareketli mi?",
    ),
    "regime_change": (
        "Has the market become calmer or wilder within weeks?",
        "Piyasa birkaç haftada sakinleşti ya da hareketlendi mi?",
    ),
    "scores": ("Are the model's scores shaped as in training?", "Modelin puanları eğitimdeki biçimde mi?"),
    "score_spread": ("Are the scores as large as in training?", "Puanlar eğitimdeki büyüklükte mi?"),
    "performance_change": (
        "Do the ranks fit the next day's returns as well as before?",
        "Sıralama ertesi günün getirilerine eskisi kadar uyuyor mu?",
    ),
    "performance_daily": (
        "Were the ranks worth something over half a year?",
        "Sıralama yarım yıl boyunca bir şeye değdi mi?",
    ),
    "performance_quarter": (
        "Did a year of ranks hold over three months each?",
        "Bir yılın sıralamaları üçer ayda tuttu mu?",
    ),
    "order": ("Was the session checked in order?", "Seans sırasında mı denetlendi?"),
}
POINTS_TO = {
    **dict.fromkeys(("data_quality", "break", "missing_values"), ("data", "veri")),
    **dict.fromkeys(("features", "regime", "regime_change"), ("data or market", "veri ya da piyasa")),
    **dict.fromkeys(("scores", "score_spread"), ("model's input", "modelin girdisi")),
    **dict.fromkeys(("performance_change", "performance_daily", "performance_quarter"), ("model", "model")),
    "order": ("", ""),
}
# What can be said of checks that have no p.
_RATES = {
    "data_quality": Wording("a fixed limit, no rate", "sabit sınır, oranı yok"),
    "break": Wording("beyond the record: never", "rekorun ötesi: hiç"),
    "missing_values": Wording("beyond the record: never", "rekorun ötesi: hiç"),
    "performance_change": say(
        "an alarm in 1 of {n} sessions", "{n} seansta bir alarm", n=say_number(CVM_RUN_TIME)
    ),
    "performance_quarter": Wording(
        "below zero without any skill: 1 of 2 times", "isabet hiç yokken sıfırın altı: 2 kezden 1 tanesinde"
    ),
}
# What a measure of the daily check compares.
JUMPS = {
    "level": ("values", "değerler"),
    "shape": ("shape of the distribution", "dağılımın biçimi"),
    "order": ("order of the shares (correlation)", "hisselerin sırası (korelasyon)"),
}
# Of the shares that a stopped session names, so many are listed.
_SHARES_NAMED = 30
_IN_TIMES = ("features", "regime", "regime_change", "scores", "score_spread", "break")
_IN_IC = ("performance_daily", "performance_quarter")


@dataclass(frozen=True)
class CheckLine:
    """One check as the report shows it; `since` is the first day of the alarm it belongs to."""

    session: dt.date
    name: str
    status: Status
    statistic: float | None
    p_value: float | None
    threshold: float | None
    record: float | None
    message: Wording
    since: dt.date | None = None
    shares: Sequence[str] = ()


@dataclass(frozen=True)
class Stop:
    """What follows from a session that is not scored: whose ranks stay served, if any, and what to do."""

    served: dt.date | None
    next_step: Wording


@dataclass(frozen=True)
class Report:
    """Everything the page shows; what could not be had is None or empty.

    `near` are those of the events that lie close to the session or to the first day of an alarm. `measures`
    are the changes since the last good session, the most unusual first; `asked` the requests for a new model
    that wait.
    """

    session: dt.date
    source: str
    status: Status
    told: Wording
    checks: Sequence[CheckLine]
    model: str
    trained_through: dt.date | None
    story: FeatureStory | None = None
    scores: ScoreEffect | None = None
    ic_before: Values = field(default_factory=lambda: np.empty(0))
    ic_since: Values = field(default_factory=lambda: np.empty(0))
    events: Sequence[Event] = ()
    near: Sequence[Event] = ()
    knows_events: bool = False
    measures: Sequence[FeatureBreak] = ()
    asked: Sequence[RetrainRequest] = ()
    stop: Stop | None = None


def as_line(check: Check, session: dt.date, *, since: Mapping[str, dt.date] | None = None) -> CheckLine:
    """Prepare a check of a session for the report; `since`: since when alarms last, by check."""
    return CheckLine(
        session,
        check.check,
        check.status,
        check.statistic,
        check.p_value,
        check.threshold,
        check.record,
        check.message,
        since=(since or {}).get(check.check),
        shares=check.shares,
    )


def render_drift(report: Report) -> str:
    """Lay out the report of one session; the same values always give the same page."""
    environment = open_environment()
    environment.filters |= {"points": _in_points, "times": _times, "figure": _figure}
    names = {"STATUSES": STATUSES, "CHECKS": CHECKS, "POINTS_TO": POINTS_TO, "JUMPS": JUMPS}
    first = next((line for line in report.checks if line.status is report.status), None)
    is_waiting = first is None and report.status is Status.INFO
    return environment.get_template("drift.html").render(
        report=report,
        verdict=WAITING if is_waiting else VERDICTS[report.status.value],
        why=show(report.told),
        alarms=[line for line in report.checks if line.status in ALARMS],
        jumps=_pick_jumps(report),
        charts=charts,
        measured=_measured,
        rate=_say_rate,
        runbook=lambda name: _runbook(name, report.session),
        plain=lambda name: in_both(*name_feature(name)),
        number=_number,
        least_skill=LEAST_SKILL,
        SHARES_NAMED=_SHARES_NAMED,
        say=say,
        say_number=say_number,
        say_percent=say_percent,
        **names,
    )


def _pick_jumps(report: Report) -> list[FeatureBreak]:
    """The most unusual change of each feature, the five furthest: where the daily check alarms."""
    alarming = any(line.name == "break" and line.status in ALARMS for line in report.checks)
    furthest: dict[str, FeatureBreak] = {}
    for measure in report.measures if alarming else ():
        furthest.setdefault(measure.feature, measure)
    return list(furthest.values())[:TOP_FEATURES]


def _say_rate(line: CheckLine) -> Wording:
    """How often a check shows as much while nothing is wrong, in words; empty where that is not known."""
    if line.statistic is None:
        return Wording("", "")
    if line.p_value is not None:
        some, of = as_rate(max(line.p_value, 1 / LEAST_OFTEN))
        return say("{some} of {of} times", "{of} kezden {some} tanesinde", some=some, of=of)
    return _RATES.get(line.name, Wording("", ""))


def _measured(line: CheckLine, value: float | None) -> Markup:
    """One of a check's figures in its own unit."""
    if value is None:
        return _figure(None)
    if line.name in _IN_TIMES:
        return _times(value)
    if line.name in _IN_IC:
        return show(say_number(value, 3, signed=True))
    if line.name in ("missing_values", "data_quality"):
        return show(say_percent(value))
    return _figure(value, 2)


def _runbook(name: str, session: dt.date) -> Markup:
    """What to do about an alarm, the session put into the commands."""
    line = RUNBOOK.get(name, Wording("–", "–"))
    return in_both(*(text.replace("SESSION", str(session)) for text in (line.en, line.tr)))


def _number(value: float) -> Markup:
    """Three significant digits: features have units of all sizes."""
    text = f"{value:.3g}".replace("-", "−")
    return in_both(text, text.replace(".", ","))


def _figure(value: float | None, digits: int = 0) -> Markup:
    return in_both("–", "–") if value is None else show(say_number(value, digits))


def _times(value: float | None) -> Markup:
    return _figure(None) if value is None else Markup("{} ×").format(_figure(value, 1))


def _in_points(share: float | None) -> Markup:
    return _figure(None) if share is None else show(say_percent(share, 0))
