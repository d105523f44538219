"""The command line, `bist`: every stage by hand, all of them in order, and what they left behind."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from bist_pipeline.config import Settings, load_settings
from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import BistError, MissingDataError
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
    "drift": "Compare the session's features with those the model was trained on.",
}

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
database = typer.Typer(no_args_is_help=True, help="The predictions database.")
app.add_typer(database, name="db")

people = Console(stderr=True, highlight=False)

Day = Annotated[
    dt.datetime | None, typer.Option("--session", formats=["%Y-%m-%d"], help="Trading date; default: newest.")
]
Source = Annotated[str | None, typer.Option(help="synthetic, files, yahoo or snapshot. [BIST_SOURCE]")]
SourcePath = Annotated[str | None, typer.Option(help="File or folder of the source. [BIST_SOURCE_PATH]")]
LakeUrl = Annotated[str | None, typer.Option("--lake", help="Folder or fsspec URL. [BIST_LAKE_URL]")]
DatabaseUrl = Annotated[str | None, typer.Option(help="sqlite:///… or mysql+mysqldb://… [BIST_DATABASE_URL]")]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")
]


@contextmanager
def _errors_for(*, as_json: bool) -> Iterator[None]:
    """End a failed command with its error, in words or as JSON, and a non-zero exit code."""
    try:
        yield
    except BistError as error:
        name = type(error).__name__
        if as_json:
            typer.echo(
                json.dumps(
                    {"error": name, "message": str(error), "next": error.next_step}, ensure_ascii=False
                )
            )
        people.print(f"[bold red]{name}[/]: ", end="")
        people.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


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


def _newest_session(settings: Settings) -> dt.date:
    from bist_pipeline.lake import open_lake

    taken_in = "snapshot" if settings.source == "snapshot" else "prices"
    return dt.date.fromisoformat(open_lake(settings).require(taken_in).last)


def _stage_command(name: str, summary: str) -> None:
    @app.command(name, help=summary)
    def command(
        session: Day = None,
        source: Source = None,
        source_path: SourcePath = None,
        lake: LakeUrl = None,
        database_url: DatabaseUrl = None,
        as_json: AsJson = False,
    ) -> None:
        with _errors_for(as_json=as_json):
            settings = load_settings(
                source=source, source_path=source_path, lake_url=lake, database_url=database_url
            )
            receipt = run_stage(name, settings, session.date() if session else _newest_session(settings))
        if as_json:
            _print_json(receipt)


def _print_json(receipt: Receipt) -> None:
    facts = receipt.as_json()
    typer.echo(json.dumps({**facts, **facts.pop("details")}, ensure_ascii=False))


@app.command(help=STAGES["ingest"])
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
    with _errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
        day = session.date() if session else None
        receipt = run_stage("ingest", settings, day, only_missing=only_missing)
    if as_json:
        _print_json(receipt)


for _name, _summary in STAGES.items():
    if _name != "ingest":
        _stage_command(_name, _summary)


@app.command()
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
    with _errors_for(as_json=as_json):
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


@app.command()
def top(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many shares.")] = 10,
    session: Day = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the best-ranked shares of the published batch, and how far to trust them."""
    with _errors_for(as_json=False):
        day = session.date() if session else None
        _print_top(load_settings(database_url=database_url), limit=limit, session=day)


@app.command()
def doctor(
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look at source, prices, database and models; name what is wrong, and the command that helps."""
    with _errors_for(as_json=as_json):
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


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the published predictions as REST."""
    with _errors_for(as_json=False):
        settings = load_settings(database_url=database_url)
        import uvicorn

        from serving.app import create_app

        uvicorn.run(create_app(settings), host=host, port=port)


@database.command("upgrade")
def db_upgrade(database_url: DatabaseUrl = None) -> None:
    """Bring the database to the schema of this version."""
    with _errors_for(as_json=False):
        settings = load_settings(database_url=database_url)
        from bist_pipeline.store.engine import open_engine
        from bist_pipeline.store.migrate import upgrade
        from bist_pipeline.store.schema import REVISION

        engine = open_engine(settings.database_url)
        upgrade(engine)
        where = engine.url.render_as_string(hide_password=True)
        people.print(f"{where} is at revision {REVISION}.", soft_wrap=True)


def main() -> None:
    """Entry point of the console script."""
    app()
