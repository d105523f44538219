"""Answers about shares: predictions, their past, and past returns."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from serving.answers.trust import Answer, DriftState, Score, Texts

Next = Annotated[
    str | None,
    Field(
        description="Path and query of the next page; null on the last one.",
        examples=["/api/v1/predictions?session=2024-06-28&after=50"],
    ),
]


class Model(Answer):
    """The registered model that made the predictions."""

    name: str = Field(description="Name in the model registry.", examples=["bist-rank-63s"])
    version: str = Field(description="Version in the model registry.", examples=["3"])
    rank_ic: float | None = Field(
        description="How far to trust it: mean daily rank correlation (-1 to 1) of predicted and realised "
        "returns, out of sample. 0 is no skill, 0.1 is good for shares; null where it was not measured.",
        examples=[0.102],
    )


class Publication(Answer):
    """The batch that the predictions belong to."""

    run_id: str = Field(description="The pipeline run that made it.", examples=["files-2024-06-28-4f0c9a1e"])
    session: dt.date = Field(
        description="Trading date whose closing prices were the newest used.", examples=["2024-06-28"]
    )
    source: str = Field(
        description="Where the prices came from; `synthetic` is an invented market.", examples=["files"]
    )
    published_at: dt.datetime = Field(
        description="When it became visible (UTC).", examples=["2024-06-28T16:05:12.345678Z"]
    )
    horizon_sessions: int = Field(
        description="How far ahead the predictions look, in sessions; 63 is about a quarter, "
        "0 is not at all: see `kind`.",
        examples=[63],
    )
    universe: int = Field(
        description="Shares (count) ranked in this batch, whatever was asked for.", examples=[471]
    )
    kind: Literal["forecast", "contemporaneous"] = Field(
        description="`forecast`: of the sessions to come, made from nothing later than the session's close. "
        "`contemporaneous`: not a forecast; an estimate of the return of the three months before the "
        "session, from data of that session which partly hold the answer. It says nothing about the future.",
        examples=["forecast"],
    )
    age_sessions: int | None = Field(
        description="Sessions (count) that have closed since `session`, 0 if it is the newest; "
        "null where the stored trading calendar has ended.",
        examples=[0],
    )
    model: Model = Field(description="The model behind the batch.")


class Driver(Answer):
    """What one feature added to a share's score."""

    feature: str = Field(description="Name in the feature registry.", examples=["vol_126_rank"])
    contribution: float = Field(
        description="What it added to `score` (its SHAP value), same lack of unit.", examples=[0.021]
    )
    value: float | None = Field(
        description="What the model saw: the feature's rank among all shares (0 to 1), or itself; "
        "null where it is missing.",
        examples=[0.13],
    )
    raw: float | None = Field(
        None,
        description="The feature itself, in the registry's unit; null where it is not known.",
        examples=[0.021],
    )
    text: Texts | None = Field(None, description="The same as a sentence; null in batches of older versions.")


class Prediction(Answer):
    """One share. Returns are over the universe's median return to the same session, not absolute ones."""

    symbol: str = Field(description="Bare symbol of the exchange.", examples=["THYAO"])
    name: str | None = Field(
        description="The company; null where the source does not tell.", examples=["Türk Hava Yolları"]
    )
    sector: str = Field(
        description="As the source names it; `unknown` where it does not.", examples=["Industrials"]
    )
    rank: int = Field(
        description="Place among the `universe` shares of the whole batch, 1 is the best.", examples=[12]
    )
    percentile: float = Field(
        description="Place within the whole batch from 0 to 1, 1 is the best.", examples=[0.977]
    )
    score: float = Field(
        description="What the model ranks by; no unit, comparable within one batch only.", examples=[0.83]
    )
    expected_excess_return: float = Field(
        description="Expected return over the horizon less the universe's median; a fraction (0.12 = 12 %). "
        "Where `kind` is `contemporaneous`, of the past three months instead.",
        examples=[0.041],
    )
    lower: float = Field(
        description="Lower end of the 80 % interval of the excess return, a fraction.", examples=[-0.162]
    )
    upper: float = Field(
        description="Upper end of the 80 % interval of the excess return, a fraction.", examples=[0.287]
    )
    tradable: bool = Field(
        description="Whether it has traded long, often and much enough for its rank to be of use.",
        examples=[True],
    )
    drivers: list[Driver] = Field(description="The features that moved the score most, largest effect first.")


