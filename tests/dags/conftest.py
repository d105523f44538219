"""A private Airflow of this test run: its own home, this project's DAGs and plugins, no examples."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Home of an Airflow whose database does not exist yet; parsing DAGs needs none."""
    home = tmp_path_factory.mktemp("airflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(home))
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(ROOT / "dags"))
        patch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "false")
        yield home


@pytest.fixture(scope="session")
def dag_bag(airflow_home: Path) -> DagBag:
    """Every DAG of the project, as Airflow's DAG processor sees them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own, while it is imported and reads its configuration
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag()
    assert bag.dags, "no DAG was found: dags/ is empty, or no file of it can be imported"
    return bag
