"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest
import tensorflow as tf

from tf_e2egrec import training


@pytest.mark.parametrize(
    "module",
    ["checkpoints", "diagnostics", "epoch_dataset", "grad_norm", "multi_output_model", "multi_task_model"],
)
def test_examples(module):
    names = {name: getattr(training, name) for name in training.__all__} | {"tf": tf}
    found = doctest.testmod(importlib.import_module(f"tf_e2egrec.training.{module}"), extraglobs=names)
    assert found.attempted > 0
    assert found.failed == 0
