"""Answers that a client may keep until the next publication."""

from __future__ import annotations

import hashlib

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from bist_pipeline.store.read import Publication


def answer_from(publication: Publication, body: BaseModel, *, to: Request) -> Response:
    """Return `body` with the publication's ETag; 304 without it to whoever has this publication already."""
    headers = {"ETag": _etag(publication), "Cache-Control": "no-cache"}
    known = {tag.strip() for tag in to.headers.get("if-none-match", "").split(",")}
    if known & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)


def _etag(publication: Publication) -> str:
    identity = f"{publication.run_id} {publication.published_at.isoformat()}"
    # Weak: the same publication may be spelled in other bytes by another version of this server.
    return f'W/"{hashlib.sha256(identity.encode()).hexdigest()[:16]}"'
