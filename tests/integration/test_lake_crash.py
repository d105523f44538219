"""An ingest that is killed leaves the old or the new version, wherever it was."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from bist_pipeline.lake import content_hash, open_lake
from bist_pipeline.stages.ingest import ingest
from tests.lake_processes import small_market

ROOT = Path(__file__).parents[2]
BEFORE, SESSION = dt.date(2024, 6, 27), dt.date(2024, 6, 28)


@pytest.mark.slow
@pytest.mark.integration
def test_a_killed_ingest_leaves_the_old_or_the_new_version(tmp_path):
    home = tmp_path / "home"
    old = ingest(small_market(home), BEFORE).data_hash

    command = [sys.executable, "-m", "tests.lake_processes", "ingest", str(home), str(SESSION)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=50)

    *killed, finished = [open_lake(small_market(copy)) for copy in sorted(tmp_path.glob("killed-*"))]
    rows = finished.read("prices")
    new = content_hash(rows)
    found = [content_hash(lake.read("prices")) for lake in killed]
    assert len(found) >= 8
    assert set(found) == {old, new}
    assert [lake.require("prices").hash_until() for lake in killed] == found
    # Nothing that was left behind is in the way of the next one.
    again = [lake.write("prices", rows, covers=(rows["session"].min().date(), SESSION)) for lake in killed]
    assert set(again) == {content_hash(lake.read("prices")) for lake in killed} == {new}
