"""Every public name has an example in its docstring, which runs and prints what it says."""

import doctest
import importlib
import inspect

import numpy as np
import pytest
import tensorflow as tf

import tf_e2egrec


def _is_of_a_part(name):
    home = tf_e2egrec._HOME_OF[name]
    return home in ("tf_e2egrec.layers", "tf_e2egrec.losses", "tf_e2egrec.training")


NAMES = [
    (package, name)
    for package in ("tf_e2egrec", "tf_e2egrec.layers", "tf_e2egrec.losses", "tf_e2egrec.training")
    for name in importlib.import_module(package).__all__
    if name != "__version__" and (package != "tf_e2egrec" or not _is_of_a_part(name))
]
RECORDS = {"DurationQuantiles", "DatasetDescription"}  # shown by the functions that make and take them


@pytest.mark.parametrize(("package", "name"), NAMES, ids=[name for _, name in NAMES])
def test_every_public_name_has_an_example_that_runs(package, name):
    value = getattr(importlib.import_module(package), name)
    public = {other: getattr(tf_e2egrec, other) for other in tf_e2egrec.__all__}
    names = public | vars(inspect.getmodule(value)) | {"tf": tf, "np": np}
    tests = doctest.DocTestFinder(recurse=False).find(value, name, globs=names)
    assert name in RECORDS or any(test.examples for test in tests), f"{name} has no example"
    tf.keras.utils.set_random_seed(0)
    for test in tests:
        result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert result.failed == 0, name
