"""The examples in the docstrings of layers and losses run and print what they say."""

import doctest
import importlib
import inspect

import numpy as np
import pytest
import tensorflow as tf

NAMES = [
    (package, name)
    for package in ("tf_e2egrec.layers", "tf_e2egrec.losses")
    for name in importlib.import_module(package).__all__
]
RECORDS = {"DurationQuantiles"}  # shown by the functions that make and take them


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[name for _, name in NAMES])
def test_every_public_layer_and_loss_has_an_example_that_runs(package, name):
    value = getattr(importlib.import_module(package), name)
    names = vars(inspect.getmodule(value)) | {"tf": tf, "np": np}
    tests = doctest.DocTestFinder(recurse=False).find(value, name, globs=names)
    assert name in RECORDS or any(test.examples for test in tests), f"{name} has no example"
    tf.keras.utils.set_random_seed(0)
    for test in tests:
        result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert result.failed == 0, name
