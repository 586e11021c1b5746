"""The small job, as the command-line tests have it."""

from tests.cli.conftest import data, data_copy, job, run_copy

__all__ = ["data", "data_copy", "job", "run_copy"]
