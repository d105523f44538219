"""What all commands share: the options that read data, and how an error ends a command."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from bist_pipeline.errors import BistError

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
def errors_for(*, as_json: bool) -> Iterator[None]:
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
