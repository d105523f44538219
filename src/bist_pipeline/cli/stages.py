"""One command per stage, all of them in order, and what they left behind."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from bist_pipeline.cli.shared import AsJson, Day, people, print_json, tell, with_settings
from bist_pipeline.config import Settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import MissingDataError
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages import running
from bist_pipeline.terminal import batch_table, closing_lines, diagnosis_lines

STAGES = {
    "ingest": "Take in prices up to a session, checked against their contract.",
    "check": "Judge the session's data by deterministic rules; what they refuse stops here.",
    "features": "Clean the prices and compute what the model sees.",
    "train": "Validate, fit and register a model, and promote it if it deserves to be.",
    "score": "Rank all shares of a session and publish the ranks.",
    "evaluate": "Compare ranks published a horizon ago with what happened.",
    "drift": "Compare data, features, scores and results with what the model was trained on.",
}

commands = typer.Typer()


def run_stage(name: str, settings: Settings, session: dt.date | None, **options: bool) -> Receipt:
    """Run one stage by name, and tell people how it went."""
    started = time.perf_counter()
    if people.is_terminal:
        people.print(f"[dim]{name:<9}[/] …", end="\r")
    receipt = running.run_stage(name, settings, session, **options)
    seconds = time.perf_counter() - started
    outcome = f"[green]{name:<9}[/] {receipt.session}: {receipt.summary} [dim]({seconds:.1f} s)[/]"
    tell(outcome, rows=receipt.rows, data_hash=receipt.data_hash, seconds=round(seconds, 3))
    for warning in receipt.warnings:
        tell(f"          [yellow]note[/] {warning}", level=logging.WARNING)
    return receipt


def newest_session(settings: Settings) -> dt.date:
    """Return the newest session that was taken in."""
    from bist_pipeline.lake import open_lake

    taken_in = "snapshot" if settings.source == "snapshot" else "prices"
    return dt.date.fromisoformat(open_lake(settings).require(taken_in).last)


def _stage_command(name: str, summary: str) -> None:
    @commands.command(name, help=summary)
    @with_settings()
    def command(
        settings: Settings,
        session: Day = None,
        as_json: AsJson = False,
    ) -> None:
        receipt = run_stage(name, settings, session.date() if session else newest_session(settings))
        if as_json:
            print_receipt(receipt)


def print_receipt(receipt: Receipt) -> None:
    """Print a receipt as one JSON object, its details on the same level."""
    facts = receipt.as_json()
    print_json({**facts, **facts.pop("details")})


@commands.command(help=STAGES["ingest"])
@with_settings()
def ingest(
    settings: Settings,
    session: Day = None,
    only_missing: Annotated[
        bool, typer.Option("--only-missing", help="Only listed shares that lack a price of the session.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the stage that has an option of its own, and needs no session in the lake."""
    day = session.date() if session else None
    receipt = run_stage("ingest", settings, day, only_missing=only_missing)
    if as_json:
        print_receipt(receipt)


for _name, _summary in STAGES.items():
    if _name not in ("ingest", "drift"):
        _stage_command(_name, _summary)


@commands.command()
@with_settings()
def run(settings: Settings, session: Day = None, as_json: AsJson = False) -> None:
    """Run every stage in order, without Airflow, and show the best-ranked shares."""
    started = time.perf_counter()
    receipts: dict[str, Receipt] = {}
    day = session.date() if session else None
    for name in STAGES:
        receipts[name] = run_stage(name, settings, day)
        day = receipts[name].session
    if not as_json:
        _print_top(settings, limit=10, session=day)
        return
    score = receipts["score"]
    answer: dict[str, Any] = {
        **{key: score.details[key] for key in ("run_id", "model_name", "model_version")},
        "session": score.session.isoformat(),
        "rows": score.rows,
        "data_hash": score.data_hash,
        "drift_status": receipts["drift"].details["status"],
        "published": True,
        "kind": kind_of(settings.source),
        "seconds": round(time.perf_counter() - started, 3),
    }
    print_json(answer)


def _print_top(settings: Settings, *, limit: int, session: dt.date | None) -> None:
    from bist_pipeline.store.engine import connect, open_engine
    from bist_pipeline.store.migrate import require_schema
    from bist_pipeline.store.read import read_batch, read_drift_status, read_reasons

    engine = open_engine(settings.database_url)
    require_schema(engine)
    with connect(engine) as connection:
        batch = read_batch(connection, session=session, limit=limit)
        if batch is None:
            when = f" for {session}" if session else ""
            raise MissingDataError(
                f"No predictions are published{when} yet.",
                consequence="",
                next_step="bist run (or: make demo)",
            )
        drift = read_drift_status(connection, batch.publication.source, batch.publication.session)
        reasons = read_reasons(connection, batch.publication)
    output = Console(highlight=False)
    output.print(batch_table(batch))
    for line in closing_lines(batch.publication, drift, reasons):
        output.print(line, soft_wrap=True)


@commands.command()
@with_settings("database_url")
def top(
    settings: Settings,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many shares.")] = 10,
    session: Day = None,
) -> None:
    """Show the best-ranked shares of the published batch, and how far to trust them."""
    _print_top(settings, limit=limit, session=session.date() if session else None)


@commands.command()
@with_settings()
def doctor(
    settings: Settings,
    as_json: AsJson = False,
) -> None:
    """Look at source, prices, database and models; name what is wrong, and the command that helps."""
    from bist_pipeline.stages.doctor import examine

    found = examine(settings)
    has_problem = any(diagnosis.is_problem for diagnosis in found)
    if as_json:
        checks = [diagnosis.as_json() for diagnosis in found]
        answer = {"status": "PROBLEM" if has_problem else "OK", "checks": checks}
        print_json(answer)
    else:
        output = Console(highlight=False)
        for line in diagnosis_lines(found):
            output.print(line, soft_wrap=True)
    if has_problem:
        raise typer.Exit(1)
