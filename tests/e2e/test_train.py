"""A challenger meets the champion on the same rows, and nothing is published when they cannot be compared."""

import json
from unittest.mock import Mock

import pytest
from sqlalchemy import select

from bist_pipeline.config import Settings
from bist_pipeline.errors import ModelError
from bist_pipeline.store.engine import connect, open_engine
from bist_pipeline.store.schema import backtests, model_decisions
from bist_pipeline.tracking import Registry
from tests.command_line import SESSION

OTHER_RECIPE = {"BIST_TRAINING__RIDGE_PENALTY": "10"}


def decisions(bist):
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        return connection.execute(select(model_decisions)).mappings().all()


def champion(bist):
    return Registry(Settings(home=bist.home, source="files")).champion()


def test_the_first_decision_says_what_the_model_proved(bist):
    (first,) = decisions(bist)

    assert first["promoted"]
    reasons = first["reasons"].en.splitlines()
    assert reasons[0] == "No champion yet."
    assert "better than random" in reasons[1].lower() or "Skill unproven" in reasons[1]
    assert "ow volatility: rank IC" in reasons[2]


def test_the_figures_that_a_decision_rests_on_are_stored_with_it(bist):
    (decision,) = decisions(bist)
    with connect(open_engine(f"sqlite:///{bist.home}/bist.db")) as connection:
        rows = connection.execute(select(backtests)).mappings().all()

    figures = {row["ranking"]: row for row in rows}
    assert set(figures) == {"blend", "low_vol_126"}
    assert figures["blend"]["rank_ic"] == pytest.approx(champion(bist).rank_ic)
    assert f"against {figures['low_vol_126']['rank_ic']:.4f}" in decision["reasons"].en
    for row in rows:
        assert (row["origin"], row["model_version"]) == ("training", decision["challenger_version"])
        assert (row["session"], row["computed_at"]) == (SESSION, decision["decided_at"])
        assert row["first_session"] < row["last_session"] < SESSION
        assert row["folds"] > 0


def test_another_recipe_is_compared_with_the_champions_on_the_same_rows(bist):
    before = champion(bist)

    result = bist("train", "--session", str(SESSION), "--json", **OTHER_RECIPE)

    assert result.exit_code == 0, result.output
    said, (_, second) = json.loads(result.stdout), decisions(bist)
    assert second["champion_version"] == before.version == "1"
    assert second["challenger_version"] == said["model_version"] == "2"
    # Rows, folds and seeds are those the champion was registered with, so its figure must come out again.
    figures = f"rank IC {said['rank_ic']:.4f} against the champion's {before.rank_ic:.4f} on the same rows"
    assert figures in second["reasons"].en
    assert champion(bist).version == ("2" if second["promoted"] else "1")


def test_a_champion_that_no_longer_loads_stays_and_so_does_what_is_published(bist, monkeypatch):
    before, published = champion(bist), bist.published()
    # The file itself is shared by all tests; what a damaged one leads to, the tests of the registry show.
    damaged = ModelError("bist-rank-63s version 1 cannot be loaded.", next_step="bist rollback")
    monkeypatch.setattr(Registry, "load", Mock(side_effect=damaged))

    result = bist("run", "--session", str(SESSION), "--json", **OTHER_RECIPE)

    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["error"] == "ModelError"
    assert "version 1 cannot be loaded" in said["message"]
    assert "bist rollback" in said["next"]
    assert champion(bist) == before
    assert bist.published() == published


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"BIST_HORIZON_SESSIONS": "252", "BIST_VALIDATION__FOLDS": "8"},
            "InsufficientDataError",
            "for training",
        ),
        ({"BIST_VALIDATION__MIN_SYMBOLS": "100"}, "InsufficientDataError", "No session has 100 tradable"),
    ],
)
def test_too_little_to_learn_from_is_refused_and_the_champion_stays(bist, changes, error, words):
    before = champion(bist)

    result = bist("train", "--session", str(SESSION), "--json", **changes)

    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["error"] == error
    assert words in said["message"]
    assert champion(bist) == before
    assert len(decisions(bist)) == 1
