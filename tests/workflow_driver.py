"""Executes the `run:` steps of a workflow on this machine, as a runner would."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# What a runner brings itself; any other action would have to be executed.
KNOWN_ACTIONS = ("actions/checkout@",)
EXPRESSION = re.compile(r"\$\{\{\s*(\w+)\.(\w+)\s*\}\}")


@dataclass(frozen=True)
class Step:
    """A step that was executed."""

    job: str
    command: str
    status: int
    output: str


def run_workflow(
    path: Path, folder: Path, *, environment: Mapping[str, str], secrets: Mapping[str, str]
) -> list[Step]:
    """Execute a workflow's steps in `folder`; a job ends with its first failure, as does what needs it."""
    workflow = yaml.safe_load(path.read_text())
    done: list[Step] = []
    for name, job in workflow["jobs"].items():
        if job.get("needs") in {step.job for step in done if step.status}:
            continue
        for step in job["steps"]:
            if "uses" in step:
                assert step["uses"].startswith(KNOWN_ACTIONS), f"the driver does not know {step['uses']}"
                continue
            given = {**(job.get("env") or {}), **(step.get("env") or {})}
            values = {key: filled(str(value), secrets) for key, value in given.items()}
            done.append(execute(name, filled(step["run"], secrets), folder, {**environment, **values}))
            if done[-1].status:
                break
    return done


def execute(job: str, command: str, folder: Path, environment: Mapping[str, str]) -> Step:
    """Execute one step with the shell and the flags of a runner."""
    shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command]
    ended = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return Step(job, command, ended.returncode, ended.stdout + ended.stderr)


def filled(text: str, secrets: Mapping[str, str]) -> str:
    """Put secrets in the place of their expressions; other expressions are not understood."""

    def value(match: re.Match[str]) -> str:
        assert match[1] == "secrets", f"the driver does not know {match[0]}"
        return secrets[match[2]]

    return EXPRESSION.sub(value, text)


def steps_of(path: Path) -> Iterator[dict[str, Any]]:
    """All steps of a workflow."""
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        yield from job["steps"]
