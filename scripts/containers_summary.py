"""What `make containers-test` tried and how it went."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from containers_system import ROOT, ContainersError


def expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001
    """Stop with a sentence."""
    if not is_so:
        raise ContainersError(otherwise)


class Summary:
    """What was tried and how it went: steps, and the parts they belong to."""

    def __init__(self, work: Path, skipped: set[str]) -> None:
        self.work, self.skipped = work, skipped
        self.lines: list[str] = []
        self.parts: list[tuple[str, str, float]] = []

    @contextmanager
    def part(self, name: str, what: str) -> Iterator[None]:
        """Steps that go together; time and outcome of the part are kept."""
        self.say(f"-- {name}: {what}")
        started = time.monotonic()
        self.parts.append((what, "FAILED", 0.0))
        try:
            yield
            self.parts[-1] = (what, "ok", 0.0)
        finally:
            self.parts[-1] = (*self.parts[-1][:2], time.monotonic() - started)

    def step(self, name: str, check: Callable[[], object]) -> None:
        """Do one thing; keep its outcome in a line."""
        started = time.monotonic()
        outcome = check()
        took = time.monotonic() - started
        self.say(f"ok   {took:6.1f} s  {name}{f': {outcome}' if outcome else ''}")

    def say(self, line: str) -> None:
        """Show a line, and keep it."""
        self.lines.append(line)
        (self.work / "summary.txt").write_text("\n".join(self.lines) + "\n")
        print(line, flush=True)  # noqa: T201

    def close(self, verdict: str) -> None:
        """Show the verdict and the parts, and write them as a table."""
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, text=True, cwd=ROOT, check=False,
        ).stdout.strip()  # fmt: skip
        when = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}"
        self.say(f"{verdict} ({when})")
        for what, outcome, seconds in self.parts:
            self.say(f"  {outcome:<8}{seconds:6.0f} s  {what}")
        rows = [f"| {what} | {outcome} | {seconds:.0f} |" for what, outcome, seconds in self.parts]
        table = [f"{verdict}: {when}.", "", "| part | result | seconds |", "|---|---|---|", *rows, ""]
        (self.work / "summary.md").write_text("\n".join(table))