class Predictions(Answer):
    """The shares of one batch that match."""

    publication: Publication = Field(description="The batch they belong to.")
    matched: int = Field(
        description="Shares (count) that match the filters, on all pages together.", examples=[118]
    )
    next: Next
    predictions: list[Prediction] = Field(description="In the order asked for, by rank if none was.")


class SymbolPrediction(Answer):
    """The newest prediction of one share, and how far to trust it."""

    publication: Publication = Field(description="The batch it belongs to.")
    prediction: Prediction = Field(description="The share; `rank` is out of `publication.universe`.")
    scorecard: Score | None = Field(
        description="How the published ranks did over the longest window judged; null until a horizon passed."
    )
    drift: DriftState | None = Field(
        description="The newest drift verdict, which may have held back a newer batch; null where nothing "
        "was checked."
    )


class PastPrediction(Answer):
    """One earlier prediction of a share and, once its horizon has passed, what happened."""

    session: dt.date = Field(description="Trading date of the prediction.", examples=["2024-03-28"])
    run_id: str = Field(description="The pipeline run that made it.", examples=["files-20240328-4f0c9a1e"])
    horizon_sessions: int = Field(description="How far ahead it looked, in sessions.", examples=[63])
    rank: int = Field(description="Place in its batch, 1 is the best.", examples=[31])
    universe: int = Field(description="Shares (count) ranked in its batch.", examples=[468])
    score: float = Field(description="What the model ranked by; no unit.", examples=[0.41])
    expected_excess_return: float = Field(
        description="Expected excess over the universe's median, a fraction.", examples=[0.033]
    )
    lower: float = Field(description="Lower end of its 80 % interval, a fraction.", examples=[-0.171])
    upper: float = Field(description="Upper end of its 80 % interval, a fraction.", examples=[0.264])
    tradable: bool = Field(description="Whether its rank was of use.", examples=[True])
    model_version: str = Field(description="Version of the model behind it.", examples=["2"])
    realized_excess_return: float | None = Field(
        description="What the share returned over the horizon less the universe's median, a fraction; "
        "null until the horizon has passed.",
        examples=[0.082],
    )
    matured_on: dt.date | None = Field(
        description="Trading date on which the horizon had passed; null until then.", examples=["2024-06-28"]
    )


class History(Answer):
    """What was published for one share, newest session first."""

    symbol: str = Field(description="Bare symbol of the exchange.", examples=["THYAO"])
    kind: Literal["forecast", "contemporaneous"] = Field(
        description="As in `Publication.kind`.", examples=["forecast"]
    )
    next: Next
    predictions: list[PastPrediction] = Field(description="One for each published session.")


class PastReturn(Answer):
    """What one share did over the window, dividends and splits included as the source adjusts for them."""

    rank: int = Field(description="Place among all shares of the window, 1 gained most.", examples=[1])
    symbol: str = Field(description="Bare symbol of the exchange.", examples=["THYAO"])
    name: str | None = Field(
        description="The company; null where the source does not tell.", examples=["Türk Hava Yolları"]
    )
    sector: str = Field(
        description="As the source names it; `unknown` where it does not.", examples=["Industrials"]
    )
    past_return: float = Field(
        description="Return over the window, a fraction (0.12 = 12 %), in TRY.", examples=[0.418]
    )
    excess_return: float | None = Field(
        description="The same less the universe's median, a fraction; null where no share was tradable.",
        examples=[0.305],
    )


class TopReturns(Answer):
    """Who gained most up to the newest published session. This is the past; it forecasts nothing."""

    source: str = Field(
        description="Where the prices came from; `synthetic` is an invented market.", examples=["files"]
    )
    session: dt.date = Field(description="Last trading date of the window.", examples=["2024-06-28"])
    sessions: int = Field(
        description="Length of the window in sessions; 63 is about a quarter.", examples=[63]
    )
    matched: int = Field(description="Shares (count) with a return over the window.", examples=[471])
    next: Next
    returns: list[PastReturn] = Field(description="Largest return first.")
