"""Fresh items from a caller's values to the `rank_fresh` signature, and through a server."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.client.fresh_inputs import fresh_inputs
from serving.client.fresh_item import FreshItem
from serving.client.rank_request import rank_inputs
from serving.client.ranking_client import RankingClient
from serving.server_command import start_server
from tests.export.export_toys import NOW, as_table_has_them, toy_module, toy_neighbours
from tests.toy_data import toy_items
from tf_e2egrec.dataset.ids import string_keys
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export.servable import save_servable


def signature_of(specs):
    signature = meta_graph_pb2.SignatureDef()
    for name, spec in specs.items():
        signature.inputs[name].dtype = spec.dtype.as_datatype_enum
        signature.inputs[name].tensor_shape.CopyFrom(spec.shape.as_proto())
    return signature


@pytest.fixture(scope="module")
def signature():
    return signature_of(toy_module("hybrid").rank_fresh_inputs())


def item_as_the_tables_have_it(key):
    items, table = toy_items(), toy_neighbours()
    row, edges = items.lookup(np.array([key]))[0], table.rows_of(np.array([key]))[0]
    chosen = slice(table.indptr[edges], table.indptr[edges + 1])
    return FreshItem(
        key,
        {name: values[row] for name, values in items.features.items()},
        dict(zip(table.neighbours[chosen], table.weights[chosen], strict=True)),
    )


def test_items_become_the_inputs_of_the_signature(signature):
    made = fresh_inputs(signature, [item_as_the_tables_have_it(118), item_as_the_tables_have_it(105)])
    expected = as_table_has_them([118, 105])
    assert set(made) == set(expected)
    for name, values in expected.items():
        assert made[name].dtype == values.dtype.as_numpy_dtype
        np.testing.assert_array_equal(made[name], values, err_msg=name)


def test_what_is_not_said_is_missing_and_text_is_hashed(signature):
    made = fresh_inputs(signature, [FreshItem(5), FreshItem(6, {"genre": ["drama"], "length": 2})])
    assert made["num_fresh_neighbours"].tolist() == [[0, 0]]
    assert np.isnan(made["fresh_feature_length"][0, 0])
    assert made["fresh_feature_length"][0, 1] == 2.0
    assert made["fresh_feature_genre"].tolist() == [[[-1, -1], [string_keys(["drama"])[0], -1]]]


def test_the_other_inputs_are_those_of_rank(signature):
    made = rank_inputs(signature, 3, [100, 5], [102], {"device": 1}, [FreshItem(5)])
    assert set(made) == set(signature.inputs)
    with pytest.raises(E2EGRecError, match="no context feature fresh_weights; it has device, position, time"):
        rank_inputs(signature, 3, [5], context={"fresh_weights": 1.0}, fresh=[FreshItem(5)])


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (FreshItem("a"), "fresh: the model takes int64 ids, got 'a'"),
        (FreshItem(1, {"colour": 1}), "no item feature colour; it has genre, length"),
        (FreshItem(1, {"length": "long"}), "length: the model takes numbers, got 'long'"),
        (FreshItem(1, {"genre": 1.5}), "genre: the model takes integers or text, got 1.5"),
        (FreshItem(1, {"genre": [1, 2, 3]}), "genre: the model takes 2 values, got 3"),
        (FreshItem(1, {}, {"b": 1.0}), "fresh: the model takes int64 ids, got 'b'"),
    ],
)
def test_mistakes(signature, item, says):
    with pytest.raises(E2EGRecError, match=says):
        fresh_inputs(signature, [item])


def test_a_served_export_answers_fresh_items_and_embeddings(tmp_path):
    module = toy_module("hybrid")
    save_servable(module, module.signatures(), tmp_path / "m" / "1")
    new = item_as_the_tables_have_it(104)
    new = FreshItem(987_654, new.features, new.neighbours)
    context = {"time": NOW, "position": 0.5, "device": 1}
    inputs = rank_inputs(signature_of(module.rank_fresh_inputs()), 3, [100, 987_654], [102], context, [new])
    expected = module.rank_fresh({name: tf.constant(value) for name, value in inputs.items()})
    with (
        start_server(tmp_path / "m", "m", port=0, kind="development") as server,
        RankingClient(server.target, "m", timeout=60) as client,
    ):
        client.wait_until_available()
        answer = client.rank(3, [100, 987_654], [102], context, fresh=[new])
        plain = client.rank(3, [100, 987_654], [102], context)
        z = client.predict({"items": np.array([100, 987_654])}, "embed")["z"]
    by_item = dict(zip(answer.item_ids, answer.reward, strict=True))
    np.testing.assert_allclose([by_item[100], by_item[987_654]], expected["reward"][0], rtol=1e-5)
    without = dict(zip(plain.item_ids, plain.reward, strict=True))
    assert by_item[100] == pytest.approx(without[100], rel=1e-5)
    assert abs(by_item[987_654] - without[987_654]) > 1e-6
    np.testing.assert_allclose(
        z, module.embed({"items": tf.constant([100, 987_654], tf.int64)})["z"], rtol=1e-5
    )
