"""Drift: the stage, what a person decides about it, and what each fault looks like to it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated

import typer
from rich.console import Console

from bist_pipeline.cli.shared import AsJson, DatabaseUrl, Day, LakeUrl, Source, SourcePath, errors_for, people
from bist_pipeline.cli.stages import STAGES, newest_session, print_json, run_stage
from bist_pipeline.config import FaultName, load_settings

commands = typer.Typer()
drift = typer.Typer(invoke_without_command=True)
commands.add_typer(drift, name="drift", help=STAGES["drift"])

Session = Annotated[dt.datetime, typer.Argument(metavar="SESSION", formats=["%Y-%m-%d"])]
Reason = Annotated[str, typer.Option(help="Why; it is stored with the decision.")]


@drift.callback()
def check(
    context: typer.Context,
    session: Day = None,
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compare data, features, scores and results of a session with what the champion knew."""
    if context.invoked_subcommand is not None:
        return
    with errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
        receipt = run_stage("drift", settings, session.date() if session else newest_session(settings))
    if as_json:
        print_json(receipt)


@drift.command("release")
def release_session(
    session: Session,
    reason: Reason,
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let a session be scored that a break holds: a person says that the market really moved."""
    with errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
        from bist_pipeline.stages.hold import release

        message = release(settings, session.date(), reason)
    if as_json:
        answer = {"session": str(session.date()), "released": True, "reason": reason, "message": message}
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    people.print(f"{session.date()} is released ({reason}). The check had said: {message}", soft_wrap=True)
    people.print(f"Next: bist score --session {session.date()}", soft_wrap=True)


@drift.command()
def retrain(
    session: Session,
    reason: Reason,
    source: Source = None,
    source_path: SourcePath = None,
    lake: LakeUrl = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a new model, whatever the checks say and however recent the last request is."""
    with errors_for(as_json=as_json):
        settings = load_settings(
            source=source, source_path=source_path, lake_url=lake, database_url=database_url
        )
        from bist_pipeline.stages.drift import request_training

        is_new = request_training(settings, session.date(), reason)
    if as_json:
        typer.echo(json.dumps({"session": str(session.date()), "requested": is_new, "reason": reason}))
        return
    asked = "A new model is asked for" if is_new else "A new model was already asked for"
    people.print(f"{asked} as of {session.date()}. The training listens; by hand: bist train.")


@drift.command()
def simulate(
    fault: Annotated[FaultName, typer.Option(help="What goes wrong; see sources/faults.py.")],
    days: Annotated[int, typer.Option(min=1, max=60, help="Sessions to run, the fault from the 2nd on.")] = 5,
    symbols: Annotated[int, typer.Option(min=40, max=600, help="Shares of the market.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Run a fault through the real pipeline on a synthetic market; show what every check said, day by day."""
    with errors_for(as_json=as_json):
        from bist_pipeline.stages.simulate import simulate as run

        simulated = run(fault, days=days, symbols=symbols, tell=people.print)
    if as_json:
        typer.echo(json.dumps(simulated, ensure_ascii=False))
        return
    output = Console(highlight=False)
    for day in simulated["days"]:
        scored = "scored" if day["scored"] else f"NOT SCORED: {day['stopped_by']}"
        output.print(f"\n{day['session']}  {'fault' if day['has_fault'] else 'no fault yet'}  {scored}")
        for found in day["checks"]:
            line = f"  {found['status']:<20} {found['check']:<20} {found['message']}"
            output.print(line, markup=False, soft_wrap=True)
