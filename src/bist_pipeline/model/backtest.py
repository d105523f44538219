"""What the forecasts of all folds were worth: every model on the same rows, with how sure that is."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bist_pipeline.errors import InsufficientDataError
from bist_pipeline.model import metrics
from bist_pipeline.model.bootstrap import draw_weights, interval
from bist_pipeline.model.intervals import Values
from bist_pipeline.model.portfolio import ROUND_TRIP_COST, accumulate, compute_turnover, deduct_costs
from bist_pipeline.model.walk_forward import BLEND, LOW_VOLATILITY, MODELS

# Bars for a model worth publishing; a rank IC or an R² above these would be too good to be true.
MIN_RANK_IC, MAX_RANK_IC, MAX_R2 = 0.10, 0.20, 0.05
MIN_T, MIN_POSITIVE, MIN_SPREAD = 4.0, 0.85, 0.05
POOLED_WITHIN, QUINTILE_WITHIN = 0.03, 0.05


@dataclass(frozen=True)
class Check:
    """One figure of the blend against its bar; `low` and `high` are None where there is no such bound."""

    name: str
    value: float | None
    low: float | None
    high: float | None

    @property
    def is_met(self) -> bool:
        """Whether the figure lies within its bounds; one that is not known does not."""
        if self.value is None:
            return False
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)


@dataclass(frozen=True)
class Curves:
    """What the plots show; lists have one value per test session.

    Parameters
    ----------
    sessions : tuple of str
        ISO dates.
    rank_ic : mapping of str to list
        Per model; None where a session has none.
    deciles : mapping of str to list
        Per model the mean excess over the horizon of each tenth by score, worst tenth first.
    top20, top20_net : mapping of str to list
        Per model the running sum of the 20 best shares' excess, before and after costs.
    """

    sessions: tuple[str, ...]
    rank_ic: Mapping[str, list[float | None]]
    deciles: Mapping[str, list[float]]
    top20: Mapping[str, list[float]]
    top20_net: Mapping[str, list[float]]


@dataclass(frozen=True)
class BacktestResult:
    """Figures of one walk-forward.

    Parameters
    ----------
    horizon : int
        Sessions that the forecasts look ahead.
    first, last : str
        First and last test session.
    dates, symbols, rows, all_rows : int
        Test sessions, shares and rows judged; the rows that could not be traded included.
    independent_quarters : float
        How many horizons without overlap the test sessions span.
    cost : float
        Round-trip cost of a replaced share that the net figures pay.
    models, models_all_rows : mapping
        Model to figures, on tradable rows and on all of them; None where a model has no such figure.
    by_year : mapping
        Model to year to mean daily rank IC.
    coverage : mapping
        Of the blend's interval: `nominal`, `pooled` with its `_ci`, and `by_vol_quintile`, calmest first.
    advantage : mapping
        Other model to the blend's lead over it in rank IC, with its interval.
    checks : tuple of Check
        The figures that have a bar.
    curves : Curves
    """

    horizon: int
    first: str
    last: str
    dates: int
    symbols: int
    rows: int
    all_rows: int
    independent_quarters: float
    cost: float
    models: Mapping[str, Mapping[str, Any]]
    models_all_rows: Mapping[str, Mapping[str, Any]]
    by_year: Mapping[str, Mapping[str, float]]
    coverage: Mapping[str, Any]
    advantage: Mapping[str, Mapping[str, Any]]
    checks: tuple[Check, ...]
    curves: Curves

    def as_rows(self) -> list[dict[str, Any]]:
        """Return a row for each ranking, best first, as the table `backtests` keeps it."""
        shared = {
            "horizon_sessions": self.horizon,
            "first_session": dt.date.fromisoformat(self.first),
            "last_session": dt.date.fromisoformat(self.last),
            "dates": self.dates,
            "symbols": self.symbols,
            "independent": self.independent_quarters,
        }
        return [{**shared, **self._figures_of(name)} for name in self.models]

    def _figures_of(self, name: str) -> dict[str, Any]:
        figures, lead = self.models[name], self.advantage.get(name, {})
        plain = (
            "rank_ic",
            "nw_t",
            "ic_positive",
            "spread_quarter",
            "top20_quarter",
            "top20_net_quarter",
            "r2",
        )
        bounds = {
            "rank_ic": figures.get("rank_ic_ci"),
            "spread": figures.get("spread_quarter_ci"),
            "lead": lead.get("rank_ic_ci"),
        }
        ends = {
            f"{figure}_{end}": None if found is None else found[place]
            for figure, found in bounds.items()
            for place, end in enumerate(("lower", "upper"))
        }
        return {
            "ranking": name,
            **{figure: figures[figure] for figure in plain},
            **ends,
            "coverage": self.coverage["pooled"] if name == BLEND else None,
            "lead_ic": lead.get("rank_ic"),
            "by_year": dict(self.by_year[name]),
        }

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types, without the curves."""
        facts = {name: value for name, value in vars(self).items() if name != "curves"}
        return {**facts, "checks": [{**asdict(check), "is_met": check.is_met} for check in self.checks]}


