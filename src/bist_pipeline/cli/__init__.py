"""The command line, `bist`: every stage by hand, all of them in order, and what they left behind."""

from __future__ import annotations

import typer

from bist_pipeline.cli import drift, models, published, service, stages

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
for group in (stages, drift, models, published, service):
    app.add_typer(group.commands)


def main() -> None:
    """Entry point of the console script."""
    app()
