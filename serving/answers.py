"""What the API answers: every field with its unit and an example."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Model(_Answer):
    """The registered model that made the predictions."""

    name: str = Field(description="Name in the model registry.", examples=["bist-rank-63s"])
    version: str = Field(description="Version in the model registry.", examples=["3"])
    rank_ic: float | None = Field(
        description="How far to trust it: mean daily rank correlation (-1 to 1) of predicted and realised "
        "returns, out of sample. 0 is no skill, 0.1 is good for shares; null where it was not measured.",
        examples=[0.102],
    )


class Publication(_Answer):
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
    model: Model


class Driver(_Answer):
    """What one feature added to a share's score."""

    feature: str = Field(description="Name in the feature registry.", examples=["vol_126_rank"])
    contribution: float = Field(
        description="What it added to `score` (its SHAP value), same lack of unit.", examples=[0.021]
    )
    value: float | None = Field(
        description="The feature itself, in the registry's unit; null where it is missing.", examples=[0.13]
    )


class Prediction(_Answer):
    """One share. Returns are over the universe's median return to the same session, not absolute ones."""

    symbol: str = Field(description="Bare symbol of the exchange.", examples=["THYAO"])
    name: str | None = Field(
        description="The company; null where the source does not tell.", examples=["Türk Hava Yolları"]
    )
    sector: str = Field(
        description="As the source names it; `unknown` where it does not.", examples=["Industrials"]
    )
    rank: int = Field(description="Place within the whole batch, 1 is the best.", examples=[12])
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


class Predictions(_Answer):
    """The best-ranked shares of one batch that match."""

    publication: Publication
    matched: int = Field(description="Shares (count) that match the filters, before `limit`.", examples=[118])
    predictions: list[Prediction] = Field(description="Best rank first.")


class SymbolPrediction(_Answer):
    """The newest prediction of one share."""

    publication: Publication
    prediction: Prediction


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The newest session is published and can be read."""

    status: Literal["ok"] = "ok"
    schema_revision: str = Field(description="Revision of the database schema.", examples=["0001"])
    published_session: dt.date = Field(description="Newest published session.", examples=["2024-06-28"])
    age_sessions: int = Field(description="Closed sessions (count) that it lacks.", examples=[0])
