"""How often the drift checks are wrong, and what they find: simulations with fixed seeds beside their bars.

Run `make drift-bars`, or `python -m benchmarks.drift_bars --processes 2`, with `--json` or `--markdown` for
other forms of the table. Every market of `benchmarks.drift_markets` lives a quiet year, then has each fault
from a day of its own; every verdict comes from the functions that the stages call, in the stages' order: the
rules of data quality first, which stop the session, then the break, then the weekly checks, then results.

Where BIST_SHARED_DATA has the real panel, a year and more of its weeks is judged, and its two known bad days.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import drift_real, drift_speed
from benchmarks.drift_markets import (
    HISTORY,
    HORIZON,
    LIFE,
    LOOK_BACK,
    PRICE_FAULTS,
    WATCHED,
    Champion,
    Table,
    crown,
    generate,
    tabulate,
)
from benchmarks.drift_table import Line, as_markdown, as_text, build_lines
from bist_pipeline.drift.breaks import check_break
from bist_pipeline.drift.calibration import MOVE, RELATED_MOVE, SCORE
from bist_pipeline.drift.data_quality import check_session
from bist_pipeline.drift.distribution import check_distribution
from bist_pipeline.drift.performance import DAILY_ICS, check_performance
from bist_pipeline.drift.policy import DAILY, Outcome, build_episodes, is_weekly_due
from bist_pipeline.drift.replays import CURRENT_SESSIONS
from bist_pipeline.drift.status import Check, Status, urgency_of, worst
from bist_pipeline.drift.summary import summarise
from bist_pipeline.drift.wording import NO_ACTION, tell_failure
from bist_pipeline.errors import DriftInputError

MARKETS, SYMBOLS = 24, 120
WEEK = 5
SESSIONS_A_YEAR = 250
# Mean daily rank IC that the bar of the sign flip speaks of.
SKILL = 0.02
ALARMS = (Status.AMBER, Status.RED, Status.ERROR, Status.BLOCK)
HOLDS = (Status.RED, Status.ERROR, Status.BLOCK)
FAULT_DAYS = {
    **dict.fromkeys(("unit_change_x10", "volume_in_lots", "missing_column", "nan_surge"), 1),
    **dict.fromkeys(("stale_feed", "ipo_wave"), 1),
    **dict.fromkeys(("stale_for_some", "volatility_x2"), CURRENT_SESSIONS),
}


def judge_prices(table: Table, day: dt.date, stopped: Collection[dt.date] = ()) -> list[Check]:
    """What stands before everything else: the rules that may block."""
    sessions = table.cleaned.panel.sessions
    quality = check_session(table.prices, session=day, sessions=sessions, stopped=stopped)
    return [Check("data_quality", quality.status, None, None, None, NO_ACTION, NO_ACTION)]


def judge_break(
    champion: Champion,
    table: Table,
    day: dt.date,
    rows: pd.DataFrame | None = None,
    *,
    stopped: Collection[dt.date] = (),
) -> list[Check]:
    """The daily check of features; `rows` stands for the session and the last good one."""
    earlier = table.days[: table.days.index(day)]
    good = next(each for each in reversed(earlier) if each not in stopped)
    newest = pd.concat([table.by_day[good], table.by_day[day]]) if rows is None else rows
    apart = len(earlier) - earlier.index(good)
    record, ages = champion.calibration.breaks, table.ages(day)
    return _refused_as_error(
        "break",
        lambda: check_break(record, newest, WATCHED, ages=ages, session=day, apart=apart).checks,
    )


def judge_week(
    champion: Champion, table: Table, day: dt.date, rows: pd.DataFrame | None = None
) -> list[Check]:
    """The weekly checks of features and scores; `rows` stands for the 21 newest sessions."""
    rows = table.newest(day, CURRENT_SESSIONS) if rows is None else rows
    age = int(np.searchsorted(champion.market.sessions, np.datetime64(day, "D"))) - HISTORY + 1

    @cache
    def score() -> pd.DataFrame:
        return champion.score(rows)

    tables: dict[str, tuple[list[str], Callable[[], pd.DataFrame]]] = {
        "features": (list(WATCHED), lambda: rows),
        "regime": ([MOVE], lambda: rows),
        "regime_change": ([RELATED_MOVE], lambda: rows),
        "scores": ([SCORE], score),
        "score_spread": ([SCORE], score),
    }

    def judge(name: str) -> list[Check]:
        columns, read = tables[name]
        replays, current = getattr(champion.calibration, name), summarise(read(), columns, until=day)
        return [check_distribution(replays, current, name=name, session=day, age_sessions=age).check]

    return [check for name in tables for check in _refused_as_error(name, lambda: judge(name))]  # noqa: B023


def judge_results(reference: np.ndarray, ic: np.ndarray) -> list[Check]:
    """The daily check of results since the champion; a quarter's results would take a year more."""
    checks = check_performance(reference, ic, daily=ic, quarterly=np.empty(0), horizon=HORIZON)
    return list(checks[:2])


