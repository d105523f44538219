"""Errors keep what they know on their way through processes, and every class says what to do with a task."""

import pickle

import pytest

from bist_pipeline import errors
from bist_pipeline.errors import BistError, DriftInputError, Policy
from bist_pipeline.wording import Wording

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BistError)]


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_the_way_back_from_a_worker_process(cls):
    what = "3 of 5 arrived."
    told = Wording(what, "5 hisseden 3 tanesi geldi.") if cls is DriftInputError else what
    error = cls(told, which=["A", "B"], consequence="Nothing.", next_step="bist ingest")

    back = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert type(back) is cls
    assert vars(back) == vars(error)
    assert (back.what, back.which, back.consequence) == (what, ("A", "B"), "Nothing.")
    assert str(back) == str(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_in_the_docstring_names_every_class_and_its_policy(cls):
    (line,) = [
        line
        for line in errors.__doc__.splitlines()
        if line.split("─ ")[-1].strip().split(" ")[0] == cls.__name__
    ]

    if line.rstrip().split()[-1] in {policy.value for policy in Policy}:
        assert line.rstrip().endswith(cls.policy.value)


def test_long_lists_are_counted_and_not_printed():
    assert "Concerned: S0, S1, S2 and 97 more." in str(BistError("x", which=[f"S{i}" for i in range(100)]))
