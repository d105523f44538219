"""The data-health report as one HTML page: Turkish and English, no script, nothing from other hosts."""

from __future__ import annotations

from jinja2 import Environment

from bist_pipeline.drift.findings import Finding, QualityReport
from bist_pipeline.market.health_report import FIGURES, HealthReport
from bist_pipeline.reports import charts
from bist_pipeline.reports.page import as_percent, group_digits, open_environment

# Each text in English and Turkish.
STATUSES = {
    "OK": ("fine", "uygun"),
    "INFO": ("note", "not"),
    "INSUFFICIENT_HISTORY": ("not judged", "değerlendirilemedi"),
    "AMBER": ("warning", "uyarı"),
    "BLOCK": ("blocked", "engel"),
}
VERDICTS = {
    "BLOCK": (
        "Not fit to be scored. Scoring stops here; the ranks published before stay in use.",
        "Puanlanmaya uygun değil. Puanlama durdu; önceden yayımlanan sıralama geçerliliğini koruyor.",
    ),
    "AMBER": ("Fit to be scored, with a warning.", "Puanlanabilir, ancak bir uyarı var."),
    "INSUFFICIENT_HISTORY": (
        "Fit to be scored, as far as so short a history can tell.",
        "Bu kadar kısa bir geçmişin gösterdiği kadarıyla puanlanabilir.",
    ),
}
FIT = ("Fit to be scored.", "Puanlanabilir.")
QUALITY_RULES = {
    "rows": ("Shares with a price, against a usual day", "Fiyatı olan hisseler, olağan bir güne göre"),
    "columns": ("Price columns without content", "İçi boş fiyat sütunları"),
    "missing_values": ("Missing values in the worst column", "En eksik sütundaki boş değerler"),
    "unchanged": (
        "Shares that repeat price and volume of the session before",
        "Fiyatı ve hacmi önceki seansın aynısı olan hisseler",
    ),
    "moves": ("Shares beyond the exchange's price limit", "Borsanın fiyat sınırını aşan hisseler"),
    "volume": (
        "Shares that traded nothing, or under 5 % of their usual",
        "Hiç ya da olağanın %5'inden az işlem gören hisseler",
    ),
    "young": ("Shares listed for less than half a year", "Yarım yıldan kısa süredir işlem gören hisseler"),
}
REFUSALS = {
    "session_missing": ("Without a date", "Tarihi olmayan"),
    "symbol_malformed": ("The symbol cannot be one", "Geçersiz hisse kodu"),
    "in_the_future": ("Dated in the future", "Gelecek tarihli"),
    "not_a_session": ("On a day without trading", "İşlem yapılmayan bir güne ait"),
    "close_missing": ("Without a close", "Kapanış fiyatı olmayan"),
    "price_not_finite": ("With an infinite price", "Sonsuz fiyatlı"),
    "price_absurd": ("With a price beyond all bounds", "Olanaksız büyüklükte fiyatlı"),
    "volume_absurd": ("With a negative or impossible volume", "Eksi ya da olanaksız hacimli"),
    "repeated_row": ("Repeated word for word", "Aynen yinelenen"),
    "duplicate_key": ("Contradicting another row of the same day", "Aynı güne ait başka bir kayıtla çelişen"),
}
REPAIRS = {
    "not_a_session": (
        "Bars on days without trading: left out",
        "İşlem olmayan güne ait kayıt: dışarıda bırakıldı",
    ),
    "non_positive_price": ("Zero or negative price: bar left out", "Sıfır ya da eksi fiyat: kayıt çıkarıldı"),
    "thin_session": (
        "Session with bars for fewer than half of the shares: left out",
        "Hisselerin yarısından azı için veri olan seans: çıkarıldı",
    ),
    "repeated_bar": (
        "Close and volume of the session before again: bar left out",
        "Önceki seansın kapanışı ve hacmi aynen: kayıt çıkarıldı",
    ),
    "crossed_bar": (
        "High or low that does not enclose open and close: widened",
        "Açılış ve kapanışı içermeyen en yüksek/en düşük: genişletildi",
    ),
    "zero_volume": ("Zero volume: taken as missing", "Sıfır hacim: eksik sayıldı"),
    "move_beyond_limit": (
        "Move beyond twice the price limit: set aside, the market's median in its place",
        "Fiyat sınırının iki katını aşan değişim: ayrıldı, yerine piyasanın medyanı kondu",
    ),
    "filled_forward": (
        "No bar for up to 5 sessions: last close carried on, flagged",
        "En çok 5 seans kayıt yok: son kapanış sürdürüldü, işaretlendi",
    ),
    "suspended": ("Listed but not traded: flagged", "Kote ama işlem görmedi: işaretlendi"),
    "limit_locked": (
        "Close locked at the price limit: flagged",
        "Kapanış fiyat sınırında kilitli: işaretlendi",
    ),
}
FIGURE_NAMES = {
    "day_change": ("Change on the day", "Günlük değişim"),
    "quarter_change": ("Change over three months", "Üç aylık değişim"),
    "day_range": ("High over low on the day", "Gün içi aralık"),
    "volatility": ("Volatility a day", "Günlük oynaklık"),
    "traded_value": ("Traded value, million TRY", "İşlem hacmi, milyon TL"),
    "volume_to_usual": ("Volume against usual", "Olağana göre hacim"),
}
MOVES = {"beyond_limit": ("set aside", "ayrıldı"), "at_limit": ("at the limit", "sınırda"), "": ("", "")}
COLUMNS = {
    "open": ("Open", "Açılış"),
    "high": ("High", "En yüksek"),
    "low": ("Low", "En düşük"),
    "close": ("Close", "Kapanış"),
    "volume": ("Volume", "Hacim"),
    "volume_zero": ("Volume of zero", "Sıfır hacim"),
}


