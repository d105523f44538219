"""What models are worth, and why they said what they said."""

from __future__ import annotations

import datetime as dt
import resource
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Annotated, Any

import typer
from rich.console import Console

from bist_pipeline.cli.shared import AsJson, Day, print_json, tell, with_settings
from bist_pipeline.config import Settings
from bist_pipeline.receipt import Receipt

commands = typer.Typer()

First = Annotated[
    dt.datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], help="First day to test; default: the earliest with enough before it."
    ),
]
Last = Annotated[
    dt.datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Last day to test; default: the newest with known results."),
]


@commands.command()
@with_settings()
def backtest(
    settings: Settings,
    first: First = None,
    last: Last = None,
    session: Day = None,
    as_json: AsJson = False,
) -> None:
    """Test the model and its baselines on past sessions; no rank changes, /model shows the figures."""
    started = time.perf_counter()
    from bist_pipeline.stages import backtest as stage

    tell("[dim]reading prices, computing features …[/]")
    bounds = {name: day.date() if day else None for name, day in (("first", first), ("last", last))}
    folds = stage.plan_folds(settings, session.date() if session else None, **bounds)
    until = dt.date.fromisoformat(folds[0]["until"])
    _say(started, f"{len(folds)} folds, {folds[0]['test_first']} … {folds[-1]['test_last']}")
    for note in folds[0]["notes"]:
        tell(f"         [yellow]note[/] {note}")
    for receipt in _run_folds(settings, until, folds):
        _say(started, receipt.summary)
    receipt = stage.summarise(settings, until, folds)
    answer = {
        **receipt.details,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _run_folds(settings: Settings, session: dt.date, folds: Sequence[dict[str, Any]]) -> Iterator[Receipt]:
    """Run the folds side by side, one thread each, the longest first; yield them as they end."""
    from bist_pipeline.stages.backtest import run_fold

    training = settings.training.model_copy(update={"threads": 1})
    alone = settings.model_copy(update={"training": training})
    with ThreadPoolExecutor(max_workers=settings.training.threads) as pool:
        running = [pool.submit(run_fold, alone, session, fold) for fold in reversed(folds)]
        try:
            for done in as_completed(running):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _say(started: float, text: str) -> None:
    tell(f"[dim]{time.perf_counter() - started:5.0f} s[/]  {text}")


def _show(answer: dict[str, Any]) -> None:
    from bist_pipeline.terminal import backtest_lines, backtest_table

    output = Console(highlight=False)
    output.print(backtest_table(answer))
    for line in backtest_lines(answer):
        output.print(line, soft_wrap=True)
