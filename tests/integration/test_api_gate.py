"""What every request passes first: names, limits, API keys; and the headers every answer leaves with."""

import asyncio
import hashlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from bist_pipeline.config import ServingSettings, Settings
from bist_pipeline.errors import ConfigError
from serving import shelf
from serving.app import create_app
from serving.gate import MAX_ADDRESS_CHARACTERS, MAX_BODY_BYTES, Gate
from serving.problem_texts import PROBLEMS
from serving.secrets import check_secrets
from tests.api_client import problem_of

URL = "mysql+mysqldb://bist:{password}@localhost/bist"
PATH = "/api/v1/predictions"


def client_of(**serving: object) -> TestClient:
    settings = Settings(database_url="sqlite://", serving=ServingSettings(**serving))
    return TestClient(create_app(settings), base_url="http://localhost", raise_server_exceptions=False)


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def api() -> Iterator[TestClient]:
    with client_of() as client:
        yield client


@pytest.mark.parametrize("path", ["/health/live", "/", "/docs", "/no/such/page", PATH, "/static/docs.js"])
def test_every_answer_forbids_inline_scripts_guessed_types_and_frames(api, path):
    headers = api.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:80", "", "xn--127"])
def test_a_host_nobody_named_is_refused(api, host):
    problem_of(api.get("/health/live", headers={"Host": host}), 400, "untrusted-host")


@pytest.mark.parametrize("host", ["ranks.example.org", "RANKS.example.org:8443", "[::1]:8000"])
def test_named_hosts_are_served_at_any_port(host):
    with client_of(trusted_hosts=("*.example.org", "[::1]")) as api:
        assert api.get("/health/live", headers={"Host": host}).status_code == 200
        assert api.get("/health/live", headers={"Host": "example.org"}).status_code == 400


def test_bodies_and_addresses_have_an_end(api):
    sent = {"content": b"x" * (MAX_BODY_BYTES + 1)}
    problem_of(api.request("GET", PATH, **sent), 413, "body-too-large")
    problem_of(api.get(f"{PATH}?sector={'x' * MAX_ADDRESS_CHARACTERS}"), 414, "address-too-long")


def test_with_keys_the_api_is_for_their_owners_and_the_rest_for_everyone():
    with client_of(api_keys={"anna": hash_of("k1"), "bora": hash_of("k2")}) as api:
        for key in ({}, {"X-API-Key": "k3"}, {"X-API-Key": hash_of("k1")}, {"X-API-Key": ""}):
            refused = api.get(PATH, headers=key)
            problem_of(refused, 401, "key-required")
            assert refused.headers["www-authenticate"]
        problem_of(api.get(PATH, headers={"X-API-Key": "k2"}), 503, "schema-mismatch")
        assert api.get("/health/live").status_code == 200


def test_each_key_has_an_allowance_of_its_own():
    keys = {"anna": hash_of("k1"), "bora": hash_of("k2")}
    with client_of(api_keys=keys, requests_per_minute=2) as api:
        statuses = [api.get(PATH, headers={"X-API-Key": "k1"}).status_code for _ in range(3)]
        assert statuses == [503, 503, 429]
        refused = api.get(PATH, headers={"X-API-Key": "k1"})
        problem_of(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert api.get(PATH, headers={"X-API-Key": "k2"}).status_code == 503


@pytest.mark.parametrize(
    ("wanted", "language", "title"),
    [("tr-TR,tr;q=0.9,en;q=0.8", "tr", "Bulunamadı"), ("de", "en", "Not found"), ("", "en", "Not found")],
)
def test_problems_are_told_in_turkish_or_english(api, wanted, language, title):
    answer = api.get("/api/v9", headers={"Accept-Language": wanted})
    assert problem_of(answer, 404, "not-found")["title"] == title
    assert answer.headers["content-language"] == language


@pytest.mark.parametrize("kind", PROBLEMS)
def test_both_languages_of_a_problem_tell_the_same_facts(kind):
    braces = [
        [{part.split("}")[0].split("!")[0] for part in text.split("{")[1:]} for text in texts]
        for texts in PROBLEMS[kind].values()
    ]
    assert len(braces) == 2
    assert braces[0] == braces[1]


def test_what_leads_on_is_told_in_the_language_of_the_problem(api):
    found = {
        language: problem_of(api.get(PATH, headers={"Accept-Language": language}), 503, "schema-mismatch")[
            "next"
        ]
        for language in ("en", "tr")
    }
    assert "an older schema" in found["en"]
    assert "eski şemada" in found["tr"]


@pytest.mark.parametrize(
    ("path", "host", "status", "title"),
    [
        ("/", "evil.example", 400, "Bu sunucunun adı bu değil"),
        (f"/?q={'x' * MAX_ADDRESS_CHARACTERS}", "localhost", 414, "Adres çok uzun"),
    ],
)
def test_who_is_refused_at_a_browser_sees_a_page(api, path, host, status, title):
    person = {"Host": host, "Accept": "text/html,*/*;q=0.8", "Accept-Language": "tr"}
    answer = api.get(path, headers=person)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{title}</h1>" in answer.text
    assert "x" * 100 not in answer.text


@pytest.mark.parametrize("password", ["bist", "password", "change-me", ""])
def test_in_production_sample_passwords_are_refused(password):
    production = ServingSettings(environment="production")
    url = URL.format(password=password)
    with pytest.raises(ConfigError, match="sample"):
        check_secrets(Settings(database_url=url, serving=production))
    check_secrets(Settings(database_url=url))
    check_secrets(Settings(database_url=URL.format(password="f1d2a7c9"), serving=production))


def test_in_production_sample_keys_are_refused():
    keys = {"anna": hash_of("change-me"), "bora": hash_of("f1d2a7c9")}
    serving = ServingSettings(environment="production", api_keys=keys)
    with pytest.raises(ConfigError, match="The API key of anna is a sample"):
        check_secrets(Settings(database_url="sqlite://", serving=serving))


def test_a_client_that_hangs_up_before_its_answer_is_counted_as_such():
    async def send_nothing(scope, receive, send):  # as an application does whose reader has gone
        pass

    app = create_app(Settings(database_url="sqlite://"))
    gate = Gate(send_nothing, settings=ServingSettings(), metrics=app.state.metrics)
    scope = {"type": "http", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(gate(scope, None, None))

    counted = [line for line in app.state.metrics.render().decode().splitlines() if "requests_total{" in line]
    assert counted == ['bist_requests_total{route="other",status="499"} 1.0']


def test_finished_answers_never_fill_the_memory(monkeypatch):
    monkeypatch.setattr(shelf, "MAX_ANSWERS", 10)
    monkeypatch.setattr(shelf, "MAX_BYTES", 5000)
    kept = type("Snapshot", (), {"shelf": {}})()
    finished = shelf._Finished((), b"x" * 900, b"", None)
    sizes = []
    for number in range(100):
        shelf._put(kept, ("/api", str(number).encode(), None, None), finished)
        sizes.append(len(kept.shelf))
    assert max(sizes) <= 6
    assert ("/api", b"99", None, None) in kept.shelf
