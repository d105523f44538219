"""How programs of this package log: lines for people, or one JSON object a line for machines.

>>> record = logging.makeLogRecord({"name": "serving", "msg": "ready", "session": "2024-06-28"})
>>> json.loads(JsonFormatter().format(record))["session"]
'2024-06-28'
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import logging.config
import sys
from typing import Any

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_BOUND: dict[str, Any] = {}


def bind(**fields: Any) -> None:
    """Put fields, such as `run_id` and `session`, on every line that this process logs from here on."""
    _BOUND.update(fields)


class JsonFormatter(logging.Formatter):
    """One object a line; what a call gives as `extra`, such as `session` and `run_id`, are fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "timestamp": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_BOUND,
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Compact as Airflow's own lines are, so that one search finds both.
        return json.dumps(line, default=str, ensure_ascii=False, separators=(",", ":"))


def log_config(*, as_json: bool) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` and uvicorn take; everything goes to standard error.

    Parameters
    ----------
    as_json : bool
        For machines; else a line for people.
    """
    text = {"format": "%(asctime)s %(levelname)-8s %(name)s: %(message)s"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": JsonFormatter} if as_json else text},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["stderr"]},
        # It names each of its parts whenever it is loaded.
        "loggers": {"alembic.runtime.plugins": {"level": "WARNING"}},
    }


def log_as_json() -> None:
    """Let everything that this process has to say be one JSON object a line, warnings and crashes too."""
    logging.config.dictConfig(log_config(as_json=True))
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda *crash: logging.getLogger("bist").critical("crashed", exc_info=crash)
