"""The lake keeps its word on every kind of storage: a folder, memory, and a real server that speaks S3."""

import datetime as dt
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import s3fs

from bist_pipeline.errors import LakeUnavailableError, MissingDataError
from bist_pipeline.lake import Lake, content_hash
from bist_pipeline.lake.storage import open_storage
from tests.database_servers import free_port
from tests.lake_processes import WRITES

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MONDAY, TUESDAY, WEDNESDAY = (dt.date(2024, 6, day) for day in (24, 25, 26))

# One request at a time, so that looking and writing are one step, as they are on a server made for it.
SERVER = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", {port}, DomainDispatcherApplication(create_backend_app))
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an empty bucket on a private server; it ends with this module."""
    port = free_port()
    log = tmp_path_factory.mktemp("s3") / "server.log"
    with pytest.MonkeyPatch.context() as patch, log.open("w") as output:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(port=port)], stdout=output, stderr=output
        )
        try:
            wait_for(port, log)
            s3fs.S3FileSystem().mkdir("bist")
            yield "s3://bist"
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(port: int, log: Path) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the S3 server did not start within 30 s:\n{log.read_text()[-2000:]}")


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a lake that does not exist yet."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    place = "memory://" if request.param == "memory" else f"{request.getfixturevalue('s3')}/"
    return f"{place}{uuid.uuid4().hex}"


def bars(*sessions: dt.date, close: float = 1.0) -> pd.DataFrame:
    rows = [(pd.Timestamp(session), symbol, close) for session in sessions for symbol in ("GARAN", "THYAO")]
    return pd.DataFrame(rows, columns=["session", "symbol", "close"])


def test_days_corrections_and_old_versions_are_read_back(url):
    lake = Lake(url)
    with pytest.raises(MissingDataError):
        lake.read("prices")

    lake.write("prices", bars(MONDAY, TUESDAY), covers=(MONDAY, TUESDAY))
    seen = lake.write("prices", bars(WEDNESDAY), covers=(WEDNESDAY, WEDNESDAY))
    lake.write("prices", bars(TUESDAY, close=2.0), covers=(TUESDAY, TUESDAY))

    assert lake.read("prices")["close"].tolist() == [1, 1, 2, 2, 1, 1]
    assert Lake(url).require("prices").hash_until() == content_hash(lake.read("prices"))
    pd.testing.assert_frame_equal(lake.read("prices", version=seen), bars(MONDAY, TUESDAY, WEDNESDAY))
    assert lake.read("prices", since=WEDNESDAY, columns=["symbol"])["symbol"].tolist() == ["GARAN", "THYAO"]


def test_a_name_is_claimed_once_with_all_of_its_content(url):
    storage = open_storage(url)

    assert storage.claim("prices/versions/00000001.json", b"first")
    assert not storage.claim("prices/versions/00000001.json", b"second")

    assert storage.list_files("prices/versions") == ["00000001.json"]
    assert storage.list_files("prices") == []
    assert storage.read("prices/versions/00000001.json") == b"first"


def test_files_have_an_age_and_can_be_removed_twice(url):
    storage = open_storage(url)
    storage.add("prices/a.parquet", lambda file: file.write(b"rows"))

    assert (
        dt.timedelta() <= storage.age("prices/a.parquet") + dt.timedelta(seconds=2) < dt.timedelta(minutes=1)
    )
    storage.remove("prices/a.parquet")
    storage.remove("prices/a.parquet")

    assert storage.list_files("prices") == []


@pytest.mark.parametrize("url", ["folder", "s3"], indirect=True)
def test_of_two_processes_that_write_at_the_same_time_nothing_is_lost(url):
    writers = [start_writer(url, first) for first in ("2024-01-01", "2024-03-01")]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"

    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    outputs = [writer.communicate(timeout=50) for writer in writers]

    said = sorted(line for output, _ in outputs for line in output.split())
    assert [writer.returncode for writer in writers] == [0, 0], outputs
    assert len(said) == 2 * WRITES
    rows = Lake(url).read("prices")
    assert sorted(rows["session"].astype(str).unique()) == said
    assert len(rows) == 2 * len(said)


def start_writer(url: str, first: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.lake_processes", "write", url, first]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


def test_a_bucket_that_does_not_exist_is_named_and_not_made(s3):
    lake = Lake("s3://typo/lake")

    with pytest.raises(LakeUnavailableError, match="s3://typo/lake"):
        lake.write("prices", bars(MONDAY), covers=(MONDAY, MONDAY))

    assert not s3fs.S3FileSystem().exists("s3://typo")


def test_a_server_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()

    with pytest.raises(LakeUnavailableError, match=r"127\.0\.0\.1:1"):
        Lake("s3://bist/lake").read("prices")
