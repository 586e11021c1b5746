import numpy as np
import pytest
import tensorflow as tf

from tests.export.export_toys import as_table_has_them, toy_neighbours
from tests.toy_data import toy_description
from tf_e2egrec.dataset.ids import MISSING_KEY, string_keys
from tf_e2egrec.export.request_inputs import RequestInputs


@pytest.fixture
def inputs():
    return RequestInputs(toy_description(), frozenset())


def test_names_dtypes_and_free_dimensions(inputs):
    specs = inputs.rank() | inputs.fresh()
    assert all(spec.shape[0] is None for spec in specs.values())
    assert {name for name in inputs.fresh() if "feature" in name} == {
        "fresh_feature_genre",
        "fresh_feature_length",
    }
    assert specs["fresh_feature_genre"].shape.as_list() == [None, None, 2]
    assert specs["fresh_feature_length"].shape.as_list() == [None, None]
    assert "item_age" not in specs  # derived from the request
    text = RequestInputs(toy_description(), frozenset({"item"}))
    assert {name for name, spec in (text.rank() | text.fresh()).items() if spec.dtype == tf.string} == {
        "recent", "candidates", "fresh", "fresh_neighbours",
    }  # fmt: skip
    assert text.embed()["items"].dtype == tf.string


def test_weights_become_those_of_the_table_and_the_rest_is_left_out(inputs):
    fresh = inputs.fresh_items(as_table_has_them([118, 129]))
    table = toy_neighbours()
    row = table.rows_of(np.array([118]))[0]
    edges = slice(table.indptr[row], table.indptr[row] + 3)  # the fanout
    np.testing.assert_array_equal(fresh.neighbours[0], table.neighbours[edges])
    np.testing.assert_allclose(fresh.weights[0], table.weights[edges] ** 0.5, rtol=1e-6)
    np.testing.assert_array_equal(fresh.weights[1], 0.0)
    assert fresh.neighbours_given.numpy().all()


def test_uniform_weights_do_not_bring_back_what_is_left_out():
    """w ** 0 is 1 even for the weight 0."""
    description = toy_description()
    sampling = description.graph.sampling.model_copy(update={"beta": 0.0})
    graph = description.graph.model_copy(update={"sampling": sampling})
    inputs = RequestInputs(description.model_copy(update={"graph": graph}), frozenset())
    weights = inputs.fresh_items(as_table_has_them([118, 129])).weights.numpy()
    np.testing.assert_array_equal(weights, [[1.0] * 3, [0.0] * 3])


def test_text_is_hashed_and_nothing_is_missing():
    inputs = RequestInputs(toy_description(), frozenset({"item"}))
    values = as_table_has_them([118])
    values |= {"fresh": tf.constant([["v9", ""]]), "num_fresh": [2]}
    values |= {
        name: tf.repeat(values[name], 2, axis=1) for name in values if name not in ("fresh", "num_fresh")
    }
    values["fresh_neighbours"] = tf.constant([[["a", "", "b", "c"]] * 2])
    fresh = inputs.fresh_items(values)
    assert fresh.keys.numpy().tolist() == [[string_keys(["v9"])[0], MISSING_KEY]]
    assert (fresh.neighbours[0].numpy() == [string_keys(["a"])[0], MISSING_KEY, string_keys(["b"])[0]]).all()
    assert fresh.weights[0, 1] == 0.0


@pytest.mark.parametrize("name", ["num_fresh_neighbours", "fresh_feature_genre", "fresh_feature_length"])
def test_lists_of_another_length_than_the_fresh_items_are_refused(inputs, name):
    """One number would stand for all of them."""
    values = as_table_has_them([118, 129])
    values[name] = values[name][:, :1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        inputs.fresh_items(values)