def _refused_as_error(name: str, make: Callable[[], Iterable[Check]]) -> list[Check]:
    """As the stages do: what cannot be judged is an ERROR."""
    try:
        return list(make())
    except DriftInputError as error:
        return [Check(name, Status.ERROR, None, None, None, NO_ACTION, tell_failure(error))]


def judge_day(
    champion: Champion, table: Table, day: dt.date, *, is_weekly: bool, stopped: set[dt.date]
) -> list[Check]:
    """Every check of a session, as far as the session gets; where it is stopped it joins `stopped`."""
    checks = judge_prices(table, day, stopped)
    if checks[0].status is Status.BLOCK:
        stopped.add(day)
        return checks
    checks += judge_break(champion, table, day, stopped=stopped)
    if worst(check.status for check in checks) in (Status.RED, Status.BLOCK):
        stopped.add(day)
    return checks + (judge_week(champion, table, day) if is_weekly else [])


def live_quietly(champion: Champion, days: int) -> dict[str, Any]:
    """A year in which nothing happens: alarms are false."""
    sessions = champion.market.sessions
    ic = champion.daily_ic(champion.table, since=champion.session)
    outcomes, last = [], None
    stopped: set[dt.date] = set()
    for day in sessions[HISTORY : HISTORY + days].tolist():
        is_weekly = is_weekly_due(day, sessions=sessions, last=last)
        last = day if is_weekly else last
        # A false alarm is released, but not before the next session was judged without its help.
        stopped = {
            each for each in stopped if each == champion.table.days[champion.table.days.index(day) - 1]
        }
        checks = judge_day(champion, champion.table, day, is_weekly=is_weekly, stopped=stopped)
        known = ic[ic.index < pd.Timestamp(day)].to_numpy()
        checks += judge_results(champion.calibration.daily_ic, known)
        outcomes += [Outcome(day, check.check, check.status, check.message) for check in checks]
    episodes = build_episodes(outcomes, sessions=sessions)
    weekly = [outcome for outcome in outcomes if outcome.check == "features"]
    return {
        "weeks": len(weekly),
        "alarmed_weeks": sum(outcome.status in ALARMS for outcome in weekly),
        "years": days / SESSIONS_A_YEAR,
        "feature_episodes": sum(episode.check == "features" for episode in episodes),
        "daily_red_episodes": sum(e.check in DAILY and e.status is not Status.AMBER for e in episodes),
        "episodes": len(episodes),
        "causes": [f"{e.opened_on} {e.status.value} {e.check}: {e.cause}" for e in episodes],
        "score_weeks": sum(o.check == "scores" and o.status in ALARMS for o in outcomes),
        "mean_daily_ic": float(ic.mean()),
        "reference_ic": float(champion.calibration.daily_ic.mean()),
    }


