"""What is to be known of a model version: the tags it carries in the registry."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from bist_pipeline.contracts import kind_of
from bist_pipeline.errors import ModelError
from bist_pipeline.model.gate import Skill
from bist_pipeline.tracking.client import StoredVersion


@dataclass(frozen=True)
class ModelCard:
    """Where a model comes from and what it proved.

    Parameters
    ----------
    source : str
        Market data it was trained on.
    horizon : int
        Sessions it looks ahead.
    data_hash : str
        Content hash of the prices up to `trained_through`; the lake reads them again by it.
    code_version : str
        Version of this package.
    trained_through : date
        Newest session whose prices it has seen; it must not score earlier ones.
    fingerprint : str
        Hash of data, settings and code: the same fingerprint is the same model.
    skill : "proven" or "unproven"
        Verdict of the promotion gate.
    rank_ic, nw_t : float
        Out-of-sample mean daily rank IC, and its Newey-West t.
    """

    source: str
    horizon: int
    data_hash: str
    code_version: str
    trained_through: dt.date
    fingerprint: str
    skill: Skill
    rank_ic: float
    nw_t: float


@dataclass(frozen=True)
class ModelVersion(ModelCard):
    """A registered model: its name, the number of the version, and whether it may score sessions."""

    name: str
    version: str
    promoted: bool


def as_tags(card: ModelCard) -> dict[str, str]:
    """Write a card as tags, with what its predictions are."""
    return {name: str(value) for name, value in {**asdict(card), "kind": kind_of(card.source)}.items()}


def as_version(stored: StoredVersion) -> ModelVersion:
    """Read a card back from the tags of a stored version.

    Raises
    ------
    ModelError
        If a tag is missing or makes no sense: the version is of another origin.
    """
    tags = stored.tags
    try:
        return ModelVersion(
            source=tags["source"],
            horizon=int(tags["horizon"]),
            data_hash=tags["data_hash"],
            code_version=tags["code_version"],
            trained_through=dt.date.fromisoformat(tags["trained_through"]),
            fingerprint=tags["fingerprint"],
            skill="proven" if tags["skill"] == "proven" else "unproven",
            rank_ic=float(tags["rank_ic"]),
            nw_t=float(tags["nw_t"]),
            name=stored.name,
            version=str(stored.version),
            promoted=tags.get("promoted") == "true",
        )
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{stored.name} version {stored.version} has no usable tag {error}: it is not ours.",
            next_step="in MLflow, remove its alias and its tag promoted",
        ) from error