def judge(forecasts: pd.DataFrame, *, horizon: int, step: int, nominal: float) -> BacktestResult:
    """Judge the forecasts of all folds.

    Parameters
    ----------
    forecasts : DataFrame
        `session, symbol, tradable, excess, volatility`, a score per model of `MODELS` (the blend and low
        volatility at least), and the blend's `expected_excess_return, lower, upper`. A share that a model has
        no score for is in its middle.
    horizon : int
        Sessions the excess runs over.
    step : int
        Trading sessions from one test session to the next.
    nominal : float
        Share of results that ``[lower, upper]`` should hold.

    Raises
    ------
    InsufficientDataError
        If no share could be traded, or no session has a rank IC.
    """
    lag = math.ceil(horizon / step)
    tradable = forecasts[forecasts["tradable"]]
    if tradable.empty:
        raise InsufficientDataError(
            f"None of {len(forecasts)} forecasts is of a tradable share.",
            consequence="There is nothing to judge.",
            next_step="load more shares or a longer history",
        )
    names = [name for name in MODELS if name in forecasts]
    judged = {name: _Model(_rows_of(tradable, name), horizon=horizon, lag=lag) for name in names}
    all_rows = {name: _Model(_rows_of(forecasts, name), horizon=horizon, lag=lag) for name in names}
    metrics.summarise_daily(judged[BLEND].daily, lag=lag)  # refuses forecasts without any order
    models = {name: model.figures() for name, model in judged.items()}
    by_year = {name: model.by_year() for name, model in judged.items()}
    coverage = {
        "nominal": nominal,
        **judged[BLEND].coverage(),
        "by_vol_quintile": metrics.coverage_by_quintile(tradable, "volatility"),
    }
    advantage = {name: judged[BLEND].lead(judged[name]) for name in names if name != BLEND}
    days = tradable["session"].drop_duplicates().sort_values()
    return BacktestResult(
        horizon=horizon,
        first=str(days.iloc[0].date()),
        last=str(days.iloc[-1].date()),
        dates=len(days),
        symbols=tradable["symbol"].nunique(),
        rows=len(tradable),
        all_rows=len(forecasts),
        independent_quarters=len(days) * step / horizon,
        cost=ROUND_TRIP_COST,
        models=models,
        models_all_rows={name: model.figures() for name, model in all_rows.items()},
        by_year=by_year,
        coverage=coverage,
        advantage=advantage,
        checks=_check(models[BLEND], by_year[BLEND], coverage, advantage[LOW_VOLATILITY]["rank_ic"]),
        curves=_curves(judged, tradable, days, horizon=horizon, lag=lag),
    )