def meet_faults(champion: Champion, draws: np.random.Generator, names: Sequence[str]) -> dict[str, Any]:
    """Every fault of the prices, each from a day of its own."""
    found = {}
    for name in names:
        days = FAULT_DAYS[name]
        first = HISTORY + int(draws.integers(1, LIFE // 2))
        market = PRICE_FAULTS[name](champion.market, first)
        table = tabulate(market, last=first + days - 1, look_back=LOOK_BACK)
        statuses: dict[str, Status] = {}
        stopped: set[dt.date] = set()
        for i, day in enumerate(market.sessions[first : first + days].tolist(), start=1):
            is_weekly = i % WEEK == 0 or i == CURRENT_SESSIONS
            for check in judge_day(champion, table, day, is_weekly=is_weekly, stopped=stopped):
                statuses[check.check] = worst([check.status, statuses.get(check.check, Status.OK)])
        found[name] = [_describe(statuses)]
    return found


def meet_feature_faults(
    champion: Champion, draws: np.random.Generator, *, trials: int = 4
) -> dict[str, list[dict[str, Any]]]:
    """Faults between the prices and the model: columns that changed places, rows that did."""
    found: dict[str, list[dict[str, Any]]] = {"swapped_columns": [], "shuffled_rows": []}
    for _ in range(trials):
        day = _draw_day(champion, draws)
        rows = champion.table.newest(day, 2)
        is_today = (rows["session"] == pd.Timestamp(day)).to_numpy()
        today = rows.loc[is_today, list(WATCHED)]
        one, other = draws.choice(list(WATCHED), 2, replace=False)
        swapped = today.assign(**{one: today[other], other: today[one]})
        shuffled = pd.DataFrame(draws.permutation(today.to_numpy()), today.index, today.columns)
        for name, broken in (("swapped_columns", swapped), ("shuffled_rows", shuffled)):
            changed = rows.copy()
            changed.loc[is_today, list(WATCHED)] = broken
            checks = judge_break(champion, champion.table, day, changed)
            outcome = _describe({check.check: check.status for check in checks})
            found[name].append({**outcome, "columns": f"{one}, {other}"})
    return found


def hide_values(champion: Champion, draws: np.random.Generator, *, trials: int = 3) -> dict[str, int]:
    """NaN and missing columns: how often the verdict of the day is OK, which it must never be."""
    silent = total = 0
    for name in draws.choice(list(WATCHED), trials, replace=False):
        day = _draw_day(champion, draws)
        rows = champion.table.newest(day, CURRENT_SESSIONS)
        is_today = (rows["session"] == pd.Timestamp(day)).to_numpy()
        some = is_today & (draws.random(len(rows)) < 0.3)
        hidden = [
            rows.assign(**{name: rows[name].mask(where)})
            for where in (is_today, some, np.full(len(rows), fill_value=True))
        ]
        for broken in (*hidden, rows.drop(columns=name)):
            checks = judge_break(champion, champion.table, day, broken.tail(2 * is_today.sum() + WEEK))
            checks += judge_week(champion, champion.table, day, broken)
            status = worst(check.status for check in checks)
            silent += urgency_of(status) <= urgency_of(Status.INFO)
            total += 1
    return {"trials": total, "said_ok": silent}


def turn_round(champion: Champion) -> dict[str, Any]:
    """The order of the scores turns round half a year after training.

    The models find more here than the bar's `SKILL`: their ICs are lowered by the difference, before and
    after the champion, so that the noise is the market's own and the skill is the bar's.
    """
    reference = champion.calibration.daily_ic
    quiet = champion.daily_ic(champion.table, since=champion.session).to_numpy()
    reference, quiet = (ic - ic.mean() + SKILL for ic in (reference, quiet))
    turn = LIFE - DAILY_ICS
    stream = np.concatenate([quiet[:turn], -quiet[turn:]])
    alarm_day = None
    for day in range(turn + 1, len(stream) + 1):
        if any(check.status in ALARMS for check in judge_results(reference, stream[:day])):
            alarm_day = day - turn
            break
    return {"found": alarm_day is not None, "sessions": alarm_day, "mean_daily_ic": SKILL}


def _draw_day(champion: Champion, draws: np.random.Generator) -> dt.date:
    day: dt.date = champion.market.sessions[HISTORY + int(draws.integers(1, LIFE // 2))].item()
    return day


def _describe(statuses: Mapping[str, Status]) -> dict[str, Any]:
    status = worst(statuses.values())
    alarmed = [name for name, found in statuses.items() if found in ALARMS]
    return {
        "found": status in ALARMS,
        "held": status in HOLDS,
        "noted": any(statuses.get(name) is Status.INFO for name in ("regime", "regime_change")),
        "by": alarmed,
    }


def simulate(seed: int, symbols: int, days: int, faults: Sequence[str]) -> dict[str, Any]:
    """All that happens to one market; the same seed, the same outcome."""
    champion = crown(generate(seed, symbols=symbols))
    draws = np.random.default_rng([seed, *b"faults"])
    return {
        "seed": seed,
        "quiet": live_quietly(champion, days),
        "faults": {**meet_faults(champion, draws, faults), **meet_feature_faults(champion, draws)},
        "hidden": hide_values(champion, draws),
        "sign_flip": turn_round(champion),
    }


def run(*, markets: int, symbols: int, days: int, faults: Sequence[str], processes: int) -> dict[str, Any]:
    """Every market, side by side."""
    jobs = [(seed, symbols, days, faults) for seed in range(1, markets + 1)]
    if processes == 1:
        return {"markets": [_simulate_and_tell(job) for job in jobs]}
    # A fresh process for each: LightGBM does not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return {"markets": list(pool.map(_simulate_and_tell, jobs))}


def _simulate_and_tell(job: tuple[int, int, int, Sequence[str]]) -> dict[str, Any]:
    found = simulate(*job)
    print(f"market {job[0]}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object, with every market's outcome")
    parser.add_argument("--markdown", action="store_true", help="a table for the documentation")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--markets", type=int, default=MARKETS)
    options = parser.parse_args()
    found = run(
        markets=options.markets,
        symbols=SYMBOLS,
        days=LIFE,
        faults=list(FAULT_DAYS),
        processes=options.processes,
    )
    lines = build_lines(found["markets"])
    lines += [Line(**fields) for fields in (*drift_real.measure(), *drift_speed.measure())]
    if options.json:
        table = [{**asdict(line), "is_met": line.is_met} for line in lines]
        print(json.dumps({"table": table, **found}, ensure_ascii=False))
    else:
        print((as_markdown if options.markdown else as_text)(lines))
    missed = [line.what for line in lines if not line.is_met]
    if missed:
        sys.exit(f"error: missed: {'; '.join(missed)}. Next: docs/en/drift.md")


if __name__ == "__main__":
    main()
