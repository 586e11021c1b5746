"""The small job, looked at."""

import pytest

from tests.cli.job import finished_job, small_data
from tf_e2egrec.cli.explore_command import positive_rows
from tf_e2egrec.explorer.explored_run import ExploredRun
from tf_e2egrec.explorer.explorer_server import ExplorerServer
from tf_e2egrec.explorer.user_rankings import UserRankings
from tf_e2egrec.stages.run_directory import RunDirectory


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return RunDirectory(finished_job(tmp_path_factory.getbasetemp())[0])


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The folder of the logs."""
    return small_data(tmp_path_factory.getbasetemp()).parent


@pytest.fixture(scope="session")
def explored(run, data):
    return ExploredRun(run, positive_rows(run, data))


@pytest.fixture(scope="session")
def rankings(explored):
    return UserRankings(explored)


@pytest.fixture(scope="session")
def server(explored, rankings):
    with ExplorerServer(explored, rankings) as running:
        yield running
