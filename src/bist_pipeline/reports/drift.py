"""The drift report as one HTML page: Turkish and English, no script, nothing from other hosts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bist_pipeline.drift.distribution import as_rate
from bist_pipeline.drift.performance import LEAST_SKILL
from bist_pipeline.drift.policy import RUNBOOK
from bist_pipeline.drift.report import FeatureStory, ScoreEffect, Values
from bist_pipeline.drift.status import Status
from bist_pipeline.events import Event
from bist_pipeline.features.wording import name_feature
from bist_pipeline.reports import drift_charts as charts
from bist_pipeline.reports.page import as_percent, in_both, open_environment

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
    **dict.fromkeys(("features", "regime"), ("data or market", "veri ya da piyasa")),
    **dict.fromkeys(("scores", "score_spread"), ("model's input", "modelin girdisi")),
    **dict.fromkeys(("performance_change", "performance_daily", "performance_quarter"), ("model", "model")),
    "order": ("", ""),
}
RUNBOOK_TR = {
    "data_quality": "Kaynağı onarın, sonra: bist ingest, bist check ve ardından gelen aşamalar.",
    "break": "Adı geçen özelliği dünküyle karşılaştırın. Piyasa gerçekten hareket ettiyse: bist drift "
    "release SESSION --reason '…'; veri yanlışsa: onarın, bist ingest ile tekrarlayın.",
    "missing_values": "Adı geçen özelliğin eksik girdisini bulun, onarın; bist features ile tekrarlayın.",
    "features": "Adı geçen özelliklere bakın, o zaman ve şimdi. Arızaysa: veriyi onarın. Yeni bir dönemse: "
    "bist drift retrain SESSION --reason '…'.",
    "scores": "Aynı haftanın özellik denetimiyle karşılaştırın; tek başına bir şey gerektirmez.",
    "performance_change": "Karne ile karşılaştırın; bir şey yapmadan önce günlük ortalamayı bekleyin.",
    "performance_daily": "Sıralama yarım yıl hiçbir şeye değmedi: bist drift retrain SESSION --reason '…'.",
    "performance_quarter": "Yayımlanan sıralama bir yıldır tutmuyor: yeniden eğitin ya da kullanmayın.",
}
_ALARMS = (Status.AMBER, Status.RED, Status.ERROR, Status.BLOCK)
_IN_TIMES = ("features", "regime", "scores", "score_spread", "break")
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
    message: str
    since: dt.date | None = None


@dataclass(frozen=True)
class Report:
    """Everything the page shows; what could not be had is None or empty."""

    session: dt.date
    source: str
    status: Status
    told: str
    checks: Sequence[CheckLine]
    model: str
    trained_through: dt.date
    story: FeatureStory | None
    scores: ScoreEffect | None
    ic_before: Values
    ic_since: Values
    events: Sequence[Event]
    knows_events: bool


def render_drift(report: Report) -> str:
    """Lay out the report of one session; the same values always give the same page."""
    environment = open_environment()
    environment.filters |= {"points": _in_points}
    names = {"STATUSES": STATUSES, "CHECKS": CHECKS, "POINTS_TO": POINTS_TO}
    first = next((line for line in report.checks if line.status is report.status), None)
    is_waiting = first is None and report.status is Status.INFO
    return environment.get_template("drift.html").render(
        report=report,
        verdict=WAITING if is_waiting else VERDICTS[report.status.value],
        why=in_both(report.told, _tell_in_turkish(report, first)),
        alarms=[line for line in report.checks if line.status in _ALARMS],
        charts=charts,
        measured=_measured,
        rate=_rate,
        runbook=_runbook,
        plain=lambda name: in_both(*name_feature(name)),
        number=_number,
        least_skill=LEAST_SKILL,
        **names,
    )


def _tell_in_turkish(report: Report, first: CheckLine | None) -> str:
    """The checks' own sentences are English; this says as much with the report's figures."""
    told = []
    if first is not None:
        told.append(f"{CHECKS[first.name][1]} {STATUSES[first.status.value][1].capitalize()}.")
    features = report.story.newest.features if report.story else ()
    if features and features[0].typical:
        times = report.story.weeks[-1].times[features[0].feature] if report.story else 0.0
        name = name_feature(features[0].feature)[1]
        told.append(f"En çok ayrılan özellik: {name}, olağan uzaklığının {times:.1f} katı.")
    return " ".join(told)


def _measured(line: CheckLine, value: float | None) -> str:
    """One of a check's figures in its own unit."""
    if value is None:
        return "–"
    if line.name in _IN_TIMES:
        return f"{value:.1f} ×"
    if line.name in _IN_IC:
        return f"{value:+.3f}".replace("-", "−")
    return as_percent(value) if line.name in ("missing_values", "data_quality") else f"{value:.2f}"


def _rate(line: CheckLine) -> Markup:
    """Say how often a quiet market shows as much."""
    if line.p_value is None:
        return in_both("", "")
    some, of = as_rate(line.p_value).split(" of ")
    return in_both(
        f"a quiet market reaches this in {some} of {of} checks",
        f"sakin bir piyasa buna her {of} denetimin {some} tanesinde ulaşır",
    )


def _runbook(name: str) -> Markup:
    return in_both(RUNBOOK.get(name, "–"), RUNBOOK_TR.get(name, "–"))


def _number(value: float) -> str:
    """Three significant digits: features have units of all sizes."""
    return f"{value:.3g}".replace("-", "−")


def _in_points(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
