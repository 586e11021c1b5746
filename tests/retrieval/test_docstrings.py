"""The examples in docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import tf_e2egrec.retrieval

MODULES = [one.name for one in pkgutil.iter_modules(tf_e2egrec.retrieval.__path__, "tf_e2egrec.retrieval.")]


@pytest.mark.parametrize("name", [*MODULES, "tf_e2egrec.dataset.list_reader"])
def test_examples(name):
    assert (
        doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
    )
