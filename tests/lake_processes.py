"""What tests of the lake run in processes of their own: a writer among others, and an ingest that is killed.

python -m tests.lake_processes write URL FIRST_DAY
python -m tests.lake_processes ingest HOME SESSION
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd

from bist_pipeline.calendar import bist_calendar
from bist_pipeline.config import Settings, SyntheticSettings
from bist_pipeline.lake import Lake
from bist_pipeline.stages.ingest import ingest

WRITES = 8


def write(url: str, first: str) -> None:
    """Write some sessions, one at a time, when told to go; say of each when it is in."""
    lake = Lake(url)
    say("ready")
    sys.stdin.readline()
    for day in pd.date_range(first, periods=WRITES):
        rows = pd.DataFrame({"session": day, "symbol": ["GARAN", "THYAO"], "close": [1.0, 2.0]})
        lake.write("prices", rows, covers=(day.date(), day.date()))
        say(str(day.date()))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def small_market(home: Path) -> Settings:
    """Settings of a market that is ingested in a moment."""
    market = SyntheticSettings(symbols=40, first_session=dt.date(2024, 6, 3))
    return Settings(home=home, synthetic=market)


def ingest_with_kills(home: Path, session: dt.date) -> None:
    """Ingest in copies of a home, killed at the first, second, … change of the lake, until one finishes."""
    bist_calendar()  # loaded once, for all children
    copies = (home.with_name(f"killed-{step:02}") for step in itertools.count(1))
    for step, copy in enumerate(copies, start=1):
        shutil.copytree(home, copy)
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            if status == 0:
                return
        else:
            kill_at(step, copy / "lake")
            ingest(small_market(copy), session)
            os._exit(0)


def kill_at(step: int, folder: Path) -> None:
    """Kill this process when it is about to change the folder, and when a new file has its first bytes."""
    steps = itertools.count(1)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        is_new_file = event == "open" and str(arguments[1])[0] in "wx"
        is_change = is_new_file or event in ("os.link", "os.rename", "os.remove", "os.mkdir")
        if not is_change or not str(arguments[0]).startswith(str(folder)):
            return
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if is_new_file and next(steps) == step:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    sys.addaudithook(watch)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", url, first]:
            write(url, first)
        case ["ingest", home, session]:
            ingest_with_kills(Path(home), dt.date.fromisoformat(session))