class _Model:
    """One model on one set of rows."""

    def __init__(self, rows: pd.DataFrame, *, horizon: int, lag: int) -> None:
        self._lag = lag
        self.daily = metrics.compute_daily(rows, horizon=horizon)
        self.turnover = compute_turnover(rows, lag=lag)
        self.daily["net"] = deduct_costs(self.daily["top20"], self.turnover * metrics.QUARTER / horizon)

    def figures(self) -> dict[str, Any]:
        """Figures, each with its interval as `…_ci` where the sessions suffice for one.

        A model that tells no shares apart on any session has neither.
        """
        if self.daily["rank_ic"].isna().all():
            return dict.fromkeys((*_FIGURES, *_TOP20))
        renewals = self.turnover.iloc[self._lag :]
        plain = metrics.summarise_daily(self.daily, lag=self._lag)
        plain |= {"top20_net_quarter": float(self.daily["net"].mean()), "top20_turnover": renewals.mean()}
        figures = {name: _known(plain.get(name)) for name in (*_FIGURES, *_TOP20)}
        weights = _weights(len(self.daily), self._lag)
        if weights is None:
            return figures
        drawn = metrics.average(self.daily, weights)
        drawn["top20_net_quarter"] = metrics.mean(self.daily["net"], weights)
        return figures | {f"{name}_ci": list(interval(drawn[name])) for name in figures if name in drawn}

    def by_year(self) -> dict[str, float]:
        """Mean daily rank IC of each calendar year."""
        ic = self.daily["rank_ic"].dropna()
        years = pd.DatetimeIndex(ic.index).year
        return {str(year): float(value) for year, value in ic.groupby(years).mean().items()}

    def lead(self, other: _Model) -> dict[str, Any]:
        """Mean lead in daily rank IC over another model, with its interval."""
        lead = self.daily["rank_ic"] - other.daily["rank_ic"]
        weights = _weights(len(lead), self._lag)
        if weights is None or lead.isna().all():
            return {"rank_ic": _known(lead.mean())}
        return {"rank_ic": float(lead.mean()), "rank_ic_ci": list(interval(metrics.mean(lead, weights)))}

    def coverage(self) -> dict[str, Any]:
        """Share of results inside the interval, with the interval of that share."""
        weights = _weights(len(self.daily), self._lag)
        pooled = {"pooled": float(self.daily["inside"].sum() / self.daily["rows"].sum())}
        if weights is None:
            return pooled
        return {**pooled, "pooled_ci": list(interval(metrics.average(self.daily, weights)["coverage"]))}


_FIGURES = (
    *("rank_ic", "icir", "nw_t", "ic_positive", "spread_quarter", "top20_quarter"),
    *("r2", "mae_excess", "mae_zero"),
)
_TOP20 = ("top20_net_quarter", "top20_turnover")


def _rows_of(forecasts: pd.DataFrame, model: str) -> pd.DataFrame:
    """One model's forecasts: all of them have a score, only the blend an expected excess and an interval."""
    score = forecasts[model]
    middle = score.groupby(forecasts["session"]).transform("median")
    columns = ["session", "symbol", "excess"]
    if model == BLEND:
        columns += ["expected_excess_return", "lower", "upper"]
    return forecasts[columns].assign(score=score.fillna(middle).fillna(0.0))


def _weights(sessions: int, lag: int) -> Values | None:
    # From fewer than two blocks every draw is the same series turned round.
    return draw_weights(sessions, block=lag) if sessions >= 2 * lag else None


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _check(
    blend: Mapping[str, Any], by_year: Mapping[str, float], coverage: Mapping[str, Any], lead: float | None
) -> tuple[Check, ...]:
    nominal, quintiles = coverage["nominal"], coverage["by_vol_quintile"]
    worst = max(quintiles, key=lambda share: abs(share - nominal), default=None)
    within = [(nominal - width, nominal + width) for width in (POOLED_WITHIN, QUINTILE_WITHIN)]
    return (
        Check("rank_ic", blend["rank_ic"], MIN_RANK_IC, MAX_RANK_IC),
        Check("lead", lead, 0.0, None),
        Check("nw_t", blend["nw_t"], MIN_T, None),
        Check("ic_positive", blend["ic_positive"], MIN_POSITIVE, None),
        Check("worst_year", min(by_year.values()), 0.0, None),
        Check("spread_quarter", blend["spread_quarter"], MIN_SPREAD, None),
        Check("coverage", coverage["pooled"], *within[0]),
        Check("worst_quintile", worst, *within[1]),
        Check("r2", blend["r2"], None, MAX_R2),
    )


def _curves(
    judged: Mapping[str, _Model], tradable: pd.DataFrame, days: pd.Series, *, horizon: int, lag: int
) -> Curves:
    def running(column: str) -> dict[str, list[float]]:
        scale = horizon / metrics.QUARTER
        return {
            name: [float(value) for value in accumulate(model.daily[column] * scale, lag=lag)]
            for name, model in judged.items()
        }

    return Curves(
        sessions=tuple(str(day.date()) for day in days),
        rank_ic={name: [_known(ic) for ic in model.daily["rank_ic"]] for name, model in judged.items()},
        deciles={name: metrics.decile_returns(_rows_of(tradable, name)) for name in judged},
        top20=running("top20"),
        top20_net=running("net"),
    )
