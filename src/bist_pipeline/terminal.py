"""What people see of a run in a terminal: the table at the end, and where to look next."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from bist_pipeline.store.read import Batch, Publication

if TYPE_CHECKING:
    from bist_pipeline.stages.doctor import Diagnosis

# So that the table fits a terminal of 80 columns.
_SECTOR_WIDTH = 17


def batch_table(batch: Batch) -> Table:
    """Lay out a batch, best rank first."""
    publication = batch.publication
    best = f"Best-ranked shares of {publication.universe} on {publication.session} ({publication.source})"
    if publication.kind == "forecast":
        title, estimate = best, "predicted excess"
        caption = f"Expected return over {publication.horizon_sessions} sessions minus the universe median."
    else:
        title, estimate = f"Not a forecast ({publication.kind})\n{best}", "estimated excess"
        caption = "Return of the past three months minus the median, as the shares' other columns suggest it."
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("rank", justify="right")
    table.add_column("share")
    table.add_column("sector", max_width=_SECTOR_WIDTH, no_wrap=True)
    table.add_column(estimate, justify="right")
    table.add_column("80 % interval", justify="right", no_wrap=True)
    table.add_column("tradable")
    for p in batch.predictions:
        table.add_row(
            str(p.rank),
            p.symbol,
            p.sector,
            f"{p.expected_excess_return:+.1%}",
            f"{p.lower:+.1%} … {p.upper:+.1%}",
            "yes" if p.tradable else "no",
        )
    return table


def closing_lines(publication: Publication, drift: str | None, reasons: Sequence[str]) -> list[str]:
    """Say which model stands behind a batch, whether it may still be believed, and where to go next.

    `reasons` are those for which the model was taken into use: all there is to say where it ranks the past.
    """
    model = publication.model
    known = "not measured" if model.rank_ic is None else f"{model.rank_ic:+.3f} (mean daily, out of sample)"
    skill = f"rank IC {known}" if publication.kind == "forecast" else "; ".join(reasons)
    bist = _program()
    return [
        f"Champion  {model.name} version {model.version}, {skill}",
        f"Drift     {drift or 'not checked for this session'}",
        f"Next      {bist} serve        pages at http://127.0.0.1:8000/, REST described at /docs",
        "          curl '127.0.0.1:8000/api/v1/predictions?limit=10'",
        f"          {bist} run --source files --source-path prices.parquet",
    ]


def backtest_table(answer: dict[str, Any]) -> Table:
    """Lay out the main figures of every model of a backtest."""
    table = Table(
        title=f"{answer['symbols']} tradable shares on {answer['dates']} dates,"
        f" {answer['first']} … {answer['last']}",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("model", no_wrap=True)
    for name in ("rank IC", "95 %", "t", "IC > 0", "D10−D1", "top 20 net"):
        table.add_column(name, justify="right", no_wrap=True)
    for model, figures in answer["models"].items():
        bounds = figures.get("rank_ic_ci", ())
        table.add_row(
            model,
            _figure(figures["rank_ic"], "+.3f"),
            " … ".join(_figure(bound, "+.3f") for bound in bounds),
            _figure(figures["nw_t"], ".1f"),
            _figure(figures["ic_positive"], ".0%"),
            _figure(figures["spread_quarter"], "+.1%"),
            _figure(figures["top20_net_quarter"], "+.1%"),
        )
    return table


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def backtest_lines(answer: dict[str, Any]) -> list[str]:
    """Say what the figures of a backtest rest on, and where the whole report is."""
    missed = [check["name"] for check in answer["checks"] if not check["is_met"]]
    return [
        f"Rests on  about {answer['independent_quarters']:.0f} independent quarters; prices without delisted"
        " shares make these upper bounds.",
        f"Interval  held {answer['coverage']['pooled']:.1%} of results, should hold"
        f" {answer['coverage']['nominal']:.0%}",
        f"Missed    {', '.join(missed) or 'no bar'}",
        f"Report    {answer['report']}",
        f"Took      {answer['seconds']:.0f} s, at most {answer['peak_mb']} MB",
    ]


def diagnosis_lines(found: Iterable[Diagnosis]) -> list[Text]:
    """Lay out what the doctor found, one line each, and below a problem the command that helps."""
    lines = []
    for diagnosis in found:
        style = "bold red" if diagnosis.is_problem else "green"
        lines.append(
            Text.assemble((f"{diagnosis.status:<9}", style), f"{diagnosis.what:<11}{diagnosis.message}")
        )
        if diagnosis.next_step:
            lines.append(Text.assemble(" " * 20, ("Next: ", "bold"), diagnosis.next_step))
    return lines


def _program() -> str:
    """Return how to call this program again from here: a virtual environment need not be activated."""
    called = Path(sys.argv[0])
    if called.is_relative_to(Path.cwd()):
        called = called.relative_to(Path.cwd())
    return "bist" if called.is_absolute() or called.name != "bist" else str(called)
