"""What people see of a run in a terminal: the table at the end, and where to look next."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
        f"Next      {bist} serve        REST, described at http://127.0.0.1:8000/docs",
        "          curl '127.0.0.1:8000/api/v1/predictions?limit=10'",
        f"          {bist} run --source files --source-path prices.parquet",
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
