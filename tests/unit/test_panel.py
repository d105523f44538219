import numpy as np
import pandas as pd
import pytest

from bist_pipeline.errors import ContractError
from bist_pipeline.market.panel import build_panel

SESSIONS = np.array(["2024-06-26", "2024-06-27", "2024-06-28"], dtype="datetime64[D]")


def long_prices(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["session", "symbol", "close"])
    frame["session"] = pd.to_datetime(frame["session"])
    for name in ("open", "high", "low"):
        frame[name] = frame["close"]
    return frame.assign(volume=100.0)


def test_rows_in_any_order_find_their_session_and_symbol():
    prices = long_prices(
        ("2024-06-28", "THYAO", 3.0), ("2024-06-26", "AKBNK", 1.0), ("2024-06-27", "THYAO", 2.0)
    )

    panel = build_panel(prices, SESSIONS)

    assert panel.symbols.tolist() == ["AKBNK", "THYAO"]
    np.testing.assert_array_equal(panel.close, [[1, np.nan], [np.nan, 2], [np.nan, 3]])


def test_rows_off_the_calendar_are_counted_and_rows_outside_it_are_not_looked_at():
    prices = long_prices(
        ("2024-06-25", "AKBNK", 1.0), ("2024-06-28", "AKBNK", 1.0), ("2024-06-29", "AKBNK", 1.0),
        ("2024-06-27", "AKBNK", 1.0),
    )  # fmt: skip

    panel = build_panel(prices, np.delete(SESSIONS, 1))

    assert panel.off_calendar == {"AKBNK": 1}
    np.testing.assert_array_equal(panel.close, [[np.nan], [1.0]])


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (long_prices(("2024-06-28", "AKBNK", 1.0), ("2024-06-28", "AKBNK", 2.0)), "AKBNK on 2024-06-28"),
        (long_prices(("2024-06-28", "AKBNK", 1.0)).drop(columns="volume"), "volume"),
        (long_prices(("2020-06-28", "AKBNK", 1.0)), "none of 1 price rows"),
        (long_prices(), "none of 0 price rows"),
    ],
)
def test_a_table_that_is_no_panel_is_refused(prices, message):
    with pytest.raises(ContractError, match=message):
        build_panel(prices, SESSIONS)
