"""Tell people what needs them: in the log, by e-mail, by webhook.

An episode of drift has begun, a run has failed or is late, the known calendar ends. An edge: it sends one
message and knows nothing of why. Whoever calls it remembers which channels a message has reached, where one
that failed is to be tried again.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
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


@dataclass(frozen=True)
class Delivery:
    """Which channels an alert has reached by now, and what went wrong with the others."""

    reached: tuple[str, ...]
    failures: tuple[str, ...]


def send(alert: Alert, settings: AlertSettings, *, reached: Collection[str] = ()) -> Delivery:
    """Send an alert by every channel that is configured; the log is always one.

    Parameters
    ----------
    alert : Alert
    settings : AlertSettings
    reached : collection of str
        Channels that have it already: they are left out.
    """
    channels: dict[str, Callable[[], None]] = {"log": lambda: log.warning(alert.text)}
    if settings.smtp_host and settings.mail_to:
        channels["e-mail"] = lambda: _send_mail(alert, settings)
    if settings.webhook_url:
        channels["webhook"] = lambda: _call_webhook(alert, settings)
    failures = {
        channel: failure
        for channel, action in channels.items()
        if channel not in reached and (failure := _attempt(action)) is not None
    }
    told = tuple(sorted({*reached, *channels} - failures.keys()))
    return Delivery(told, tuple(f"{channel}: {failure}" for channel, failure in failures.items()))


def _attempt(action: Callable[[], None]) -> str | None:
    """Say what went wrong; None if nothing did."""
    try:
        action()
    except (OSError, smtplib.SMTPException, urllib.error.URLError) as error:
        return str(error)
    return None


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
