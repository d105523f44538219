"""Secrets that everybody knows: in production the server does not start with one of them."""

from __future__ import annotations

import hashlib

from sqlalchemy import make_url

from bist_pipeline.config import Settings
from bist_pipeline.errors import ConfigError

# From our own documentation, and what people type when they mean to come back later.
SAMPLES = (
    "",
    "bist",
    "bist_api",
    "change-me",
    "changeme",
    "example",
    "key",
    "password",
    "root",
    "secret",
    "test",
)


def check_secrets(settings: Settings) -> None:
    """Refuse sample passwords and keys outside development.

    Raises
    ------
    ConfigError
        If the database's password or somebody's API key is one of `SAMPLES`.
    """
    if settings.serving.environment == "development":
        return
    known = {hashlib.sha256(sample.encode()).hexdigest() for sample in SAMPLES}
    owners = [owner for owner, key in settings.serving.api_keys.items() if key in known]
    if owners:
        raise ConfigError(
            f"The API key of {', '.join(owners)} is a sample that everybody knows.",
            consequence="The server does not start.",
            next_step="make a key with: openssl rand -hex 32 | tee key.txt | tr -d '\\n' | sha256sum",
        )
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" and (url.password or "") in SAMPLES:
        raise ConfigError(
            f"The database's user {url.username} has a sample password that everybody knows.",
            consequence="The server does not start.",
            next_step="give it another one, and set BIST_DATABASE_URL to match",
        )
