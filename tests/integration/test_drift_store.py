"""Drift in real databases, alerts over real sockets, and calibrations that come back as they were."""

import datetime as dt
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer

import numpy as np
import pandas as pd
import pytest

from bist_pipeline.alerts import Alert, send
from bist_pipeline.config import AlertSettings, Settings
from bist_pipeline.drift.calibration import REPLAYED, build_calibration, from_bytes, to_bytes
from bist_pipeline.drift.status import Check, Status
from bist_pipeline.errors import DriftInputError
from bist_pipeline.stages.watch import record
from bist_pipeline.store.drift import (
    RetrainRequest,
    StoredCalibration,
    answer_requests,
    read_calibration,
    read_checks,
    read_episodes,
    read_requests,
    write_calibration,
    write_request,
)
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.wording import Wording

FRIDAY, MONDAY = dt.date(2024, 6, 28), dt.date(2024, 7, 1)
NOW = dt.datetime(2024, 7, 1, 18, tzinfo=dt.UTC)
ALERT = Alert("files", "break", "RED", "before the next session", str(FRIDAY), "Türkçe: ölçü", "Look.")


@pytest.fixture
def store(database_url):
    engine = open_engine(database_url)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def webhook():
    """A server that keeps what it is sent."""
    received: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()


@pytest.fixture
def mail():
    """A mail server that keeps what it is sent."""
    received: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            while (line := self.rfile.readline().strip()) and not line.upper().startswith(b"QUIT"):
                if line.upper() == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    received.append(b"".join(lines).decode())
                self.wfile.write(b"250 ok\r\n")
            self.wfile.write(b"221 bye\r\n")

    with TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], received
        server.shutdown()


def found(status: Status, name: str = "break", message: str = "something") -> Check:
    action, said = Wording("look", "bakın"), Wording(message, "bir şey oldu")
    return Check(name, status, 2.0, None, 1.5, action, said, record=0.1)


def test_an_alert_arrives_by_webhook_and_mail_with_urgency_cause_and_runbook(webhook, mail):
    url, posted = webhook
    port, mailed = mail
    everywhere = AlertSettings(
        webhook_url=url, smtp_host="127.0.0.1", smtp_port=port, mail_to=("ops@example.org",)
    )

    delivery = send(ALERT, everywhere)

    assert (delivery.reached, delivery.failures) == (("e-mail", "log", "webhook"), ())

    assert posted[0]["cause"] == "Türkçe: ölçü"
    assert all(words in posted[0]["text"] for words in ("before the next session", "What to do: Look."))
    assert "Subject: [RED] files: break since 2024-06-28" in mailed[0]
    assert "To: ops@example.org" in mailed[0]


def test_a_channel_that_fails_stops_nothing_and_is_named():
    delivery = send(ALERT, AlertSettings(webhook_url="http://127.0.0.1:1/", timeout_seconds=1))

    assert delivery.reached == ("log",)
    (failure,) = delivery.failures
    assert failure.startswith("webhook: ")


def test_one_message_per_episode_however_often_and_in_whatever_order_checks_are_made(
    store, webhook, tmp_path
):
    url, posted = webhook
    settings = Settings(home=tmp_path, source="files", alerts=AlertSettings(webhook_url=url))
    for session in (FRIDAY, FRIDAY, MONDAY, FRIDAY):
        assert record(settings, store, session, [found(Status.AMBER)]) == ()

    assert len(posted) == 1
    with connect(store) as connection:
        (episode,) = read_episodes(connection, "files")
        assert len(read_checks(connection, "files")) == 2
    assert (episode.opened_on, episode.last_seen, episode.closed_on) == (FRIDAY, MONDAY, None)
    assert episode.alerted_at is not None
    assert (episode.cause, episode.urgency.tr) == (Wording("something", "bir şey oldu"), "bu hafta")
    assert "bir şey oldu\n\nNe yapmalı: Adı geçen özelliği" in posted[0]["text"]

    record(settings, store, MONDAY, [found(Status.RED)])
    assert [message["status"] for message in posted] == ["AMBER", "RED"]


