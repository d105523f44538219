"""What runs beside the pipeline: the API, and the database's schema."""

from __future__ import annotations

from typing import Annotated

import typer

from bist_pipeline.cli.shared import DatabaseUrl, errors_for, people
from bist_pipeline.config import load_settings

commands = typer.Typer()
database = typer.Typer(no_args_is_help=True, help="The predictions database.")
commands.add_typer(database, name="db")


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve the published predictions as REST."""
    with errors_for(as_json=False):
        settings = load_settings(database_url=database_url)
        import uvicorn

        from bist_pipeline.logs import log_config
        from serving.app import create_app

        logs = log_config(as_json=settings.log_format == "json")
        uvicorn.run(create_app(settings), host=host, port=port, log_config=logs)


@database.command("upgrade")
def db_upgrade(database_url: DatabaseUrl = None) -> None:
    """Bring the database to the schema of this version."""
    with errors_for(as_json=False):
        settings = load_settings(database_url=database_url)
        from bist_pipeline.store.engine import open_engine
        from bist_pipeline.store.migrate import upgrade
        from bist_pipeline.store.schema import REVISION

        engine = open_engine(settings.database_url)
        upgrade(engine)
        where = engine.url.render_as_string(hide_password=True)
        people.print(f"{where} is at revision {REVISION}.", soft_wrap=True)
