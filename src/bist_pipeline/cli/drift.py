"""Drift: the stage, what a person decides about it, and what each fault looks like to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from bist_pipeline.cli.shared import AsJson, Day, errors_for, print_json, tell, with_settings
from bist_pipeline.cli.stages import STAGES, newest_session, print_receipt, run_stage
from bist_pipeline.config import FaultName, Settings
from bist_pipeline.drift.status import Status, urgency_of

commands = typer.Typer()
drift = typer.Typer(invoke_without_command=True)
commands.add_typer(drift, name="drift", help=STAGES["drift"])

_DAYS = (
    "Sessions to run, the fault from the 2nd on. A sign_flip shows in the results alone: the first check of "
    "them needs 22 sessions, the half-year mean 127. It says how long that takes."
)

Session = Annotated[dt.datetime, typer.Argument(metavar="SESSION", formats=["%Y-%m-%d"])]
Reason = Annotated[str, typer.Option(help="Why; it is stored with the decision.")]


@drift.callback()
@with_settings()
def check(
    settings: Settings,
    session: Day = None,
    as_json: AsJson = False,
) -> None:
    """Compare data, features, scores and results of a session with what the champion knew."""
    receipt = run_stage("drift", settings, session.date() if session else newest_session(settings))
    if as_json:
        print_receipt(receipt)


@drift.command("release")
@with_settings()
def release_session(
    settings: Settings,
    session: Session,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let a session be scored that a break holds: a person says that the market really moved."""
    from bist_pipeline.stages.hold import release

    message = release(settings, session.date(), reason)
    if as_json:
        answer = {"session": str(session.date()), "released": True, "reason": reason, "message": message}
        print_json(answer)
        return
    tell(escape(f"{session.date()} is released ({reason}). The check had said: {message}"))
    tell(f"Next: bist score --session {session.date()}")


@drift.command()
@with_settings()
def retrain(
    settings: Settings,
    session: Session,
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Ask for a new model, whatever the checks say and however recent the last request is."""
    from bist_pipeline.stages.drift import request_training

    is_new = request_training(settings, session.date(), reason)
    if as_json:
        print_json({"session": str(session.date()), "requested": is_new, "reason": reason})
        return
    asked = "A new model is asked for" if is_new else "A new model was already asked for"
    tell(
        f"{asked} as of {session.date()}. The next `bist drift` tells the training, "
        "every time until one has answered; by hand: bist train."
    )


@drift.command()
def simulate(
    fault: Annotated[FaultName, typer.Option(help="What goes wrong; see sources/faults.py.")],
    days: Annotated[int, typer.Option(min=1, max=260, help=_DAYS)] = 5,
    symbols: Annotated[int, typer.Option(min=40, max=600, help="Shares of the market.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Run a fault through the real pipeline on a synthetic market; show what every check said, day by day."""
    with errors_for(as_json=as_json):
        from bist_pipeline.stages.simulate import simulate as run

        simulated = run(fault, days=days, symbols=symbols, tell=tell)
    if as_json:
        print_json(simulated)
        return
    output = Console(highlight=False)
    for line in simulation_lines(simulated):
        output.print(line, markup=False, soft_wrap=True)


def simulation_lines(simulated: Mapping[str, Any]) -> list[str]:
    """Write what a simulation showed: a paragraph a day, the most urgent check first, all that each said."""
    lines = []
    for day in simulated["days"]:
        state = f"fault: {simulated['fault']}" if day["has_fault"] else "no fault yet"
        lines += ["", f"{day['session']}  {state}, {'scored' if day['scored'] else 'NOT SCORED'}"]
        urgent_first = sorted(day["checks"], key=lambda check: -urgency_of(Status(check["status"])))
        lines += [
            f"  {check['status']:<6} {check['check']}: {_figures(check)}{check['message']}"
            for check in urgent_first
        ]
        if not day["checks"]:
            lines.append(f"  no check was made: {day['stopped_by']}")
    first = simulated["first_alarm"]
    found = "No check alarmed in these sessions: a slow fault needs more --days."
    if first:
        found = f"Found on day {first['day']} of the fault: {first['check']}, {first['status']}."
    told = [
        f"  {episode['opened_on']}  {episode['check_name']}, {episode['status']}: {episode['runbook']}"
        for episode in reversed(simulated["episodes"])
    ]
    return [*lines, "", found, *(["People were told:", *told] if told else [])]


def _figures(check: Mapping[str, Any]) -> str:
    """What was measured, beside what alarms; nothing where the check could not be made."""
    if check["statistic"] is None or check["threshold"] is None:
        return ""
    return f"{check['statistic']:.3g} (alarm at {check['threshold']:.3g}). "
