"""The backtest as one HTML page: Turkish and English, no script, nothing from other hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bist_pipeline.model.backtest import BacktestResult, Check
from bist_pipeline.model.walk_forward import BLEND, LOW_VOLATILITY, MODELS
from bist_pipeline.reports import backtest_charts as charts
from bist_pipeline.reports.page import as_percent, open_environment

# Each text in English and Turkish.
MODEL_NAMES = {
    "blend": ("This model (blend)", "Bu model (karma)"),
    "lightgbm": ("– its LightGBM part", "– LightGBM bileşeni"),
    "ridge": ("– its Ridge part", "– Ridge bileşeni"),
    "low_vol_126": ("Low volatility, 126 sessions", "Düşük oynaklık, 126 seans"),
    "momentum_252_21": ("Momentum, 252 less 21 sessions", "Momentum, 252 eksi 21 seans"),
    "reversal_21": ("Reversal, 21 sessions", "Geri dönüş, 21 seans"),
    "random": ("Random order", "Rastgele sıra"),
    "qlib_lightgbm": ("LightGBM with Qlib's settings", "Qlib ayarlarıyla LightGBM"),
}
CHECKS = {
    "rank_ic": (
        "Mean daily rank IC (above 0.20 would mean that it saw the future)",
        "Ortalama günlük sıra IC (0,20 üzeri, geleceği gördüğü anlamına gelir)",
    ),
    "lead": ("Lead over plain low volatility, in rank IC", "Yalın düşük oynaklığa göre üstünlük, sıra IC"),
    "nw_t": ("Newey-West t of the rank IC", "Sıra IC'nin Newey-West t değeri"),
    "ic_positive": ("Share of dates with a rank IC above zero", "Sıra IC'si sıfırın üzerinde olan günler"),
    "worst_year": ("Rank IC of the worst year", "En kötü yılın sıra IC'si"),
    "spread_quarter": (
        "Best minus worst tenth, a quarter",
        "En iyi ile en kötü onda bir arasındaki fark, çeyrek başına",
    ),
    "coverage": ("Results inside the 80 % interval", "%80 aralığının tuttuğu sonuçlar"),
    "worst_quintile": (
        "… in the volatility fifth where that is furthest off",
        "… oynaklığa göre en çok sapan beşte birde",
    ),
    "r2": (
        "R² of the excess (above 0.05 would be suspicious)",
        "Fazla getirinin R² değeri (0,05 üzeri kuşku uyandırır)",
    ),
}
_FRACTIONS = {"ic_positive", "spread_quarter", "coverage", "worst_quintile"}
_CHANCE = (
    "No skill shown: its order of the shares was no better than chance. Do not use these ranks.",
    "Beceri kanıtlanmadı: hisseleri sıralaması şanstan iyi değildi. Bu sıralamayı kullanmayın.",
)
_LEAK = (
    "Too good to be true: figures like these mean that the model saw the future. Find the leak first.",
    "Gerçek olamayacak kadar iyi: böyle sayılar modelin geleceği gördüğünü gösterir. Önce sızıntıyı bulun.",
)
_BEATS = (
    "It ranks shares better than chance, and better than plain low volatility on the same rows.",
    "Hisseleri şanstan ve aynı satırlarda yalın düşük oynaklıktan daha iyi sıralıyor.",
)
_LEVEL = (
    "It ranks shares better than chance; its lead over plain low volatility is within what chance can do.",
    "Hisseleri şanstan iyi sıralıyor; yalın düşük oynaklığa üstünlüğü ise şansla açıklanabilir.",
)
_BEHIND = (
    "It ranks shares better than chance, but plain low volatility did better on the same rows.",
    "Hisseleri şanstan iyi sıralıyor, ancak aynı satırlarda yalın düşük oynaklık daha iyiydi.",
)


def render_backtest(
    result: BacktestResult, effects: pd.DataFrame, *, source: str, folds: Sequence[Mapping[str, Any]]
) -> str:
    """Lay out the report; the same values always give the same page.

    Parameters
    ----------
    result : BacktestResult
    effects : DataFrame
        `feature, effect, value` of the newest test session's shares, from `RankForecaster`; may be empty.
    source : str
        Name of the data source.
    folds : sequence of mapping
        `number, train_first, train_last, test_first, test_last`.
    """
    environment = open_environment()
    environment.filters |= {"figure": _figure, "range": _range}
    page = environment.get_template("backtest.html")
    return page.render(
        result=result,
        source=source,
        folds=folds,
        verdict=_verdict(result),
        models=MODELS,
        blend=result.models[BLEND],
        years=sorted(result.by_year[BLEND]),
        ranked=rank_effects(effects),
        effects=effects,
        charts=charts,
        MODEL_NAMES=MODEL_NAMES,
        CHECKS=CHECKS,
        measured=_measured,
        bound=_bound,
    )


def rank_effects(effects: pd.DataFrame, *, top: int = 15) -> list[tuple[str, float]]:
    """Features by their mean absolute effect on the score, largest first."""
    sizes = effects["effect"].abs().groupby(effects["feature"]).mean()
    strongest = sizes.sort_values(ascending=False, kind="stable").head(top)
    return [(str(name), float(size)) for name, size in strongest.items()]


def _verdict(result: BacktestResult) -> tuple[str, tuple[str, str]]:
    """Class of the chip, and one sentence in both languages."""
    blend, lead = result.models[BLEND], result.advantage[LOW_VOLATILITY]
    is_met = {check.name: check.is_met for check in result.checks}
    if blend["rank_ic"] > 0.20 or (blend["r2"] or 0.0) > 0.05:
        return "BLOCK", _LEAK
    if blend["rank_ic"] <= 0 or (blend["nw_t"] or 0.0) < 2:
        return "BLOCK", _CHANCE
    if lead["rank_ic"] < 0:
        return "AMBER", _BEHIND
    is_sure = lead.get("rank_ic_ci", [0.0])[0] > 0
    return ("OK" if all(is_met.values()) else "AMBER"), _BEATS if is_sure else _LEVEL


def _measured(check: Check) -> str:
    return _write(check.name, check.value)


def _bound(check: Check) -> str:
    low, high = _write(check.name, check.low), _write(check.name, check.high)
    if check.low is None:
        return f"≤ {high}"
    return f"≥ {low}" if check.high is None else f"{low.removesuffix(' %')} … {high}"


def _write(name: str, value: float | None) -> str:
    if value == 0:
        return "0"
    if name in _FRACTIONS:
        return as_percent(value)
    return _figure(value, "t" if name == "nw_t" else "rank_ic")


# How a figure is written, by kind.
_FORMS = {"rank_ic": "{:+.3f}", "t": "{:.1f}", "ratio": "{:.2f}", "share": "{:.0%}", "change": "{:+.1%}"}


def _figure(value: float | None, kind: str) -> str:
    if value is None:
        return "–"
    return _FORMS[kind].format(value).replace("-", "−").replace("%", " %")


def _range(bounds: Sequence[float], kind: str) -> str:
    low, high = (_figure(bound, kind).removesuffix(" %") for bound in bounds)
    return f"{low} … {high}"