def render_health(health: HealthReport, quality: QualityReport, *, source: str) -> str:
    """Lay out the report of one session; the same values always give the same page.

    Parameters
    ----------
    health : HealthReport
    quality : QualityReport
        What the rules that decide about scoring found, on the same session.
    source : str
        Name of the data source.
    """
    page = _environment().get_template("health.html")
    return page.render(
        health=health,
        quality=quality,
        source=source,
        verdict=VERDICTS.get(quality.status.value, FIT),
        distributions=[d for d in health.distributions if d.shares],
        figure_of={d.figure: d for d in health.distributions},
    )


def _environment() -> Environment:
    environment = open_environment()
    environment.filters |= {"times": _times, "amount": _amount, "tint": _tint}
    texts = {"STATUSES": STATUSES, "QUALITY_RULES": QUALITY_RULES, "REFUSALS": REFUSALS, "REPAIRS": REPAIRS}
    names = {"FIGURE_NAMES": FIGURE_NAMES, "FIGURES": list(FIGURES), "MOVES": MOVES, "COLUMNS": COLUMNS}
    environment.globals |= {**texts, **names, "charts": charts, "measured": _measured, "bound": _bound}
    return environment


def _measured(finding: Finding) -> str:
    return _quantity(finding, finding.value)


def _bound(finding: Finding) -> str:
    sign = "≥" if finding.rule == "rows" else "≤"
    return "–" if finding.threshold is None else f"{sign} {_quantity(finding, finding.threshold)}"


def _quantity(finding: Finding, value: float | None) -> str:
    return f"{value:g}" if finding.rule == "columns" and value is not None else as_percent(value)


def _times(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{group_digits(ratio)} ×"


def _amount(value: float, unit: str) -> str:
    if unit == "fraction":
        return as_percent(value)
    return _times(value) if unit == "times" else group_digits(value / 1e6)


def _tint(correlation: float | None) -> str:
    """Class of a cell's colour: from `n5` over `p0` to `p5`."""
    if correlation is None:
        return ""
    return f"{'n' if correlation < 0 else 'p'}{round(5 * abs(correlation))}"
