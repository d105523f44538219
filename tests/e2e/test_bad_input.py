"""Bad input ends in one error that says what to do; nothing is published, the batch before stays served."""

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.command_line import SESSION


def small_table(**columns) -> pd.DataFrame:
    prices = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({"date": [str(SESSION)] * 2, "symbol": ["GARAN", "THYAO"], **prices, **columns})


def write_garbage(path):
    path.write_bytes(b"PAR1 this is no parquet file PAR1")


FILES = {
    "missing path": (
        "nothing.parquet",
        lambda path: None,
        "SourceNotFoundError",
        "nothing.parquet cannot be opened",
    ),
    "unreadable file": ("damaged.parquet", write_garbage, "SourceContentError", "cannot be read"),
    "wrong columns": (
        "wrong.csv",
        lambda path: path.write_text("a,b\n1,2\n"),
        "SourceContentError",
        "lacks 5 of 5 price columns",
    ),
    "missing column": (
        "short.csv",
        lambda path: small_table().drop(columns="volume").to_csv(path, index=False),
        "SourceContentError",
        "volume",
    ),
    "empty file": ("empty.csv", lambda path: path.touch(), "SourceContentError", "empty"),
    "no rows": (
        "headers.csv",
        lambda path: small_table().head(0).to_csv(path, index=False),
        "SourceContentError",
        "no rows",
    ),
    "text in a number column": (
        "text.csv",
        lambda path: small_table(close=["1.0", "n/k"]).to_csv(path, index=False),
        "SourceContentError",
        "n/k",
    ),
}


def assert_refused(result, error: str, words: str) -> None:
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    said = json.loads(result.stdout)
    assert set(said) == {"error", "message", "next"}
    assert said["error"] == error
    assert words in said["message"]
    assert said["next"]


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_price_table_is_refused(bist, tmp_path, case):
    name, write, error, words = FILES[case]
    write(tmp_path / name)
    before = bist.published()

    result = bist("run", "--source-path", str(tmp_path / name), "--session", str(SESSION), "--json")

    assert_refused(result, error, words)
    assert bist.published() == before


@pytest.mark.parametrize(
    ("session", "error", "words"),
    [
        ("2024-06-29", "NotASessionError", "--session 2024-06-28"),
        ("2023-02-08", "NotASessionError", "earthquake"),
        ("2019-06-28", "SessionOutOfRangeError", "from 2021-01-04 to 2024-06-28"),
        ("2024-07-01", "SessionOutOfRangeError", "from 2021-01-04 to 2024-06-28"),
        ("2031-01-02", "SessionOutOfRangeError", "known trading calendar"),
    ],
)
def test_a_session_that_cannot_be_processed_is_refused(bist, session, error, words):
    before = bist.published()

    result = bist("run", "--session", session, "--json")

    assert_refused(result, error, words)
    assert bist.published() == before


@pytest.mark.parametrize("session", ["28.06.2024", "tomorrow", ""])
def test_a_session_that_is_no_date_is_a_usage_error(bist, session):
    result = bist("run", "--session", session)

    assert result.exit_code == 2
    assert "--session" in result.output


def test_too_short_a_history_trains_nothing(bist):
    before = bist.published()

    result = bist("run", "--session", "2021-06-28", "--json")

    assert_refused(result, "InsufficientDataError", "30 tradable shares")
    assert bist.published() == before


@pytest.mark.parametrize(
    "url", ["mysql+mysqldb://nobody@127.0.0.1:1/bist", "sqlite:////proc/no/bist.db"], ids=["mysql", "sqlite"]
)
def test_an_unreachable_database_publishes_nothing(bist, url):
    before = bist.published()

    result = bist("run", "--session", str(SESSION), "--json", "--database-url", url)

    assert_refused(result, "DatabaseUnavailableError", "database")
    assert bist.published() == before


def test_a_database_of_an_unknown_kind_is_a_setting_to_correct(bist):
    assert_refused(
        bist("run", "--json", "--database-url", "oracle://x/y"), "ConfigError", "BIST_DATABASE_URL"
    )


def test_a_port_in_use_starts_no_api(bist):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = bist("serve", "--port", str(port))

    assert result.exit_code == 1
    assert f"port {port} of 127.0.0.1: Address already in use" in result.stderr
    assert f"bist serve --port {port + 1}" in result.stderr


def test_an_unreachable_mlflow_server_publishes_nothing(bist):
    before = bist.published()

    result = bist("run", "--session", str(SESSION), "--json", BIST_MLFLOW_URL="http://127.0.0.1:1")

    assert_refused(result, "RegistryUnavailableError", "http://127.0.0.1:1")
    assert bist.published() == before


def test_a_lake_that_cannot_be_written_publishes_nothing(bist):
    before = bist.published()

    result = bist("run", "--session", str(SESSION), "--json", "--lake", "/proc/lake")

    assert_refused(result, "LakeUnavailableError", "/proc/lake")
    assert bist.published() == before


def test_a_lake_on_a_full_disk_publishes_nothing(bist, tmp_path):
    """The kernel refuses every byte beyond the limit of a file's size, as a full disk does."""
    before = bist.published()

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    result = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("bist")), "ingest", "--session", str(SESSION), "--json"),
            *("--lake", str(tmp_path / "small")),
        ],
        env={
            **bist.environment,
            "BIST_HOME": str(bist.home),
            "BIST_SOURCE_PATH": str(bist.prices),
            "PYTHONDONTWRITEBYTECODE": "1",  # bytecode cut off by the limit would break every later process
        },
        preexec_fn=fill_the_disk,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1, result.stderr
    assert json.loads(result.stdout)["error"] == "LakeUnavailableError"
    assert bist.published() == before


def test_a_blocked_session_keeps_the_batch_before(bist, tmp_path):
    before = bist.published()
    prices = pd.read_parquet(bist.prices)
    today = prices["date"] == prices["date"].max()
    prices.loc[today, "volume"] = 0.0
    bist.prices = tmp_path / "silent.parquet"
    prices.to_parquet(bist.prices)

    result = bist("run", "--session", str(SESSION), "--json")

    assert_refused(result, "DataQualityError", "blocked")
    assert bist.published() == before


def test_a_setting_out_of_range_names_itself(bist):
    assert_refused(bist("run", "--json", BIST_HORIZON_SESSIONS="0"), "ConfigError", "horizon_sessions")


def test_nothing_published_yet_says_how_to_begin(bist, tmp_path):
    bist.home = tmp_path / "new"

    result = bist("top")

    assert result.exit_code == 1
    assert "bist run" in result.output