def test_an_alert_that_did_not_arrive_is_sent_with_the_next_checks(store, webhook, tmp_path):
    url, posted = webhook
    settings = Settings(
        home=tmp_path, source="files", alerts=AlertSettings(webhook_url="http://127.0.0.1:1/")
    )
    (failure,) = record(settings, store, FRIDAY, [found(Status.RED)])
    assert "break by webhook" in failure

    mended = settings.model_copy(update={"alerts": AlertSettings(webhook_url=url)})
    assert record(mended, store, MONDAY, [found(Status.OK)]) == ()
    assert [message["since"] for message in posted] == [str(FRIDAY)]


def test_a_channel_that_was_reached_is_not_told_again_while_another_is_down(
    store, webhook, mail, tmp_path, caplog
):
    (url, posted), (port, mailed) = webhook, mail
    broken = AlertSettings(
        webhook_url=url, smtp_host="127.0.0.1", smtp_port=1, mail_to=("ops@example.org",), timeout_seconds=1
    )
    settings = Settings(home=tmp_path, source="files", alerts=broken)
    for session in (FRIDAY, FRIDAY, MONDAY):
        (failure,) = record(settings, store, session, [found(Status.RED)])
        assert "break by e-mail" in failure
    assert (len(posted), len(mailed)) == (1, 0)

    mended = settings.model_copy(update={"alerts": broken.model_copy(update={"smtp_port": port})})
    for _ in range(2):
        assert record(mended, store, MONDAY, [found(Status.RED)]) == ()

    assert (len(posted), len(mailed)) == (1, 1)
    assert len([entry for entry in caplog.records if entry.name == "bist_pipeline.alerts"]) == 1
    with connect(store) as connection:
        (episode,) = read_episodes(connection, "files")
    assert (episode.alerted_at is not None, episode.alerted_by) == (True, ["e-mail", "log", "webhook"])


def test_a_training_answers_the_requests_before_it_and_a_calibration_is_kept(store):
    request = RetrainRequest(FRIDAY, Wording("drifted", "kaydı"), False, NOW, None)
    assert write_request(store, "files", request)
    assert not write_request(store, "files", replace(request, forced=True))
    assert write_request(store, "files", replace(request, session=MONDAY, forced=True))
    calibration = StoredCalibration(
        *("bist-rank-63s", "2", FRIDAY, FRIDAY, ["beta_252", "vol_126"], "a" * 16, "b" * 16, "drift/x.npz"),
        *(104, 504, 0.02, NOW),
    )

    write_calibration(store, "files", calibration)
    answer_requests(store, "files", until=FRIDAY, model_version="2")

    with connect(store) as connection:
        known = read_calibration(connection, "files", name="bist-rank-63s", version="2")
        requests = read_requests(connection, "files")
    assert known == calibration
    assert [(r.session, r.reason, r.answered_by) for r in requests] == [
        (FRIDAY, Wording("drifted", "kaydı"), "2"),
        (MONDAY, Wording("drifted", "kaydı"), None),
    ]


def test_a_calibration_comes_back_as_it_was_and_damage_is_refused():
    days = pd.bdate_range("2020-01-01", periods=700)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"session": np.repeat(days.to_numpy(), 30), "tradable": True})
    table["symbol"] = np.tile([f"S{i:02}" for i in range(30)], 700)
    table["a"], table["score"] = rng.normal(size=(2, len(table)))
    calibration = build_calibration(
        table,
        {"a": 1},
        table.assign(move=table["a"], related_move=table["a"]),
        table,
        rng.normal(size=300),
        trained_until=days[-70].date(),
        champion_session=days[-1].date(),
    )

    content = to_bytes(calibration)
    back = from_bytes(content)

    assert to_bytes(back) == content
    assert (back.session, back.columns, len(back.daily_ic)) == (days[-1].date(), ("a",), 252)
    for name in REPLAYED:
        ours, stored = getattr(calibration, name), getattr(back, name)
        assert (ours.view, ours.columns, ours.reference_last) == (
            stored.view,
            stored.columns,
            stored.reference_last,
        )
        assert np.array_equal(stored.distances, ours.distances, equal_nan=True)
        assert (ours.ends[0] >= 0).sum() > 52
    for damaged in (content[:500], b"", b"no archive"):
        with pytest.raises(DriftInputError, match="cannot be read"):
            from_bytes(damaged)
