"""The gate serves a challenger on evidence, keeps the champion without it, and says why."""

import math

import pytest

from bist_pipeline.model.gate import MARGIN, VALID_SESSIONS, Candidate, decide, needs_comparison
from bist_pipeline.wording import join

CHAMPION = Candidate("files", rank_ic=0.10, t=4.0, age_sessions=63)


def challenger(rank_ic, t=3.0, source="files"):
    return Candidate(source, rank_ic=rank_ic, t=t)


@pytest.mark.parametrize(
    ("rank_ic", "t", "skill"),
    [
        (0.08, 2.0, "proven"),
        (0.08, 1.99, "unproven"),
        (-0.08, -5.0, "unproven"),
        (-0.08, 5.0, "unproven"),
        (0.08, math.nan, "unproven"),
        (0.08, None, "unproven"),
        (math.nan, 4.0, "unproven"),
        (None, None, "unproven"),
        (math.inf, math.inf, "unproven"),
    ],
)
def test_the_first_model_is_served_and_says_whether_its_skill_is_proven(rank_ic, t, skill):
    decision = decide(challenger(rank_ic, t), None)
    assert decision.promoted
    assert decision.skill == skill
    assert ("Skill unproven" in str(join(decision.reasons))) == (skill == "unproven")


@pytest.mark.parametrize(
    ("rank_ic", "promoted"),
    [(0.12, True), (0.10 - MARGIN, True), (0.10 - MARGIN - 1e-6, False), (0.0, False), (-0.10, False)],
)
def test_a_challenger_may_be_worse_by_the_margin_and_no_more(rank_ic, promoted):
    decision = decide(challenger(rank_ic), CHAMPION)
    assert decision.promoted is promoted
    assert "against the champion's 0.1000" in decision.reasons[0].en


def test_the_margin_also_holds_below_zero():
    bad = Candidate("files", rank_ic=-0.05, t=-1.0)
    assert decide(challenger(-0.055, t=-1.0), bad).promoted
    assert not decide(challenger(-0.10, t=-2.0), bad).promoted


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_challenger_without_figures_never_replaces_a_champion_of_its_market(missing):
    old = Candidate("files", rank_ic=0.10, t=4.0, age_sessions=10 * VALID_SESSIONS)
    for champion in (CHAMPION, old):
        decision = decide(challenger(missing), champion)
        assert not decision.promoted
        assert "no rank IC" in decision.reasons[0].en


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_champion_without_figures_is_replaced(missing):
    assert decide(challenger(0.01), Candidate("files", rank_ic=missing, t=None)).promoted


def test_a_champion_of_another_market_is_replaced_whatever_it_proved():
    decision = decide(challenger(-0.02, t=-1.0, source="synthetic"), CHAMPION)
    assert decision.promoted
    assert decision.skill == "unproven"
    assert "trained on files, not on synthetic" in decision.reasons[0].en


def test_a_champion_that_has_seen_later_sessions_does_not_stop_a_model_of_the_past():
    newer = Candidate("files", rank_ic=0.10, t=4.0, age_sessions=-1)
    decision = decide(challenger(-0.02, t=-1.0), newer)
    assert decision.promoted
    assert "serves the past only" in decision.reasons[0].en


@pytest.mark.parametrize(("age", "promoted"), [(VALID_SESSIONS, False), (VALID_SESSIONS + 1, True)])
def test_a_champion_past_its_validity_is_replaced(age, promoted):
    stale = Candidate("files", rank_ic=0.10, t=4.0, age_sessions=age)
    decision = decide(challenger(0.02, t=1.0), stale)
    assert decision.promoted is promoted
    assert decision.skill == "unproven"


@pytest.mark.parametrize(
    ("low_volatility", "words"),
    [(0.09, "Above low volatility: rank IC 0.1000 against 0.0900."), (0.11, "Not above low volatility")],
)
def test_low_volatility_is_named_and_does_not_decide(low_volatility, words):
    for champion in (None, CHAMPION):
        decision = decide(challenger(0.10), champion, low_volatility=low_volatility)
        assert decision.promoted
        assert words in decision.reasons[-1].en


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_an_unknown_low_volatility_is_not_mentioned(unknown):
    reasons = decide(challenger(0.10), CHAMPION, low_volatility=unknown).reasons
    assert not any("low volatility" in reason.en for reason in reasons)


def test_a_champion_that_lacks_its_columns_is_replaced():
    blind = Candidate("files", rank_ic=None, lacks=("a_rank", "b_rank", "c_rank", "d_rank"))
    decision = decide(challenger(0.01, t=0.1), blind)
    assert decision.promoted
    assert decision.reasons[0].en.startswith("The champion needs 4 columns that are no longer there: a_rank,")


@pytest.mark.parametrize(
    ("source", "age", "needed"),
    [
        ("files", 0, True),
        ("files", VALID_SESSIONS, True),
        ("files", VALID_SESSIONS + 1, False),
        ("files", -1, False),
        ("synthetic", 63, False),
    ],
)
def test_a_champion_is_judged_anew_only_where_that_decides(source, age, needed):
    champion = Candidate(source, rank_ic=0.10, t=4.0, age_sessions=age)
    assert needs_comparison(challenger(0.10), champion) is needed
