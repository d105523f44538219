"""The API beside a static FastAPI endpoint that sends the same bytes, and 100 publications under load.

Run `python -m benchmarks.serving`, with `--json` for machines. Both servers run with one worker in processes
of their own, and are asked in turns over 16 connections, compressed as browsers and most clients ask and
plain; the median round counts. The static one sends what ours sent, compressed or not. Other work on the
machine disturbs rates and waits, but hardly the processor time that a server takes for a request: both ratios
are printed.

`--soak MINUTES` instead asks for everything a reader can ask for, 40 times a second, with a publication every
20 seconds, and prints the server's memory every minute.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from random import Random
from statistics import linear_regression, median, quantiles
from typing import Any

import uvloop
from fastapi import FastAPI, Request
from fastapi.responses import Response
from sqlalchemy import Engine

from bist_pipeline.calendar import Session
from bist_pipeline.store.engine import open_engine
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.store.write import Run, publish, write_securities, write_sessions

SHARES, CONNECTIONS, ROUNDS, PUBLICATIONS = 600, 16, 7, 100
CASES = {
    "one share": ("/api/v1/predictions/S0007", 3000),
    "top 50": ("/api/v1/predictions?limit=50", 2000),
    "all 600": ("/api/v1/predictions?limit=1000", 300),
}
ENCODINGS = ("gzip", "identity")
SOAK_CONNECTIONS, SOAK_PAUSE_S, SOAK_PUBLISH_EVERY_S = 8, 0.2, 20
# Until the caches of libraries and allocator are full; the trend is that of the time after.
SOAK_WARM_MINUTES = 10
SESSION = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)


def invent_driver(draws: Random) -> dict[str, Any]:
    """What moved a share, as the pipeline words it."""
    window, percent, share = draws.choice((21, 63, 126, 252)), draws.uniform(0, 9), draws.randint(1, 99)
    return {
        "feature": f"{draws.choice(('vol', 'range', 'drawdown', 'turnover', 'beta'))}_{window}_rank",
        "contribution": draws.gauss(0, 0.3),
        "value": draws.random(),
        "raw": percent / 100,
        "text": {
            "en": f"Volatility over {window} sessions is {percent:.1f} % a day, "
            f"lower than for {share} % of shares: raises the rank.",
            "tr": f"{window} seanslık oynaklık: günlük %{percent:.1f}, hisselerin %{share} kadarından düşük; "
            "sırayı yükseltiyor.",
        },
    }


def publish_batch(engine: Engine, version: int) -> str:
    """Publish 600 shares with five worded drivers each, as the pipeline does.

    No two are alike, so that they are compressed no better than real ones.
    """
    draws = Random(version)  # noqa: S311
    model = {"model_name": "bist-rank-63s", "model_version": str(version)}
    rows = [
        {
            **model,
            "symbol": f"S{place:04}",
            "horizon_sessions": 63,
            "score": version - place / SHARES,
            "rank": place + 1,
            "percentile": 1 - place / SHARES,
            "expected_excess_return": 0.07 - place / 5000,
            "lower": -draws.random(),
            "upper": draws.random(),
            "tradable": True,
            "drivers": [invent_driver(draws) for _ in range(5)],
        }
        for place in range(SHARES)
    ]
    run = Run(
        f"files-{version}",
        source="files",
        session=SESSION,
        rows=SHARES,
        data_hash="",
        code_version="",
        rank_ic=0.1,
        finished_at=dt.datetime.now(dt.UTC),
        **model,
    )
    publish(engine, run, rows)
    return run.run_id


def fill(engine: Engine) -> None:
    upgrade(engine)
    days = [SESSION, SESSION + dt.timedelta(days=60)]
    noons = [dt.datetime.combine(day, dt.time(12), dt.UTC) for day in days]
    write_sessions(
        engine, [Session(day, noon, noon, is_half_day=False) for day, noon in zip(days, noons, strict=True)]
    )
    names = [
        {"symbol": f"S{n:04}", "name": f"Şirket {n} A.Ş.", "sector": f"Sektör {n % 10}"}
        for n in range(SHARES)
    ]
    write_securities(engine, "files", names)
    publish_batch(engine, 0)


def create_static_app() -> FastAPI:
    """What nobody can be faster than with FastAPI: bytes from memory, with no question asked."""
    app = FastAPI()
    bodies = {number: Path(path).read_bytes() for number, path in enumerate(os.environ["BODIES"].split(":"))}
    encodings = os.environ["ENCODINGS"].split(":")

    @app.get("/{number}")
    async def send(number: int, request: Request) -> Response:
        compressed = {"Content-Encoding": "gzip"} if encodings[number] == "gzip" else {}
        headers = {"ETag": 'W/"0"', **compressed}
        return Response(bodies[number], media_type="application/json", headers=headers)

    return app


@dataclass
class Server:
    """A server in a process of its own."""

    pid: int
    port: int

    def request(self, path: str, encoding: str = "identity") -> bytes:
        lines = f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Accept-Encoding: {encoding}"
        return "\r\n".join([*lines, "", ""]).encode()

    def cpu_seconds(self) -> float:
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def run_server(factory: str, **environment: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port)]
    quiet = ["--log-level", "warning", "--no-access-log"]
    process = subprocess.Popen([*command, *quiet], env={**os.environ, **environment})  # noqa: S603 - ours
    try:
        server = Server(process.pid, port)
        asyncio.run(wait_for(server))
        yield server
    finally:
        process.terminate()
        process.wait(30)


async def wait_for(server: Server) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError("the server did not start")


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bytes]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    return int(head[9:12]), await reader.readexactly(length)


async def fetch(server: Server, path: str, encoding: str = "identity") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**24)
    status, body = await ask(reader, writer, server.request(path, encoding))
    assert status == 200, body
    writer.close()
    return body


@dataclass
class Load:
    """What a load met: waits in seconds, and answers that were not 200."""

    waits: list[float] = field(default_factory=list)
    failures: int = 0

    async def connection(
        self, server: Server, path: str, requests: int | threading.Event, encoding: str = "identity"
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**24)
        request = server.request(path, encoding)
        left = requests if isinstance(requests, int) else -1
        while left and not (isinstance(requests, threading.Event) and requests.is_set()):
            started = time.perf_counter()
            status, _ = await ask(reader, writer, request)
            self.waits.append(time.perf_counter() - started)
            self.failures += status != 200
            left -= 1
        writer.close()

    async def reader(self, server: Server, first: int, done: threading.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**24)
        for number in count(first, SOAK_CONNECTIONS):
            if done.is_set():
                break
            path, expected = wish(number)
            started = time.perf_counter()
            status, _ = await ask(reader, writer, server.request(path))
            self.waits.append(time.perf_counter() - started)
            if status != expected:
                self.failures += 1
                print(f"{path}: {status}", flush=True)
            await asyncio.sleep(SOAK_PAUSE_S)
        writer.close()


def wish(number: int) -> tuple[str, int]:
    """What the n-th request of a soak asks for, and the status it should get; many are asked only once."""
    share = f"S{number % SHARES:04}"
    wishes = [
        *((path, 200) for path, _ in CASES.values()),
        (f"/api/v1/predictions?limit={number % 997 + 1}&sort=-lower", 200),
        (f"/api/v1/predictions?min_excess=-0.{number:09}", 200),
        (f"/api/v1/predictions/{share}", 200),
        (f"/api/v1/predictions/{share}/history", 200),
        (f"/api/v1/predictions/NOBODY{number}", 404),
        *((f"/api/v1/{name}", 200) for name in ("scorecard", "models/champion", "drift", "runs")),
        *(
            (path, 200)
            for path in ("/", "/model", "/drift", f"/symbols/{share}", "/metrics", "/health/ready")
        ),
        (f"/no/such/page/{number}", 404),
    ]
    return wishes[number % len(wishes)]


def soak(engine: Engine, ours: Server, minutes: int) -> dict[str, float]:
    """Ask for an hour or more while batches are published; print what the server holds every minute."""
    load, done = Load(), threading.Event()

    async def ask_all_the_time() -> None:
        await asyncio.gather(*(load.reader(ours, first, done) for first in range(SOAK_CONNECTIONS)))

    thread = threading.Thread(target=uvloop.run, args=(ask_all_the_time(),))
    thread.start()
    memory, per_minute, started = [], 60 // SOAK_PUBLISH_EVERY_S, time.monotonic()
    try:
        for version in range(1, minutes * per_minute + 1):
            publish_batch(engine, version)
            time.sleep(max(started + version * SOAK_PUBLISH_EVERY_S - time.monotonic(), 0))
            assert thread.is_alive(), "the load has ended"
            if version % per_minute == 0:
                memory.append(ours.resident_mb())
                told = f"{len(load.waits)} requests, {load.failures} failures, {version} publications"
                print(f"minute {len(memory):4}{memory[-1]:10.1f} MB   {told}", flush=True)
    finally:
        done.set()
        thread.join()
    rest = memory[min(SOAK_WARM_MINUTES, len(memory) // 2) :]
    trend = linear_regression(range(len(rest)), rest).slope * 60 if len(rest) > 1 else float("nan")
    return {
        "requests": len(load.waits),
        "failures": load.failures,
        "first_mb": memory[0],
        "last_mb": memory[-1],
        "most_mb": max(memory),
        "trend_mb_an_hour": trend,
    }


def measure(server: Server, path: str, requests: int, encoding: str) -> tuple[float, float, list[float]]:
    """Requests a second, processor seconds of the server a request, and waits."""

    async def load() -> Load:
        found = Load()
        share = requests // CONNECTIONS
        wishes = (found.connection(server, path, share, encoding) for _ in range(CONNECTIONS))
        await asyncio.gather(*wishes)
        return found

    before, started = server.cpu_seconds(), time.perf_counter()
    found = uvloop.run(load())
    elapsed = time.perf_counter() - started
    assert not found.failures
    done = len(found.waits)
    return done / elapsed, (server.cpu_seconds() - before) / done, found.waits


def compare(ours: Server, static: Server) -> dict[str, dict[str, float]]:
    """Ask both in turns; the median round counts."""
    found = {}
    for number, ((name, (path, requests)), encoding) in enumerate(product(CASES.items(), ENCODINGS)):
        rounds = [
            (measure(static, f"/{number}", requests, encoding), measure(ours, path, requests, encoding))
            for _ in range(ROUNDS)
        ]
        static_p99, p99 = (median(_p99_ms(one[2]) for one in column) for column in zip(*rounds, strict=True))
        found[f"{name}, {encoding}"] = {
            "bytes": len(uvloop.run(fetch(ours, path, encoding))),
            "requests_per_second": median(mine[0] for _, mine in rounds),
            "static_requests_per_second": median(other[0] for other, _ in rounds),
            "rate_ratio": median(mine[0] / other[0] for other, mine in rounds),
            "cpu_ratio": median(other[1] / mine[1] for other, mine in rounds),
            "p99_ms": p99,
            "static_p99_ms": static_p99,
        }
    return found


def _p99_ms(waits: list[float]) -> float:
    return 1000 * quantiles(waits, n=100)[98]


def publish_under_load(engine: Engine, ours: Server) -> dict[str, float]:
    """Publish again and again while 16 connections ask; after each, wait until it is seen."""
    load, done, lags = Load(), threading.Event(), []

    async def ask_all_the_time() -> None:
        paths = [path for path, _ in CASES.values()] + ["/api/v1/predictions?sort=-lower&tradable=true"]
        await asyncio.gather(
            *(load.connection(ours, paths[n % len(paths)], done) for n in range(CONNECTIONS))
        )

    memory = {0: ours.resident_mb()}
    thread = threading.Thread(target=uvloop.run, args=(ask_all_the_time(),))
    thread.start()
    try:
        for version in range(1, PUBLICATIONS + 1):
            run_id = publish_batch(engine, version).encode()
            committed = time.perf_counter()
            while run_id + b'"' not in uvloop.run(fetch(ours, "/api/v1/predictions?limit=1")):
                time.sleep(0.005)
            lags.append(time.perf_counter() - committed)
            memory[version] = ours.resident_mb()
    finally:
        done.set()
        thread.join()
    return {
        "publications": len(lags),
        "requests": len(load.waits),
        "failures": load.failures,
        "visible_median_s": median(lags),
        "visible_worst_s": max(lags),
        **{f"memory_after_{version}_mb": memory[version] for version in (0, 20, 60, PUBLICATIONS)},
    }


def run(database_url: str, home: Path, *, soak_minutes: int) -> dict[str, Any]:
    engine = open_engine(database_url or f"sqlite:///{home}/bist.db", can_load_files=True)
    fill(engine)
    url = engine.url.render_as_string(hide_password=False)
    with run_server("serving.app:create_app", BIST_DATABASE_URL=url) as ours:
        if soak_minutes:
            return {"soak": soak(engine, ours, soak_minutes)}
        asked = list(product(CASES.values(), ENCODINGS))
        bodies = [home / str(number) for number in range(len(asked))]
        for body, ((path, _), encoding) in zip(bodies, asked, strict=True):
            body.write_bytes(uvloop.run(fetch(ours, path, encoding)))
        given = {
            "BODIES": ":".join(map(str, bodies)),
            "ENCODINGS": ":".join(encoding for _, encoding in asked),
        }
        with run_server("benchmarks.serving:create_static_app", **given) as static:
            speed = compare(ours, static)
        published = publish_under_load(engine, ours)
    load_average = os.getloadavg()[0]
    return {
        "database": engine.name,
        "speed": speed,
        "publications": published,
        "load_average": load_average,
    }


def show(found: dict[str, Any]) -> None:
    if "soak" in found:
        show_values(found["soak"])
        return
    print(f"database: {found['database']}")
    heads = ("bytes", "req/s", "static", "rate", "cpu", "p99 ms", "static")
    print(f"{'':20}" + "".join(f"{head:>8}" for head in heads) + "   (reach: >= 0.8, <= 5 ms idle)")
    for name, row in found["speed"].items():
        print(
            f"{name:20}{row['bytes']:8}{row['requests_per_second']:8.0f}{row['static_requests_per_second']:8.0f}"
            f"{row['rate_ratio']:8.2f}{row['cpu_ratio']:8.2f}{row['p99_ms']:8.1f}"
            f"{row['static_p99_ms']:8.1f}"
        )
    show_values(found["publications"])
    print(f"load average of the machine: {found['load_average']:.1f}")


def show_values(values: dict[str, Any]) -> None:
    for name, value in values.items():
        print(f"{name:20}{value:10.3f}" if isinstance(value, float) else f"{name:20}{value:10}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--database-url", default="", help="an empty database; SQLite in a new folder by default"
    )
    parser.add_argument("--soak", type=int, default=0, metavar="MINUTES", help="watch memory for so long")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = run(options.database_url, Path(home), soak_minutes=options.soak)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
