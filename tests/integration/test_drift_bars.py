"""The suite of simulations at its smallest: it runs, finds what it should, and its table says so."""

import json
from contextlib import nullcontext
from dataclasses import asdict

import pytest

from benchmarks import drift_bars
from benchmarks.drift_bars import run
from benchmarks.drift_table import HEAD, Line, as_markdown, as_text, build_lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def markets():
    found = run(markets=2, symbols=60, days=10, faults=["unit_change_x10", "ipo_wave"], processes=1)
    return json.loads(json.dumps(found))["markets"]


def test_two_markets_go_through_two_faults_and_every_line_has_its_bar(markets):
    lines = {line.what: line for line in build_lines(markets)}

    assert [market["seed"] for market in markets] == [1, 2]
    assert lines["found on day 1: prices in another unit (× 10)"].measured == 1.0
    assert lines["found on day 1: wave of listings"].measured == 1.0
    assert lines["found on day 1: rows shuffled"].basis == "8 of 8"
    assert lines["NaN or missing column called OK"].basis == "24 trials"
    assert lines["NaN or missing column called OK"].is_met
    assert lines["false alarms per weekly feature check"].basis == "4 weeks of 2 quiet markets"


def test_a_missed_bar_is_shown_as_missed():
    missed = Line("x", 0.5, 0.1, 0.95, is_lower_better=False, unit="%", basis="6 of 12")

    assert not missed.is_met
    assert (
        as_markdown([missed]).splitlines()[-1] == "| x | 50.0 % ± 10.0 % | ≥ 95.0 % | 6 of 12 | **missed** |"
    )
    assert "MISSED" in as_text([missed])
    assert len(HEAD) == 5
    assert set(asdict(missed)) >= {"measured", "error", "bar"}


@pytest.mark.parametrize(
    ("measured", "missed"),
    [
        ((1.0, 0.5, 0.6), "missed: noise; volatility"),
        ((1.0, 1.0, 0.6), "missed: volatility"),
        ((1.0, 1.0, 1.0), ""),
    ],
)
def test_a_bar_that_is_missed_ends_the_program(monkeypatch, capsys, measured, missed):
    lines = [
        Line(what, value, 0.1, 0.95, is_lower_better=False, unit="%", basis="12 of 12")
        for what, value in zip(("quiet", "noise", "volatility × 2, found"), measured, strict=True)
    ]
    monkeypatch.setattr(drift_bars, "run", lambda **_: {"markets": []})
    monkeypatch.setattr(drift_bars, "build_lines", lambda _: lines)
    for module in (drift_bars.drift_real, drift_bars.drift_speed):
        monkeypatch.setattr(module, "measure", list)
    monkeypatch.setattr("sys.argv", ["drift_bars"])

    with pytest.raises(SystemExit, match=missed) if missed else nullcontext():
        drift_bars.main()

    assert capsys.readouterr().out.count("MISSED") == sum(value < 0.95 for value in measured)
