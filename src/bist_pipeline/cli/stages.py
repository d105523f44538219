"""One command per stage, all of them in order, and what they left behind."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from bist_pipeline.cli.shared import AsJson, DatabaseUrl, Day, LakeUrl, Source, SourcePath, errors_for, people
from bist_pipeline.config import Settings, load_settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import MissingDataError
from bist_pipeline.receipt import Receipt
from bist_pipeline.stages import find_stage
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
    stage = find_stage(name, settings.source)
    started = time.perf_counter()
    if people.is_terminal:
        people.print(f"[dim]{name:<9}[/] …", end="\r")
    receipt = stage(settings, session, **options)
    seconds = time.perf_counter() - started
    people.print(
        f"[green]{name:<9}[/] {receipt.session}: {receipt.summary} [dim]({seconds:.1f} s)[/]", soft_wrap=True
    )
    for warning in receipt.warnings:
        people.print(f"          [yellow]note[/] {warning}", soft_wrap=True)
    return receipt


def newest_session(settings: Settings) -> dt.date:
    """Return the newest session that was taken in."""
    from bist_pipeline.lake import open_lake

    taken_in = "snapshot" if settings.source == "snapshot" else "prices"
    return dt.date.fromisoformat(open_lake(settings).require(taken_in).last)


def _stage_command(name: str, summary: str) -> None:
    @commands.command(name, help=summary)
    def command(
        session: Day = None,
        source: Source = None,
        source_path: SourcePath = None,
        lake: LakeUrl = None,
        database_url: DatabaseUrl = None,
        as_json: AsJson = False,
    ) -> None:
        with errors_for(as_json=as_json):
            settings = load_settings(
                source=source, source_path=source_path, lake_url=lake, database_url=database_url
            )
            receipt = run_stage(name, settings, session.date() if session else newest_session(settings))
        if as_json:
            print_json(receipt)


def print_json(receipt: Receipt) -> None:
    """Print a receipt as one JSON object, its details on the same level."""
    facts = receipt.as_json()
    typer.echo(json.dumps({**facts, **facts.pop("details")}, ensure_ascii=False))


@commands.command(help=STAGES["ingest"])
def ingest(
    session: Day = None,
    only_missing: Annotated[
        bool, typer.Option("--only-missing", help="Only listed shares that lack a price of the session.")
    ] = False,
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Run the stage that has an option of its own, and needs no session in the lake."""
    with errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
        day = session.date() if session else None
        receipt = run_stage("ingest", settings, day, only_missing=only_missing)
    if as_json:
        print_json(receipt)


for _name, _summary in STAGES.items():
    if _name not in ("ingest", "drift"):
        _stage_command(_name, _summary)


@commands.command()
def run(
    session: Day = None,
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Run every stage in order, without Airflow, and show the best-ranked shares."""
    started = time.perf_counter()
    with errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
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
    typer.echo(json.dumps(answer))


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
def top(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many shares.")] = 10,
    session: Day = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the best-ranked shares of the published batch, and how far to trust them."""
    with errors_for(as_json=False):
        day = session.date() if session else None
        _print_top(load_settings(database_url=database_url), limit=limit, session=day)


@commands.command()
def doctor(
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look at source, prices, database and models; name what is wrong, and the command that helps."""
    with errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
        from bist_pipeline.stages.doctor import examine

        found = examine(settings)
    has_problem = any(diagnosis.is_problem for diagnosis in found)
    if as_json:
        checks = [diagnosis.as_json() for diagnosis in found]
        answer = {"status": "PROBLEM" if has_problem else "OK", "checks": checks}
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        output = Console(highlight=False)
        for line in diagnosis_lines(found):
            output.print(line, soft_wrap=True)
    if has_problem:
        raise typer.Exit(1)
