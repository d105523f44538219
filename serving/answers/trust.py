"""Answers about how far to trust the ranks: scorecard, drift, champion, runs, health."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """What all answers have in common: they are read from what the store returns."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


class Texts(Answer):
    """One text in both languages; as CSV, the English one alone."""

    en: str = Field(description="In English.", examples=["Over the results so far, the ranks had skill."])
    tr: str = Field(description="In Turkish.", examples=["Şimdiye kadarki sonuçlarda sıralama isabetliydi."])


_SAID = {
    "en": "Beta over 252 sessions (beta_252) differs most: 2.4 times its usual distance",
    "tr": "En çok ayrılan: 252 seanslık beta (beta_252); uzaklığı olağanın 2,4 katı",
}
_SUMMARY = {"en": f"features: {_SAID['en']}", "tr": f"Özellikler: {_SAID['tr']}"}


class Score(Answer):
    """How one ranking did over the newest judged sessions, tradable shares only."""

    horizon_sessions: int = Field(
        description="How far ahead the judged ranks looked, in sessions.", examples=[63]
    )
    window_sessions: int = Field(
        description="Length of the window in judged sessions: 21, 63 or 252.", examples=[252]
    )
    model: str = Field(
        description="`published`: the ranks as they were published, whichever model made them. Anything else "
        "is the baseline of that name on the same shares and sessions.",
        examples=["published"],
    )
    judged: int = Field(description="Judged sessions (count) there are, at most the window.", examples=[252])
    first_session: dt.date = Field(description="Oldest judged session.", examples=["2023-03-24"])
    last_session: dt.date = Field(description="Newest judged session.", examples=["2024-03-28"])
    lag_sessions: int = Field(
        description="Sessions (count) from `last_session` to the scorecard's: younger ranks are immature.",
        examples=[63],
    )
    symbols: int = Field(description="Results (count) of tradable shares.", examples=[80217])
    rank_ic: float = Field(
        description="Mean daily rank correlation (-1 to 1) of predicted and realised excess returns.",
        examples=[0.094],
    )
    lower: float = Field(
        description="Lower end of the 95 % interval of `rank_ic` (-1 to 1).", examples=[0.021]
    )
    upper: float = Field(
        description="Upper end of the 95 % interval of `rank_ic` (-1 to 1).", examples=[0.166]
    )
    independent: float = Field(
        description="Results without overlap (count) that the window is worth: horizons overlap.",
        examples=[4.0],
    )
    coverage: float | None = Field(
        description="Share of results inside their 80 % interval, a fraction; null for baselines.",
        examples=[0.79],
    )
    skill: str = Field(description="`proven` where `lower` is above 0, else `unproven`.", examples=["proven"])
    verdict: Texts = Field(description="The same as a sentence.")


class Scorecards(Answer):
    """How the published ranks have done, beside simple rankings."""

    source: str = Field(
        description="Where the prices came from; `synthetic` is an invented market.", examples=["files"]
    )
    session: dt.date | None = Field(
        description="Newest session whose closes were known; null until a horizon has passed.",
        examples=["2024-06-28"],
    )
    scores: list[Score] = Field(description="The longest window first, in it the best ranking.")


class DriftState(Answer):
    """One session's verdict."""

    session: dt.date = Field(description="Trading date that was checked.", examples=["2024-06-28"])
    status: str = Field(
        description="`OK`, `INFO`, `INSUFFICIENT_HISTORY`, `AMBER`, `RED`, `ERROR`, `BLOCK` (stops scoring).",
        examples=["OK"],
    )
    summary: Texts = Field(description="Why, in one line.", examples=[_SUMMARY])


class FeatureDistance(Answer):
    """How far one feature is from what the champion learned from."""

    feature: str = Field(description="Name in the feature registry.", examples=["beta_252"])
    label: Texts | None = Field(
        description="What it is called in sentences; null where an older version measured it.",
        examples=[{"en": "Beta over 252 sessions", "tr": "252 seanslık beta"}],
    )
    distance: float | None = Field(
        description="Kolmogorov-Smirnov distance (0 to 1) of the newest window from the training window.",
        examples=[0.21],
    )
    typical: float | None = Field(
        description="Median distance (0 to 1) of the same check on past sessions.", examples=[0.14]
    )
    record: float | None = Field(
        description="Largest distance (0 to 1) of the same check on past sessions.", examples=[0.27]
    )


class DriftCheck(Answer):
    """What one check said last; some are made weekly."""

    check: str = Field(description="Name of the check.", examples=["features"])
    session: dt.date = Field(description="Trading date on which it was made.", examples=["2024-06-28"])
    status: str = Field(description="As in `DriftState.status`.", examples=["OK"])
    statistic: float | None = Field(
        description="What was measured, in the check's own unit; null where it could not be made.",
        examples=[2.4],
    )
    p_value: float | None = Field(
        description="How often a quiet market shows as much (0 to 1); null where nobody knows.",
        examples=[0.31],
    )
    threshold: float | None = Field(
        description="Where the alarm begins, in the unit of `statistic`; null where there is no such figure.",
        examples=[4.1],
    )
    action: Texts = Field(description="What to do about it.", examples=[{"en": "none", "tr": "yok"}])
    message: Texts = Field(description="What it found, in a sentence or two.", examples=[_SAID])


