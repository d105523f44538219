"""What can be made to go wrong with the invented market, by name: for tests, and to see what a monitor sees.

Deterministic quality rules find the first six on their first day. The last two are a change of the market's
ways, which only statistics can tell from chance. Each is a function of the market and of the row from which
on it applies: what is earlier stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bist_pipeline.contracts import PRICE_COLUMNS
from bist_pipeline.market.limits import compute_price_limits
from bist_pipeline.sources.invented_market import Market, Matrix, build_market, daily_drift

_PRICES = PRICE_COLUMNS[:-1]
_LOT = 100
_SURGE = 0.3
_NEWCOMERS = 0.2
# Newcomers are shares of another invented market; Turkish has no W either.
_OTHER_SEED, _NEWCOMER_ENDING = 10_000, "W"


def inject_fault(market: Market) -> Market:
    """Apply the fault that the market's settings name, from `fault_from` or else in the newest session."""
    settings = market.settings
    if not settings.fault:
        return market
    since = np.datetime64(settings.fault_from or market.sessions[-1], "D")
    first = int(np.searchsorted(market.sessions, since))
    return FAULTS[settings.fault](market, first) if first < len(market.sessions) else market


def unit_change_x10(market: Market, first: int) -> Market:
    """Quote all prices in another unit."""
    return _with_bars(market, first, {name: market.bars[name] * 10 for name in _PRICES})


def volume_in_lots(market: Market, first: int) -> Market:
    """Count the volume in lots of 100 shares."""
    return _with_bars(market, first, {"volume": np.floor(market.bars["volume"] / _LOT)})


def stale_feed(market: Market, first: int) -> Market:
    """Repeat the last bars before the fault, session after session."""
    last = max(first - 1, 0)
    return _with_bars(market, first, {name: market.bars[name][[last]] for name in PRICE_COLUMNS})


def missing_column(market: Market, first: int) -> Market:
    """Deliver no volume."""
    return _with_bars(market, first, {"volume": np.full((1, 1), np.nan)})


def nan_surge(market: Market, first: int) -> Market:
    """Deliver three bars in ten with nothing but close and volume."""
    shape = (len(market.sessions) - first, len(market.symbols))
    draws = np.random.default_rng([market.settings.seed, *b"nan_surge"]).random(shape)
    hidden = np.concatenate([np.zeros((first, shape[1]), bool), draws < _SURGE])
    names = ("open", "high", "low")
    return _with_bars(market, first, {name: np.where(hidden, np.nan, market.bars[name]) for name in names})


def ipo_wave(market: Market, first: int) -> Market:
    """List as many new shares as a fifth of the old ones, all at once."""
    settings = market.settings
    count = int(np.ceil(_NEWCOMERS * len(market.symbols)))
    other = build_market(
        settings.model_copy(update={"seed": settings.seed + _OTHER_SEED, "symbols": count}),
        market.sessions,
        market.half_days,
    )
    unlisted = (np.arange(len(market.sessions)) < first)[:, None]
    symbols = np.array([f"{symbol[:-1]}{_NEWCOMER_ENDING}" for symbol in other.symbols])
    symbols = np.concatenate([market.symbols, symbols])
    order = np.argsort(symbols)

    def join(old: Matrix, new: Matrix) -> Matrix:
        both = np.concatenate([old, new], axis=1)
        return both.take(order, axis=1)

    def join_listed(old: Matrix, new: Matrix) -> Matrix:
        return join(old, np.where(unlisted, np.nan, new))

    return replace(
        market,
        symbols=symbols[order],
        sectors=np.concatenate([market.sectors, other.sectors])[order],
        bars={name: join_listed(market.bars[name], other.bars[name]) for name in PRICE_COLUMNS},
        total_return=join(market.total_return, other.total_return),
        expected=join_listed(market.expected, other.expected),
    )


def volatility_x2(market: Market, first: int) -> Market:
    """Double every move, as far as the price limits let it."""
    limits = compute_price_limits(market.sessions)[:, None]
    return _with_moves(market, first, np.clip(2 * _moves(market), -limits, limits))


def sign_flip(market: Market, first: int) -> Market:
    """Let the market reward the opposite of what it rewarded before."""
    flips = (np.arange(len(market.sessions)) >= first - 1)[:, None]
    drift = daily_drift(market.settings) * np.nan_to_num(market.expected[:-1])
    moves = _moves(market)
    moves[1:] = (1 + moves[1:]) * np.exp(-2 * drift) - 1
    flipped = _with_moves(market, first, moves)
    return replace(flipped, expected=np.where(flips, -market.expected, market.expected))


FAULTS: dict[str, Callable[[Market, int], Market]] = {
    fault.__name__: fault
    for fault in (
        *(unit_change_x10, volume_in_lots, stale_feed, missing_column),
        *(nan_surge, ipo_wave, volatility_x2, sign_flip),
    )
}


def _with_bars(market: Market, first: int, changed: dict[str, Matrix]) -> Market:
    """Change bars from row `first` on."""
    is_later = (np.arange(len(market.sessions)) >= first)[:, None]
    later = {name: np.where(is_later, values, market.bars[name]) for name, values in changed.items()}
    return replace(market, bars={**market.bars, **later})


def _moves(market: Market) -> Matrix:
    moves = np.zeros_like(market.total_return)
    moves[1:] = market.total_return[1:] / market.total_return[:-1] - 1
    return moves


def _with_moves(market: Market, first: int, moves: Matrix) -> Market:
    """Let prices take another way from row `first` on; as much money changes hands."""
    start = max(first, 1)
    worth = market.total_return.copy()
    worth[start:] = worth[start - 1] * np.cumprod(1 + moves[start:], axis=0)
    ratio = worth / market.total_return
    bars: dict[str, Matrix] = {name: (market.bars[name] * ratio).round(4) for name in _PRICES}
    bars["volume"] = (market.bars["volume"] / ratio).round()
    return replace(_with_bars(market, start, bars), total_return=worth)
