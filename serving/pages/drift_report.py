"""`/drift/reports/{session}`: the whole drift report of one session, as the pipeline wrote it."""

from __future__ import annotations

import datetime as dt

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from bist_pipeline.store.read.drift import read_drift_report
from serving.database import DatabaseOfApp
from serving.delivery import OutageOfApp, SnapshotOfApp
from serving.pages.frame import build_frame
from serving.pages.rendering import render

# The report is one file: its style stands in it, its charts are data. Nothing in it may run or be fetched.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def show_drift_report(
    request: Request, snapshot: SnapshotOfApp, outage: OutageOfApp, database: DatabaseOfApp, session: str
) -> Response:
    """Show a stored report; it holds both languages."""
    frame, _ = build_frame(snapshot, outage)
    day = _as_session(session)
    html = None
    if day:
        with database.reading() as connection:
            html = read_drift_report(connection, frame.publication.source, day)
    if html is None:
        return render(request, "no_report.html", status=404, frame=frame, asked=session)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    return HTMLResponse(html, headers=headers)


def _as_session(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None
