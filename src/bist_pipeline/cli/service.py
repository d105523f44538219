"""What runs beside the pipeline: the API, and the database's schema."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from bist_pipeline.cli.shared import tell, with_settings
from bist_pipeline.config import Settings
from bist_pipeline.errors import ConfigError

commands = typer.Typer()
database = typer.Typer(no_args_is_help=True, help="The predictions database.")
commands.add_typer(database, name="db")


@commands.command()
@with_settings("database_url")
def serve(
    settings: Settings,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the published predictions as REST."""
    _require_free(host, port)
    import uvicorn

    from bist_pipeline.logs import log_config
    from serving.app import create_app

    logs = log_config(as_json=settings.log_format == "json")
    uvicorn.run(create_app(settings), host=host, port=port, log_config=logs)


def _require_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is loaded."""
    try:
        family = socket.getaddrinfo(host, port)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address a second time
        raise ConfigError(
            f"Nothing can listen on port {port} of {host}: {reason}.",
            consequence="The API was not started.",
            next_step=f"end what listens there, or bist serve --port {port % 65535 + 1}",
        ) from error


@database.command("upgrade")
@with_settings("database_url")
def db_upgrade(settings: Settings) -> None:
    """Bring the database to the schema of this version."""
    from bist_pipeline.store.engine import open_engine
    from bist_pipeline.store.migrate import upgrade
    from bist_pipeline.store.schema import REVISION

    engine = open_engine(settings.database_url)
    upgrade(engine)
    where = engine.url.render_as_string(hide_password=True)
    tell(f"{where} is at revision {REVISION}.")
