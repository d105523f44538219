"""A fitted pipeline in MLflow's keeping: written as skops, never as pickle, and read back to the last bit."""

from __future__ import annotations

import tempfile
from importlib.metadata import version as installed_version
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd
import skops.io
from sklearn.pipeline import Pipeline

from bist_pipeline.errors import ModelError
from bist_pipeline.tracking.client import mlflow, quiet

# The model file holds these and what skops trusts by itself; a file that asks for more is not ours.
TRUSTED_TYPES = [
    "bist_pipeline.model.cross_fit.CrossFitEstimator",
    "bist_pipeline.model.forecaster.RankForecaster",
    "bist_pipeline.model.pipeline.ColumnSelector",
]
_REQUIREMENTS = ("bist-pipeline", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "skops")
# What skops raises for a file that is missing, cut short, of another version, or asks for other types.
_DAMAGED = (OSError, BadZipFile, KeyError, TypeError, ValueError, ImportError, AttributeError)

_EXAMPLE_ROWS, _SIGNATURE_ROWS = 5, 100


def log_model(pipeline: Pipeline, example: pd.DataFrame) -> str:
    """Log the pipeline to the active run, with its signature and an example of its input.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    example : DataFrame
        Rows it can predict, newest last: the oldest lack the features of long windows.

    Returns
    -------
    str
        The model's id.

    Raises
    ------
    ModelError
        If MLflow did not keep the signature.
    """
    rows = pipeline[:-1].transform(example.tail(_SIGNATURE_ROWS))
    # Beside the model: as MLflow's own input example it would start a scoring server to try it (0.4 s).
    mlflow.log_text(rows.tail(_EXAMPLE_ROWS).to_json(orient="split"), "input_example.json")
    info = mlflow.sklearn.log_model(
        pipeline,
        name="model",
        signature=mlflow.models.infer_signature(rows, pipeline.predict(rows)),
        pip_requirements=[f"{name}=={installed_version(name)}" for name in _REQUIREMENTS],
        skops_trusted_types=TRUSTED_TYPES,
    )
    # MLflow drops a signature it cannot store with no more than a warning.
    if mlflow.models.get_model_info(info.model_uri).signature is None:
        raise ModelError("MLflow stored the model without its signature.", next_step="bist train")
    return str(info.model_id)


def load_model(uri: str, called: str) -> Pipeline:
    """Fetch and load a pipeline; `called` is its name in errors.

    Only types of this package and those that skops trusts are constructed, whatever the stored description
    of the model allows.

    Raises
    ------
    ModelError
        If its file is missing, damaged or holds anything else than our pipeline.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
        try:
            with quiet():
                pipeline = skops.io.load(path / "model.skops", trusted=TRUSTED_TYPES)
            if isinstance(pipeline, Pipeline):
                pipeline.get_params()  # a model of other code has other parameters
        except _DAMAGED as error:
            raise ModelError(
                f"{called} cannot be loaded: {error}.",
                consequence="Nothing was published; the previous batch stays.",
                next_step="bist rollback (to the version before), or train it again: bist train",
            ) from error
    if not isinstance(pipeline, Pipeline):
        raise ModelError(f"{called} holds a {type(pipeline).__name__}, no pipeline.")
    return pipeline
