"""What all commands share: the settings they are given, how an error ends them, and whom they tell."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from bist_pipeline.config import load_settings
from bist_pipeline.errors import BistError
from bist_pipeline.logs import bind, log_as_json

people = Console(stderr=True, highlight=False)
log = logging.getLogger("bist")
# Silent, unless `log_as_json` gives the root a handler.
log.addHandler(logging.NullHandler())

Day = Annotated[
    dt.datetime | None, typer.Option("--session", formats=["%Y-%m-%d"], help="Trading date; default: newest.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")
]

# Settings that have an option, in the order of the help.
_OPTIONS = {
    "source": typer.Option(help="synthetic, files, yahoo or snapshot. [BIST_SOURCE]"),
    "source_path": typer.Option(help="File or folder of the source. [BIST_SOURCE_PATH]"),
    "lake_url": typer.Option("--lake", help="Folder or fsspec URL. [BIST_LAKE_URL]"),
    "database_url": typer.Option(help="sqlite:///… or mysql+mysqldb://… [BIST_DATABASE_URL]"),
}


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command its settings as the first argument, and the options that they are made of.

    An error ends the command as `errors_for` says.

    Parameters
    ----------
    *names : str
        Settings that get an option; by default all that reading data needs. In the help they stand behind
        the command's own options and before `--json`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        added = [
            _parameter(name, Annotated[str | None, _OPTIONS[name]], default=None)
            for name in names or _OPTIONS
        ]
        before_json = len(own) - ("as_json" in {option.name for option in own})

        @wraps(command)
        def run(context: typer.Context, **given: Any) -> None:
            if context.invoked_subcommand is not None:  # `bist drift` is a command, and a group of others
                return
            with errors_for(as_json=given.get("as_json", False)):
                settings = load_settings(**{option.name: given.pop(option.name) for option in added})
                if settings.log_format == "json":
                    log_as_json()
                    people.quiet = True
                bind(run_id=f"cli__{dt.datetime.now(dt.UTC).isoformat()}", session=None)
                command(settings, **given)

        # Typer makes the options of what it finds here.
        context = _parameter("context", typer.Context)
        parameters = [context, *own[:before_json], *added, *own[before_json:]]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def _parameter(name: str, annotation: Any, **default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation, **default)


@contextmanager
def errors_for(*, as_json: bool) -> Iterator[None]:
    """End a failed command with its error, in words or as JSON, and a non-zero exit code."""
    try:
        yield
    except BistError as error:
        name = type(error).__name__
        if as_json:
            print_json({"error": name, "message": str(error), "next": error.next_step})
        tell(
            f"[bold red]{name}[/]: {escape(str(error))}",
            level=logging.ERROR,
            error=name,
            next_step=error.next_step,
        )
        raise typer.Exit(1) from error


def tell(line: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Tell people on standard error; where lines are for machines, log the same with these fields instead."""
    people.print(line, soft_wrap=True)
    log.log(level, Text.from_markup(line).plain.strip(), extra=fields)


def print_json(answer: Mapping[str, Any]) -> None:
    """Print what `--json` promises: one object, which any JSON parser reads."""
    typer.echo(json.dumps(answer, ensure_ascii=False, allow_nan=False))