class DriftVerdict(DriftState):
    """The newest verdict with all that was measured."""

    checks: list[DriftCheck] = Field(description="What every check said last, the newest first.")
    reference_first: dt.date | None = Field(
        description="First session of the training window; null where there was none.",
        examples=["2020-11-23"],
    )
    reference_last: dt.date | None = Field(
        description="Last session of the training window; null where there was none.", examples=["2024-03-28"]
    )
    model_version: str = Field(description="Version of the champion at that time.", examples=["3"])
    checked_at: dt.datetime = Field(
        description="When it was checked (UTC).", examples=["2024-06-28T16:05:42.123456Z"]
    )
    features: list[FeatureDistance] = Field(
        description="When features were compared last, the largest distance first."
    )


class Drift(Answer):
    """Whether the market still looks like the one the champion learned from."""

    source: str = Field(
        description="Where the prices came from; `synthetic` is an invented market.", examples=["files"]
    )
    newest: DriftVerdict | None = Field(
        description="The newest verdict; newer than the publication where it held the next one back; null "
        "where nothing was checked."
    )
    next: str | None = Field(
        description="Path and query of the next page of `history`; null on the last one.",
        examples=["/api/v1/drift?limit=21&before=2024-05-30"],
    )
    history: list[DriftState] = Field(description="Verdicts, newest session first.")


class Decision(Answer):
    """Whether a newly trained model was taken into use, and why."""

    decided_at: dt.datetime = Field(description="When (UTC).", examples=["2024-03-28T17:10:00.000000Z"])
    session: dt.date = Field(description="Newest trading date of its data.", examples=["2024-03-28"])
    model_name: str = Field(description="Name in the model registry.", examples=["bist-rank-63s"])
    challenger_version: str = Field(description="Version of the new model.", examples=["3"])
    champion_version: str = Field(
        description="Version it was compared with; empty where there was none.", examples=["2"]
    )
    promoted: bool = Field(description="Whether it was taken into use.", examples=[True])
    reasons: list[Texts] = Field(
        description="One sentence for each reason.",
        examples=[[{"en": "No champion yet.", "tr": "Henüz kullanımda bir model yoktu."}]],
    )


class RankingFigures(Answer):
    """What one ranking was worth out of sample, tradable shares only."""

    ranking: str = Field(
        description="`blend`: what is published; `lightgbm` and `ridge`: its learned members. Anything else "
        "is the baseline of that name on the same shares and sessions.",
        examples=["blend"],
    )
    rank_ic: float | None = Field(
        description="Mean daily rank correlation (-1 to 1) of predicted and realised excess returns; null "
        "where the ranking tells no shares apart.",
        examples=[0.136],
    )
    rank_ic_lower: float | None = Field(
        description="Lower end of the 95 % interval of `rank_ic` (-1 to 1); null for too few dates.",
        examples=[0.094],
    )
    rank_ic_upper: float | None = Field(
        description="Upper end of the 95 % interval of `rank_ic` (-1 to 1); null for too few dates.",
        examples=[0.178],
    )
    nw_t: float | None = Field(
        description="Newey-West t statistic of `rank_ic`; above 2 is unlikely to be chance.", examples=[5.9]
    )
    ic_positive: float | None = Field(
        description="Share of the dates with a rank correlation above 0, a fraction.", examples=[0.93]
    )
    spread_quarter: float | None = Field(
        description="Mean return of the top tenth minus that of the bottom tenth, a fraction a quarter.",
        examples=[0.103],
    )
    spread_lower: float | None = Field(
        description="Lower end of the 95 % interval of `spread_quarter`, a fraction; null for too few dates.",
        examples=[0.045],
    )
    spread_upper: float | None = Field(
        description="Upper end of the 95 % interval of `spread_quarter`, a fraction; null for too few dates.",
        examples=[0.156],
    )
    top20_quarter: float | None = Field(
        description="Mean return of the 20 best-ranked shares over that of all, a fraction a quarter.",
        examples=[0.041],
    )
    top20_net_quarter: float | None = Field(
        description="The same after the costs of replaced shares, a fraction a quarter.", examples=[0.036]
    )
    coverage: float | None = Field(
        description="Share of results inside their 80 % interval, a fraction; null for rankings without one.",
        examples=[0.797],
    )
    r2: float | None = Field(
        description="Share of the variance of results that the expected excess explains (below 0: worse than "
        "expecting nothing), a fraction; null for rankings that expect none.",
        examples=[0.004],
    )
    lead_ic: float | None = Field(
        description="`rank_ic` of the blend minus that of this ranking (-2 to 2); null for the blend.",
        examples=[0.012],
    )
    lead_lower: float | None = Field(
        description="Lower end of the 95 % interval of `lead_ic` (-2 to 2); null for too few dates.",
        examples=[-0.002],
    )
    lead_upper: float | None = Field(
        description="Upper end of the 95 % interval of `lead_ic` (-2 to 2); null for too few dates.",
        examples=[0.026],
    )
    by_year: dict[str, float] = Field(
        description="Mean daily rank correlation (-1 to 1) of every calendar year.",
        examples=[{"2022": 0.141, "2023": 0.092}],
    )


