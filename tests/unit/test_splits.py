"""Walk-forward folds never let a train label reach into the test block."""

import math
from itertools import pairwise

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import cross_val_score

from bist_pipeline.errors import ContractError, InsufficientDataError
from bist_pipeline.model.splits import PurgedWalkForward

# Trading days with weekends between them, so that days and sessions cannot be mixed up unnoticed.
SESSIONS = np.array(
    [day for day in np.arange("2022-01-03", "2024-01-01", dtype="datetime64[D]") if np.is_busday(day)]
)
HORIZON, EMBARGO, BLOCK = 63, 5, 42


def splitter(n_splits=4, min_train_sessions=100):
    return PurgedWalkForward(
        SESSIONS,
        n_splits=n_splits,
        block_sessions=BLOCK,
        horizon=HORIZON,
        embargo=EMBARGO,
        min_train_sessions=min_train_sessions,
    )


def positions(rows, groups):
    return np.searchsorted(SESSIONS, groups[rows])


@pytest.mark.parametrize("every", [1, 5, 20])
def test_train_labels_end_before_the_embargo_of_the_test_block(every):
    groups = np.repeat(SESSIONS[::every], 3)
    for train, test in splitter().split(groups, groups=groups):
        label_end = positions(train, groups).max() + HORIZON
        assert label_end + EMBARGO <= positions(test, groups).min()


def test_rows_of_every_session_leave_out_no_more_than_needed():
    for train, test in splitter().split(SESSIONS, groups=SESSIONS):
        assert test[0] - train[-1] == HORIZON + EMBARGO


def test_blocks_cover_the_end_once_and_training_expands():
    folds = list(splitter().split(SESSIONS, groups=SESSIONS))
    tested = np.concatenate([test for _, test in folds])
    assert tested.tolist() == list(range(len(SESSIONS) - 4 * BLOCK, len(SESSIONS)))
    for (train, _), (longer, _) in pairwise(folds):
        assert longer[: train.size].tolist() == train.tolist()
        assert longer.size == train.size + BLOCK


def test_blocks_end_with_the_newest_labelled_row_not_with_the_calendar():
    labelled = SESSIONS[:-HORIZON]
    *_, (_, test) = splitter(3).split(labelled, groups=labelled)
    assert labelled[test[-1]] == labelled[-1]


def test_scikit_learn_accepts_it():
    groups = np.repeat(SESSIONS, 2)
    scores = cross_val_score(
        DummyRegressor(), np.ones((groups.size, 1)), np.arange(groups.size), groups=groups, cv=splitter()
    )
    assert scores.shape == (splitter().get_n_splits(),)


def test_a_short_history_says_what_it_lacks():
    with pytest.raises(
        InsufficientDataError, match="200 labelled sessions: 4 test blocks of 42 and a gap of 68 leave 0"
    ):
        splitter().folds(SESSIONS[:200])
    with pytest.raises(InsufficientDataError, match="0 labelled sessions"):
        splitter().folds(SESSIONS[:0])


def test_a_fold_without_rows_to_test_is_refused():
    hole = np.r_[0 : len(SESSIONS) - 2 * BLOCK, len(SESSIONS) - 1]
    with pytest.raises(InsufficientDataError, match="and 0 to test on"):
        list(splitter().split(hole, groups=SESSIONS[hole]))


def test_rows_of_unknown_sessions_are_refused_by_name():
    saturday = np.datetime64("2023-06-10")
    with pytest.raises(ContractError, match="2023-06-10"):
        splitter().folds(np.append(SESSIONS, saturday))


def test_groups_are_required():
    with pytest.raises(ValueError, match="groups"):
        next(splitter().split(SESSIONS))


def test_a_first_date_gives_blocks_to_the_newest_row_and_as_many_splits():
    first = SESSIONS[300].item()
    dated = PurgedWalkForward(
        SESSIONS, first_test=first, block_sessions=BLOCK, horizon=HORIZON, embargo=EMBARGO
    )
    folds = list(dated.split(SESSIONS, groups=SESSIONS))
    assert len(folds) == dated.get_n_splits(groups=SESSIONS) == math.ceil((len(SESSIONS) - 300) / BLOCK)
    assert np.concatenate([test for _, test in folds]).tolist() == list(range(300, len(SESSIONS)))
    for train, test in folds:
        assert test[0] - train[-1] == HORIZON + EMBARGO


def test_a_first_date_after_the_newest_row_is_refused():
    late = PurgedWalkForward(SESSIONS[:200], first_test=SESSIONS[300].item(), block_sessions=9, horizon=9)
    with pytest.raises(InsufficientDataError, match="0 test blocks"):
        late.folds(SESSIONS[:200])


@pytest.mark.parametrize("both", [{}, {"n_splits": 2, "first_test": SESSIONS[300].item()}])
def test_the_folds_are_either_counted_or_dated(both):
    with pytest.raises(TypeError, match="one of them"):
        PurgedWalkForward(SESSIONS, block_sessions=9, horizon=9, **both)
