"""A session of which too many listed shares are missing is refused, and a few suspended shares are not."""

import numpy as np
import pytest

from bist_pipeline.errors import IncompleteSessionError, Policy
from bist_pipeline.market.gaps import require_complete
from tests.small_market import tiny_panel


def panel_without(missing, *, listed=400, since=9):
    """Ten sessions of shares of which the first few have no bar from one session on."""
    close = np.full((10, listed), 10.0)
    close[since:, :missing] = np.nan
    return tiny_panel(close)


@pytest.mark.parametrize(
    ("listed", "missing"),
    [(400, 0), (400, 12), (40, 5), (10, 5)],
    ids=["all there", "3 %", "five of 40", "five of 10"],
)
def test_what_may_be_missing_on_any_day(listed, missing):
    require_complete(panel_without(missing, listed=listed))


@pytest.mark.parametrize(("listed", "missing", "share"), [(400, 13, "96.8"), (40, 6, "85.0")])
def test_more_is_an_error_that_can_be_retried(listed, missing, share):
    panel = panel_without(missing, listed=listed)

    with pytest.raises(IncompleteSessionError) as caught:
        require_complete(panel)

    arrived = f"{listed - missing} of {listed} listed shares arrived ({share}%, need 97.0%)"
    assert arrived in str(caught.value)
    assert caught.value.which == tuple(panel.symbols[:missing])
    assert caught.value.policy is Policy.RETRY
    assert caught.value.next_step == f"bist ingest --session {panel.sessions[-1]} --only-missing"


def test_a_share_gone_for_a_quarter_is_delisted():
    close = np.full((100, 400), 10.0)
    close[40:, :100] = np.nan
    require_complete(tiny_panel(close))

    close[40, :100] = 10.0
    with pytest.raises(IncompleteSessionError, match="300 of 400"):
        require_complete(tiny_panel(close))


def test_the_first_session_of_a_history_has_nothing_to_be_measured_against():
    require_complete(tiny_panel(np.full((1, 400), 10.0)))
