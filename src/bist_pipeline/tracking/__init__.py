"""The model registry. The only package that talks to MLflow.

A model version carries, as tags, everything that decides whether it may score a session: the market it was
trained on, the newest session it has seen, the fingerprint of data, settings and code. What is served is
found by these and by the alias `champion`, never by "latest".
"""

from bist_pipeline.tracking.card import ModelCard, ModelVersion
from bist_pipeline.tracking.model_file import TRUSTED_TYPES
from bist_pipeline.tracking.registry import CHALLENGER, CHAMPION, Registry

__all__ = ["CHALLENGER", "CHAMPION", "TRUSTED_TYPES", "ModelCard", "ModelVersion", "Registry"]
