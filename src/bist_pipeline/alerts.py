"""Tell people what needs them: in the log, by e-mail, by webhook.

An episode of drift has begun, a run has failed or is late, the known calendar ends. An edge: it sends one
message and knows nothing of why. Whoever calls it knows what was sent, and what to do where a channel fails.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import EmailMessage

from bist_pipeline.config import AlertSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """One message: which market and check, how urgent, why, since when, and what to do.

    `turkish` says cause and runbook once more, where whoever alerts knows the words.
    """

    source: str
    check: str
    status: str
    urgency: str
    since: str
    cause: str
    runbook: str
    turkish: str = ""

    @property
    def subject(self) -> str:
        """One line: urgency first."""
        return f"[{self.status}] {self.source}: {self.check} since {self.since}, look {self.urgency}"

    @property
    def text(self) -> str:
        """Why, and what to do."""
        english = f"{self.subject}\n\n{self.cause}\n\nWhat to do: {self.runbook}\n"
        return f"{english}\n{self.turkish}\n" if self.turkish else english


def send(alert: Alert, settings: AlertSettings) -> list[str]:
    """Send an alert by every channel that is configured; the log is always one.

    Returns
    -------
    list of str
        What went wrong, by channel; empty if the alert has arrived everywhere.
    """
    log.warning(alert.text)
    failures = []
    if settings.smtp_host and settings.mail_to:
        failures += _attempt("e-mail", lambda: _send_mail(alert, settings))
    if settings.webhook_url:
        failures += _attempt("webhook", lambda: _call_webhook(alert, settings))
    return failures


def _attempt(channel: str, action: Callable[[], None]) -> list[str]:
    try:
        action()
    except (OSError, smtplib.SMTPException, urllib.error.URLError) as error:
        return [f"{channel}: {error}"]
    return []


def _send_mail(alert: Alert, settings: AlertSettings) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = alert.subject, settings.mail_from
    message["To"] = ", ".join(settings.mail_to)
    message.set_content(alert.text)
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=settings.timeout_seconds) as server:
        if settings.smtp_starttls or settings.smtp_user:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(message)


def _call_webhook(alert: Alert, settings: AlertSettings) -> None:
    # `text` is what the common chat services show.
    body = json.dumps({"text": alert.text, **asdict(alert)}, ensure_ascii=False).encode()
    request = urllib.request.Request(  # noqa: S310 (the settings allow http and https only)
        settings.webhook_url, data=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    with urllib.request.urlopen(request, timeout=settings.timeout_seconds):  # noqa: S310
        pass
