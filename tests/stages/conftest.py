"""The small job, once per session."""

import shutil
from pathlib import Path

import pytest

from tests.cli.job import Done, finished_job, small_data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The description file of the small data set; not to be changed."""
    return small_data(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """RUN_DIR of the finished job, and what the command printed; not to be changed."""
    return finished_job(tmp_path_factory.getbasetemp())


@pytest.fixture
def run_copy(job: tuple[Path, Done], tmp_path: Path) -> Path:
    """A copy of RUN_DIR that a test may change."""
    return Path(shutil.copytree(job[0], tmp_path / "run"))


@pytest.fixture
def data_copy(data: Path, tmp_path: Path) -> Path:
    """The description file in a copy of the data set that a test may change."""
    return Path(shutil.copytree(data.parent, tmp_path / "data")) / "dataset.yaml"
