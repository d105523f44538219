"""What is published: why a share has its rank, the same batch once more, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bist_pipeline.cli.shared import AsJson, Day, print_json, tell, with_settings
from bist_pipeline.config import Settings

if TYPE_CHECKING:
    from bist_pipeline.stages.explain import Explanation, Outcome
    from bist_pipeline.stages.replay import Replay

commands = typer.Typer()


@commands.command()
@with_settings()
def explain(
    settings: Settings,
    symbol: Annotated[str, typer.Argument(help="THYAO, or THYAO.IS")],
    session: Day = None,
    as_json: AsJson = False,
) -> None:
    """Say why a share has its rank, and compute by hand what became of it once that is known."""
    from bist_pipeline.stages.explain import explain as find

    found = find(settings, symbol, session.date() if session else None)
    if as_json:
        print_json(found.as_json())
        return
    output = Console(highlight=False)
    for line in _explanation_lines(found):
        output.print(line, markup=False, soft_wrap=True)


@commands.command()
@with_settings()
def replay(
    settings: Settings,
    run_id: Annotated[str, typer.Argument(help="As `bist run --json` and the API name it.")],
    as_json: AsJson = False,
) -> None:
    """Compute a stored batch again from the prices, calendar and model of its day; fails if it differs."""
    from bist_pipeline.stages.replay import replay as repeat

    found = repeat(settings, run_id)
    if as_json:
        print_json(found.as_json())
    else:
        for line in _replay_lines(found):
            Console(highlight=False).print(line, markup=False, soft_wrap=True)
    if not found.is_equal:
        raise typer.Exit(1)


@commands.command()
@with_settings()
def rollback(
    settings: Settings,
    to: Annotated[
        str | None, typer.Option(help="Promoted version to go to; default: the one before the champion.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier model champion, and publish its ranks of the newest published session."""
    from bist_pipeline.stages.rollback import rollback as go_back

    receipt = go_back(settings, to)
    tell(receipt.summary)
    if as_json:
        print_json({**receipt.as_json(), **receipt.details})


def _explanation_lines(found: Explanation) -> Iterator[str]:
    from bist_pipeline.stages.explain import say_drivers

    place = f"rank {found.rank} of {found.universe}{'' if found.tradable else ', not tradable'}"
    yield f"{found.symbol} on {found.session}: {place}, by {found.model_name} version {found.model_version}"
    over = f"over {found.horizon_sessions} sessions" if found.kind == "forecast" else "over the past months"
    what = "Expected" if found.kind == "forecast" else "Estimated (not a forecast)"
    yield (
        f"{what} {over}: {found.expected_excess_return:+.1%} against the median share,"
        f" 80 % interval {found.lower:+.1%} … {found.upper:+.1%}"
    )
    yield "What moved its score most, which is not why its price will move:"
    yield from (f"  {sentence}" for sentence in say_drivers(found.drivers))
    if found.outcome:
        yield from _outcome_lines(found, found.outcome)
    elif found.matures_on:
        yield f"No result yet: it needs prices of {found.matures_on}."


def _outcome_lines(found: Explanation, outcome: Outcome) -> Iterator[str]:
    yield "What became of it, from the closes in the lake:"
    closes = ((found.session, outcome.close), (outcome.matured_on, outcome.close_later))
    yield "  " + ", ".join(f"close on {day} {close:.4f}" for day, close in closes)
    yield (
        f"  share {outcome.share_return:+.2%}, median of {outcome.universe} tradable shares"
        f" {outcome.universe_median:+.2%}, excess {outcome.excess:+.2%}"
    )
    if outcome.stored is None:
        yield f"  no result is stored: bist evaluate --session {outcome.matured_on}"
    else:
        verdict = "the same" if outcome.is_equal else "NOT the same: the prices have changed since"
        yield f"  stored result {outcome.stored:+.2%}: {verdict}"


def _replay_lines(found: Replay) -> Iterator[str]:
    made_from = f"prices {found.data_hash}, {found.model}"
    if found.is_equal:
        yield f"{found.run_id}: equal to the last bit, all {found.rows} shares ({made_from})"
        return
    yield f"{found.run_id}: NOT equal ({made_from}, code {found.code_then} then, {found.code_now} now)"
    for difference in found.differences:
        by = "" if difference.largest is None else f", by {difference.largest:.3g} at most"
        named = ", ".join(difference.shares[:3]) + (" …" if len(difference.shares) > 3 else "")
        yield f"  {difference.column} of {len(difference.shares)} shares ({named}){by}"