class Backtest(Answer):
    """What rankings were worth on the past: history, which promises nothing."""

    origin: Literal["training", "backtest"] = Field(
        description="`training`: the test of the model in use before it was taken. `backtest`: a longer one "
        "of its recipe, by `bist backtest`.",
        examples=["backtest"],
    )
    session: dt.date = Field(
        description="Newest trading date whose prices were known.", examples=["2024-06-28"]
    )
    model_version: str = Field(
        description="Version of the model; empty for a backtest, which fits the recipe anew in every fold.",
        examples=["3"],
    )
    horizon_sessions: int = Field(description="How far ahead the ranks looked, in sessions.", examples=[63])
    first_session: dt.date = Field(description="Oldest tested trading date.", examples=["2022-01-03"])
    last_session: dt.date = Field(description="Newest tested trading date.", examples=["2024-03-22"])
    folds: int = Field(
        description="Stretches (count) before each of which the models were fitted anew.", examples=[9]
    )
    dates: int = Field(description="Tested trading dates (count).", examples=[112])
    symbols: int = Field(description="Shares (count) that were tradable on any of them.", examples=[438])
    independent: float = Field(
        description="Results without overlap (count) that the dates are worth: horizons overlap.",
        examples=[8.9],
    )
    computed_at: dt.datetime = Field(
        description="When it was computed (UTC).", examples=["2024-06-28T16:03:11.000000Z"]
    )
    rankings: list[RankingFigures] = Field(description="The highest `rank_ic` first.")


class Champion(Answer):
    """The model behind the newest publication."""

    name: str = Field(description="Name in the model registry.", examples=["bist-rank-63s"])
    version: str = Field(description="Version in the model registry.", examples=["3"])
    rank_ic: float | None = Field(
        description="Mean daily rank correlation (-1 to 1), out of sample; null where it was not measured.",
        examples=[0.102],
    )
    decision: Decision | None = Field(
        description="The decision that took it into use; null where none is stored."
    )
    decisions: list[Decision] = Field(description="The newest 20 decisions, refusals included, newest first.")
    backtests: list[Backtest] = Field(
        description="How it did on the past: in the test before it was taken, and in the newest backtest of "
        "its source; either may be missing. Not in the CSV."
    )


class Run(Answer):
    """One run of the pipeline that published."""

    run_id: str = Field(description="Same inputs, same identifier.", examples=["files-20240628-4f0c9a1e"])
    source: str = Field(description="Where the prices came from.", examples=["files"])
    session: dt.date = Field(description="Trading date that it ranked.", examples=["2024-06-28"])
    rows: int = Field(description="Shares (count) ranked.", examples=[471])
    data_hash: str = Field(description="Content hash of the prices it saw.", examples=["9b1c4be2"])
    model_name: str = Field(description="Name in the model registry.", examples=["bist-rank-63s"])
    model_version: str = Field(description="Version in the model registry.", examples=["3"])
    code_version: str = Field(description="Version of bist_pipeline.", examples=["0.1.0"])
    rank_ic: float | None = Field(
        description="The model's mean daily rank correlation (-1 to 1), out of sample; null where it was "
        "not measured.",
        examples=[0.102],
    )
    finished_at: dt.datetime = Field(description="When it ended (UTC).", examples=["2024-06-28T16:05:12Z"])
    published_at: dt.datetime = Field(
        description="When its batch became visible (UTC).", examples=["2024-06-28T16:05:12Z"]
    )


class Runs(Answer):
    """The runs behind the publications."""

    next: str | None = Field(
        description="Path and query of the next page; null on the last one.",
        examples=["/api/v1/runs?limit=20&before=2024-05-31"],
    )
    runs: list[Run] = Field(description="Newest session first.")


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field("ok", description="Always the same.", examples=["ok"])


class Ready(BaseModel):
    """The newest session is published and can be read."""

    status: Literal["ok"] = Field("ok", description="Always the same.", examples=["ok"])
    schema_revision: str = Field(description="Revision of the database schema.", examples=["0009"])
    published_session: dt.date = Field(description="Newest published session.", examples=["2024-06-28"])
    age_sessions: int = Field(description="Closed sessions (count) that it lacks.", examples=[0])
