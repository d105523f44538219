"""One ingest's conversation with Yahoo: who was asked, who answered, and why someone did not."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.progress import track

from bist_pipeline.calendar import TradingCalendar
from bist_pipeline.config import YahooSettings
from bist_pipeline.errors import LakeUnavailableError, SourceContentError, SourceUnavailableError
from bist_pipeline.sources.yahoo.client import YahooClient
from bist_pipeline.sources.yahoo.held import Held

# Large shares that trade in every session: from them it is seen whether Yahoo has a session.
CONTROL_SHARES = ("THYAO", "GARAN", "AKBNK")
CONTROL_SESSIONS = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """Bars of one share, asked for from `since` on; None means its whole history."""

    bars: pd.DataFrame
    since: dt.date | None

    def has(self, session: dt.date) -> bool:
        """Whether there is a price of the session."""
        priced = self.bars.loc[self.bars["close"].notna(), "session"]
        return bool((priced == pd.Timestamp(session)).any())


class UnfinishedAnswers:
    """Answers that are kept on disk as long as others are still to come.

    Parameters
    ----------
    root : Path
        Holds a folder for each session that is unfinished.
    session : date
    """

    def __init__(self, root: Path, session: dt.date) -> None:
        self._root = root
        self._folder = root / str(session)

    def read(self, symbol: str, since: dt.date | None) -> Answer | None:
        """Return the answer to the same question, or the whole history it led to; None if there is none."""
        for start in (None, since):
            # Damaged perhaps, after a power failure.
            with suppress(FileNotFoundError, pa.ArrowInvalid):
                return Answer(pd.read_parquet(self._path(symbol, start)), start)
        return None

    def write(self, symbol: str, answer: Answer) -> None:
        """Keep an answer; raises LakeUnavailableError if the folder cannot be written."""
        path = self._path(symbol, answer.since)
        with writing_below(self._folder):
            answer.bars.to_parquet(path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)

    def clear(self) -> None:
        """Forget all sessions: the one that is finished now replaces what is left of others."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _path(self, symbol: str, since: dt.date | None) -> Path:
        return self._folder / f"{symbol}.{since or 'whole'}.parquet"


@dataclass
class Load:
    """What one ingest asks for, and what came of it.

    Parameters
    ----------
    client : YahooClient
    settings : YahooSettings
    held : Held
        What earlier ingests left.
    until : date
        The session that is wanted.
    calendar : TradingCalendar
    unfinished : UnfinishedAnswers
        Of an earlier try for the same session.
    can_reload : bool
        Whether a share whose history was adjusted anew may be loaded as a whole.
    answers : dict
        By symbol; some perhaps without bars.
    failures : dict
        By symbol, in words.
    """

    client: YahooClient
    settings: YahooSettings
    held: Held
    until: dt.date
    calendar: TradingCalendar
    unfinished: UnfinishedAnswers
    can_reload: bool
    answers: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def reloaded(self) -> set[str]:
        """Shares that were held, and came anew as a whole."""
        whole = {symbol for symbol, answer in self.answers.items() if answer.since is None}
        return {symbol for symbol in whole if not self.held.closes(symbol).empty}

    def run(self, symbols: Sequence[str]) -> None:
        """Ask for the shares that no earlier try has answers of, in small chunks.

        Raises
        ------
        SourceUnavailableError
            If Yahoo stops answering; what arrived is kept.
        """
        self.answers = {symbol: kept for symbol in symbols if (kept := self._kept(symbol))}
        gaps = [symbol for symbol in symbols if symbol not in self.answers]
        size = self.settings.chunk
        for chunk in _with_progress([gaps[i : i + size] for i in range(0, len(gaps), size)]):
            try:
                self._load(chunk)
            except SourceUnavailableError as error:
                rest = self.lacking(symbols)
                raise SourceUnavailableError(
                    f"{len(symbols) - len(rest)} of {len(symbols)} shares arrived from Yahoo. {error.what}",
                    which=rest,
                    consequence="Nothing was ingested; what arrived is kept for the next try.",
                    next_step=f"bist ingest --source yahoo --session {self.until}, in some minutes",
                ) from error
            _log.info("%d of %d shares asked for", len(self.answers) + len(self.failures), len(symbols))
            time.sleep(self.settings.pause_seconds)

    def lacking(self, symbols: Iterable[str]) -> list[str]:
        """Return those of the shares that have no price of the session."""
        return [s for s in symbols if s not in self.answers or not self.answers[s].has(self.until)]

    def require_control(self) -> None:
        """Make sure that Yahoo answers, and has the session at all.

        Raises
        ------
        SourceUnavailableError
            If no control share has a bar of it.
        """
        since = self.calendar.between(self.calendar.first, self.until)[-CONTROL_SESSIONS:][0].item()
        answers = (Answer(self.client.fetch_bars(symbol, since), since) for symbol in CONTROL_SHARES)
        if not any(answer.has(self.until) for answer in answers):
            raise SourceUnavailableError(
                f"Yahoo has no price of {self.until} for any of the shares that always trade.",
                which=CONTROL_SHARES,
                consequence="Nothing was ingested.",
                next_step=f"bist ingest --source yahoo --session {self.until}, in half an hour",
            )

    def _kept(self, symbol: str) -> Answer | None:
        return self.unfinished.read(symbol, self.held.overlap_start(symbol, self.until))

    def _load(self, chunk: Sequence[str]) -> None:
        for symbol in chunk:
            try:
                self.answers[symbol] = self._ask(symbol)
            except SourceContentError as error:
                self.failures[symbol] = error.what
            except SourceUnavailableError as error:
                self.require_control()
                self.failures[symbol] = error.what
        # A share without a price, or Yahoo without an answer?
        if self.lacking(chunk):
            self.require_control()

    def _ask(self, symbol: str) -> Answer:
        since = self.held.overlap_start(symbol, self.until)
        answer = Answer(self.client.fetch_bars(symbol, since or self.settings.first_session), since)
        if self.held.is_readjusted(symbol, answer.bars):
            answer = self._reload(symbol)
        if answer.has(self.until):
            self.unfinished.write(symbol, answer)
        return answer

    def _reload(self, symbol: str) -> Answer:
        if not self.can_reload:
            raise SourceContentError(f"{symbol} was adjusted anew; to be loaded with the newest session")
        bars = self.client.fetch_bars(symbol, self.settings.first_session)
        held = len(self.held.closes(symbol))
        if len(bars) < held / 2:
            raise SourceContentError(f"{symbol} was adjusted anew, but {len(bars)} of {held} held bars came")
        return Answer(bars, None)


@contextmanager
def writing_below(folder: Path) -> Iterator[None]:
    """Make the folder; a failure to write there becomes LakeUnavailableError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise LakeUnavailableError(
            f"Answers of Yahoo cannot be kept in {folder}: {error.strerror}.",
            consequence="Nothing was ingested.",
            next_step="make room, or set BIST_HOME to a folder that can be written",
        ) from error


def _with_progress(chunks: list[list[str]]) -> Iterator[list[str]]:
    screen = Console(stderr=True)
    yield from track(chunks, "yahoo", console=screen, disable=not screen.is_terminal, transient=True)
