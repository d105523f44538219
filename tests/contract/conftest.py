"""What the tests of several sources share."""

import pandas as pd
import pytest

from bist_pipeline.sources.synthetic import SyntheticSource
from tests.contract.source_contract import CALENDAR, LATE, SMALL


@pytest.fixture(scope="session")
def market() -> pd.DataFrame:
    """Prices of forty shares over a quarter, which every source in these tests holds in its own way."""
    return SyntheticSource(SMALL).fetch(LATE, CALENDAR).prices
