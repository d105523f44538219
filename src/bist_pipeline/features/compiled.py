"""Loops that numpy has no words for, compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function of arrays and numbers at its first call; later processes find it on disk.

    Division by zero gives infinity or NaN as in numpy, and no operation is reordered.
    """
    try:
        return cast("F", njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # neither this folder nor the user's own may be written: every process compiles
        return cast("F", njit(error_model="numpy")(function))
