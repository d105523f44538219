"""Publishing 100,000 predictions, beside the server's own LOAD DATA and beside what people write first.

Run `python -m benchmarks.store`, with `--json` for machines, and `--server mysql` for MySQL instead of
MariaDB; a private server is started. Every way fills the same table with the same rows in one transaction;
readings alternate, and the best of each counts: other work on the machine only ever adds.

`load_data` is the server's floor: the file lies there already, and nothing is checked or published. The other
ways start from rows in Python, as a pipeline does; `ratio` compares them with the same LOAD DATA once it has
written its file, `ratio_ready` with the floor. `publish` ends with a whole batch checked and published.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, delete, insert
from sqlalchemy.orm import Session, registry

from bist_pipeline.store.engine import begin, open_engine, write_json
from bist_pipeline.store.migrate import upgrade
from bist_pipeline.store.schema import pipeline_runs, predictions, publications
from bist_pipeline.store.write import publish
from tests.database_servers import empty_database, run_mariadb, run_mysql
from tests.publishing import batch, run

SERVERS = {"mariadb": run_mariadb, "mysql": run_mysql}
Rows = list[dict[str, Any]]


class Prediction:
    """A row as an object, for the ORM."""


registry().map_imperatively(Prediction, predictions)


def save(rows: Rows, path: Path) -> None:
    """Write rows without special characters as LOAD DATA reads them."""
    columns = predictions.c.keys()
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            values = {**row, "drivers": write_json(row["drivers"]), "tradable": int(row["tradable"])}
            file.write("\t".join(str(values[name]) for name in columns) + "\n")


def load(connection: Connection, path: Path) -> None:
    columns = ", ".join(f"`{name}`" for name in predictions.c.keys())  # noqa: SIM118 - not a dict
    statement = f"LOAD DATA LOCAL INFILE %s INTO TABLE predictions CHARACTER SET utf8mb4 ({columns})"
    connection.exec_driver_sql(statement, (str(path),))


def load_from_rows(connection: Connection, rows: Rows, path: Path) -> None:
    save(rows, path)
    load(connection, path)


def add_all(connection: Connection, rows: Rows) -> None:
    with Session(connection) as session:
        session.add_all([Prediction(**row) for row in rows])
        session.flush()


def to_sql(connection: Connection, rows: Rows) -> None:
    frame = pd.DataFrame(rows)
    frame["drivers"] = frame["drivers"].map(write_json)
    frame.to_sql("predictions", connection, if_exists="append", index=False)


def build_ways(engine: Engine, plain: Engine, folder: Path, size: int) -> dict[str, Callable[[], None]]:
    """Every way to fill the table; `plain` may not read files."""
    ours = run("the-run", rows=size)
    shares = batch(0.25, rows=size)
    rows = [{**row, "run_id": ours.run_id, "session": ours.session} for row in shares]
    save(rows, folder / "ready.tsv")

    def alone(fill: Callable[..., None], *arguments: Any) -> Callable[[], None]:
        def way() -> None:
            with begin(engine) as connection:
                connection.execute(insert(pipeline_runs), asdict(ours))
                fill(connection, *arguments)

        return way

    return {
        "load_data": alone(load, folder / "ready.tsv"),
        "load_data_from_rows": alone(load_from_rows, rows, folder / "written.tsv"),
        "publish": lambda: publish(engine, ours, shares),
        "publish_without_local_infile": lambda: publish(plain, ours, shares),
        "pandas_to_sql": alone(to_sql, rows),
        "orm_add_all": alone(add_all, rows),
    }


def clear(engine: Engine) -> None:
    with begin(engine) as connection:
        for table in (publications, predictions, pipeline_runs):
            connection.execute(delete(table))


def measure(url: str, folder: Path, *, size: int, rounds: int) -> dict[str, float]:
    engine, plain = open_engine(url, can_load_files=True), open_engine(url)
    upgrade(engine)
    ways = build_ways(engine, plain, folder, size)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            clear(engine)
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    engine.dispose()
    plain.dispose()
    return {name: min(taken) for name, taken in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--server", choices=SERVERS, default="mariadb")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        SERVERS[asked.server]() as server,
        empty_database(server) as url,
    ):
        best = measure(url, Path(folder), size=asked.rows, rounds=asked.rounds)
    found = {
        name: {
            "seconds": round(taken, 3),
            "rows_per_second": round(asked.rows / taken),
            "ratio": round(taken / best["load_data_from_rows"], 2),
            "ratio_ready": round(taken / best["load_data"], 2),
        }
        for name, taken in best.items()
    }
    if asked.json:
        print(json.dumps({"server": asked.server, "rows": asked.rows, "ways": found}))
        return
    print(
        f"{f'{asked.rows:,} rows into {asked.server}':<32}"
        + "".join(f"{name:>17}" for name in found["publish"])
    )
    for name, figures in found.items():
        print(f"{name:<32}" + "".join(f"{figure:>17,}" for figure in figures.values()))


if __name__ == "__main__":
    main()
