"""Batches to publish, what readers see of them, and a writer in a process of its own that can be killed.

    python -m tests.publishing URL STATEMENT ROWS SECONDS

publishes score 2.0, says `inside` just before the first statement that begins with STATEMENT, and waits.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event, select

from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.schema import past_returns, predictions, price_series, publications
from bist_pipeline.store.write import History, Run, publish

SESSION = dt.date(2024, 6, 28)
# Enough for the way by a file, where the server allows it.
ROWS = 2_500


def run(run_id: str, *, session: dt.date = SESSION, rows: int = ROWS) -> Run:
    return Run(
        run_id=run_id,
        source="files",
        session=session,
        rows=rows,
        data_hash="d" * 16,
        model_name="bist-rank-63s",
        model_version="1",
        code_version="0",
        rank_ic=0.1,
        finished_at=dt.datetime.now(dt.UTC),
    )


def batch(score: float, *, rows: int = ROWS) -> list[dict[str, Any]]:
    return [
        {
            "symbol": f"S{i:05}",
            "horizon_sessions": 63,
            "score": score,
            "rank": i + 1,
            "percentile": 1 - i / rows,
            "expected_excess_return": score,
            "lower": score - 1,
            "upper": score + 1,
            "tradable": i % 3 > 0,
            "drivers": [{"feature": "vol_126", "contribution": 0.1, "value": 0.2}],
            "model_name": "bist-rank-63s",
            "model_version": "1",
        }
        for i in range(rows)
    ]


def history(score: float) -> History:
    """Two shares whose past return and last close are the score of the batch."""
    returns = [
        {"symbol": symbol, "window_sessions": 63, "past_return": score, "excess_return": None}
        for symbol in ("S00000", "S00001")
    ]
    series = [{"symbol": row["symbol"], "closes": [["2024-06-28", score]]} for row in returns]
    return History(returns, series)


def publish_score(engine: Engine, score: float, *, session: dt.date = SESSION, rows: int = ROWS) -> None:
    """Publish a batch in which every figure is `score`, by a run of its own."""
    name = f"{session}-{score}"
    publish(engine, run(name, session=session, rows=rows), batch(score, rows=rows), history=history(score))


def published(engine: Engine, *, session: dt.date = SESSION, rows: int = ROWS) -> float:
    """Return the one score that everything published shows; a mixture fails."""
    mine = predictions.join(publications, publications.c.run_id == predictions.c.run_id)
    with connect(engine) as connection:
        scores = connection.scalars(
            select(predictions.c.score).select_from(mine).where(publications.c.session == session)
        ).all()
        gains = connection.scalars(select(past_returns.c.past_return).filter_by(session=session)).all()
        charts = connection.execute(select(price_series.c.session, price_series.c.closes)).all()
    assert (len(scores), len(gains), len(charts)) == (rows, 2, 2)
    last = {closes[-1][1] for day, closes in charts if day == session}
    assert len({*scores, *gains, *last}) == 1
    return scores[0]


def before(
    engine: Engine, statement: str, act: Callable[[Connection], object], *, times: int = 1
) -> list[str]:
    """Call `act` just before the first statements that begin so, COMMIT too; returns those met so far."""
    met: list[str] = []

    def look(connection, _cursor=None, text="COMMIT", *_rest):  # type: ignore[no-untyped-def]
        if text.startswith(statement) and len(met) < times:
            met.append(text)
            act(connection)

    event.listen(engine, "before_cursor_execute", look)
    event.listen(engine, "commit", lambda connection: look(connection))
    return met


def main() -> None:
    url, statement, rows, seconds = sys.argv[1:]

    def stop(_connection: object) -> None:
        print("inside", flush=True)  # noqa: T201 - whoever started this process waits for it
        time.sleep(float(seconds))

    engine = open_engine(url, can_load_files=True)
    before(engine, statement, stop)
    publish_score(engine, 2.0, rows=int(rows))


if __name__ == "__main__":
    main()
