"""One file per stage; each is a function `stage(settings, session) -> Receipt`.

A snapshot has no history, so that the same seven words mean something else for it: `snapshot.py` has all
seven, and `find_stage` chooses. The others know nothing of it. `folds.py` has the two steps into which an
orchestrator may take apart the first half of `train`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bist_pipeline.receipt import Receipt


FOLDS = ("plan_folds", "run_fold")


def find_stage(name: str, source: str) -> Callable[..., Receipt]:
    """Return the stage that the source needs; imported here, because a stage's libraries take seconds."""
    module = "snapshot" if source == "snapshot" else "folds" if name in FOLDS else name
    stage: Callable[..., Receipt] = getattr(import_module(f"bist_pipeline.stages.{module}"), name)
    return stage
