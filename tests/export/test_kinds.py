"""The kinds of export answer alike."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.export.export_toys import as_table_has_them, requests, toy_module
from tests.toy_data import serialize, toy_batch, toy_description, toy_model, toy_records
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.export import item_rows, vector_ranker
from tf_e2egrec.export.graph_ranker import GraphRanker
from tf_e2egrec.export.kinds import chosen_kind
from tf_e2egrec.losses.duration_quantiles import fit_duration_quantiles

REQUESTS = requests(
    users=[3, 7, 999_999],
    candidates=[[100, 118, 127, 105, 119], [101, 987_654], [129, 104, -1]],
    recent=[[102, 118, 102, 104, 105, 106], [], [129, 555_555]],
)
FRESH_MODELS = ("R5", "R2b", "R5-graphsage", "R1-post-convolution")


def assert_alike(one, other):
    assert set(one) == set(other) == {"reward", "stay_seconds", "score"}
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.fixture(scope="module", params=[*FRESH_MODELS, "R5, hashed keys", "R5, fewer items"])
def kinds(request):
    """`graph`, `table` and `hybrid`. The toys' keys follow one another, so that they are rows unless that is forbidden."""
    name, _, change = request.param.partition(", ")
    model = toy_model(name)
    with pytest.MonkeyPatch.context() as patch:
        if change == "hashed keys":
            patch.setattr(item_rows, "_MOST_ROWS", 0.0)
        if change == "fewer items":
            patch.setattr(vector_ranker.VectorRanker, "_rows_of_ids", lambda *_: None)
        return tuple(toy_module(kind, model=model) for kind in ("graph", "table", "hybrid"))


def test_ids_have_rows_unless_the_model_knows_more_items_than_the_table():
    model = toy_model("R5")
    ranker = toy_module("hybrid", model=model).ranker
    assert ranker.id_rows is not None
    keys = model.item_encoder.id_lookup.keys.numpy()
    np.testing.assert_array_equal(
        tf.gather(ranker.id_rows, ranker.rows_of(tf.constant(keys))), 1 + np.arange(len(keys))
    )
    model.item_encoder.id_lookup.set_keys(np.r_[keys[:-1], 10**9])
    assert toy_module("hybrid", model=model).ranker.id_rows is None


def widened(fresh, rows):
    """Fresh items of the first request of a batch; the others have none."""
    return {
        name: tf.concat([values, *[tf.zeros_like(values)] * (rows - 1)], axis=0)
        for name, values in fresh.items()
    }


def test_every_kind_answers_as_the_batch_graph(kinds):
    graph, table, hybrid = (module.rank(REQUESTS) for module in kinds)
    assert_alike(hybrid, graph)
    assert_alike(table, graph)
    assert np.ptp(graph["reward"][0]) > 0


def test_embeddings_are_alike_and_unknown_items_share_one(kinds):
    graph, table, hybrid = kinds
    items = {"items": tf.constant([100, 129, 555_555, -1, 777_777], tf.int64)}
    z = hybrid.embed(items)["z"].numpy()
    for other in (graph, table):
        np.testing.assert_allclose(z, other.embed(items)["z"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(z[2], z[3])
    np.testing.assert_array_equal(z[2], z[4])
    assert np.abs(z[0] - z[1]).max() > 0


def test_fresh_items_that_are_as_the_tables_say_change_nothing(kinds):
    for module in kinds:
        fresh = widened(as_table_has_them([118, 127, 105]), 3)
        assert_alike(module.rank_fresh(REQUESTS | fresh), module.rank(REQUESTS))


def test_a_new_item_is_ranked_by_the_features_and_neighbours_of_the_request(kinds):
    new = as_table_has_them([104, 103]) | {"fresh": tf.constant([[987_654, 129]], tf.int64)}
    one = requests([3], [[100, 987_654, 129]], [[102, 118]])
    graph, table, hybrid = (module.rank_fresh(one | new) for module in kinds)
    assert_alike(hybrid, graph)
    assert_alike(table, graph)
    plain = kinds[0].rank(one)["reward"][0]
    np.testing.assert_allclose(table["reward"][0, 0], plain[0], rtol=1e-5)
    assert abs(table["reward"][0, 1] - plain[1]) > 1e-6
    assert abs(table["reward"][0, 2] - plain[2]) > 1e-6
    without = new | {"num_fresh_neighbours": tf.constant([[0, 0]])}
    lonely, *others = (module.rank_fresh(one | without) for module in kinds)
    for other in others:
        assert_alike(other, lonely)
    assert abs(lonely["reward"][0, 1] - table["reward"][0, 1]) > 1e-7


def test_padding_of_fresh_items_and_odd_neighbours_change_nothing(kinds):
    """More columns than are listed, repeated ids, neighbours without id or weight: as if they were not there."""
    one = requests([3], [[100, 118, 105]], [[102]])
    fresh = as_table_has_them([118, 104]) | {"fresh": tf.constant([[118, 105]], tf.int64)}
    messy = {
        name: tf.concat([values, values[:, :1], values[:, 1:] + tf.ones([], values.dtype)], axis=1)
        if values.shape.rank > 1
        else values
        for name, values in fresh.items()
    }
    odd = tf.constant([[[-1, 103, 103, 103]]], tf.int64), tf.constant([[[1.0, np.nan, -2.0, 0.0]]])
    for module in kinds:
        expected = module.rank_fresh(one | fresh)
        assert_alike(module.rank_fresh(one | messy), expected)
        listed_twice = messy | {"fresh": tf.constant([[118, 105, 118, 105]], tf.int64), "num_fresh": [4]}
        assert_alike(module.rank_fresh(one | listed_twice), expected)
        none = {name: values[:, :1] for name, values in fresh.items() if name != "num_fresh"} | {
            "num_fresh": [1]
        }
        nothing = none | {"num_fresh_neighbours": tf.constant([[0]])}
        strange = none | {
            "fresh_neighbours": odd[0],
            "fresh_weights": odd[1],
            "num_fresh_neighbours": tf.constant([[1000]]),
        }
        assert_alike(module.rank_fresh(one | strange), module.rank_fresh(one | nothing))


def test_no_fresh_item_at_all(kinds):
    none = {
        name: values[:, :0] if values.shape.rank > 1 else values
        for name, values in as_table_has_them([100]).items()
    }
    for module in kinds:
        fresh = widened(none, 3) | {"num_fresh": tf.zeros([3], tf.int32)}
        assert_alike(module.rank_fresh(REQUESTS | fresh), module.rank(REQUESTS))


def test_a_fresh_item_is_fresh_in_its_own_request_alone(kinds):
    twice = requests([3, 3], [[100, 118]] * 2, [[102]] * 2)
    fresh = widened(as_table_has_them([104]) | {"fresh": tf.constant([[118]], tf.int64)}, 2)
    for module in kinds:
        changed, plain = module.rank_fresh(twice | fresh)["reward"], module.rank(twice)["reward"]
        np.testing.assert_allclose(changed[1], plain[1], rtol=1e-5)
        assert abs(changed[0, 1] - plain[0, 1]) > 1e-6


def test_the_table_can_override_features_and_keep_its_own_neighbours(kinds):
    graph, table, hybrid = kinds
    one = requests([3], [[100, 118, 129]], [[102]])
    own = as_table_has_them([118, 129]) | {"num_fresh_neighbours": tf.constant([[-1, -1]])}
    assert_alike(table.rank_fresh(one | own), table.rank(one))
    changed = own | {"fresh_feature_length": tf.constant([[50.0, 40.0]])}
    overridden = table.rank_fresh(one | changed)
    assert_alike(overridden, graph.rank_fresh(one | changed))
    assert abs(overridden["reward"][0, 1] - table.rank(one)["reward"][0, 1]) > 1e-6
    none = changed | {"num_fresh_neighbours": tf.constant([[0, 0]])}
    assert_alike(hybrid.rank_fresh(one | changed), hybrid.rank_fresh(one | none))


def test_a_wide_model_agrees_too():
    """Rounding grows with the width; the kinds stay within 1e-5 at the default one."""
    model = toy_model(dim=64, heads=8, tower_units=(64,))
    for weight in model.trainable_weights:
        weight.assign(2.0 * weight)
    graph, *others = (toy_module(kind, model=model).rank(REQUESTS) for kind in ("graph", "table", "hybrid"))
    for other in others:
        assert_alike(other, graph)


@pytest.mark.parametrize("name", ["R0", "R1"])
def test_models_that_see_no_graph_have_tables_too(name):
    model = toy_model(name)
    assert_alike(
        toy_module("table", model=model).rank(REQUESTS), toy_module("graph", model=model).rank(REQUESTS)
    )


def test_a_model_whose_z_depends_on_the_batch_is_served_by_the_graph():
    module = toy_module("table", model=toy_model(normalization="sym_local"))
    assert isinstance(module.ranker, GraphRanker)
    assert "embed" not in module.signatures()


def test_durations_of_items_reach_the_stay_tower():
    model = toy_model(stay_loss="d2q", duration_groups=4)
    duration = np.random.default_rng(0).uniform(5, 100, 2000).astype("f4")
    stay = 0.7 * duration
    known = np.where(np.arange(25) % 2, 10.0, 80.0)
    model.stay_objective.set_tables(fit_duration_quantiles(stay, duration, 4), known)
    answers = [toy_module(kind, model=model).rank(REQUESTS) for kind in ("graph", "hybrid", "table")]
    assert_alike(answers[1], answers[0])
    assert_alike(answers[2], answers[0])
    assert np.ptp(answers[0]["stay_seconds"][0]) > 10


def test_the_default_kind_and_what_cannot_be():
    assert chosen_kind(None, toy_model("R5")) == "hybrid"
    assert chosen_kind(None, toy_model("R0")) == "table"
    assert chosen_kind("examples", toy_model("R0")) == "examples"
    with pytest.raises(E2EGRecError, match="it sees no graph; use --kind table"):
        chosen_kind("hybrid", toy_model("R1"))
    with pytest.raises(E2EGRecError, match="no kind of export `fast`; choose from hybrid, table, examples"):
        chosen_kind("fast", toy_model("R5"))
    local = toy_model(normalization="sym_local")
    assert chosen_kind(None, local) == "table"
    with pytest.raises(E2EGRecError, match="sym_local"):
        chosen_kind("hybrid", local)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("hybrid", "R5", {"serving_default", "rank", "rank_fresh", "embed"}),
        ("table", "R5", {"serving_default", "rank", "rank_fresh", "embed"}),
        ("table", "R0", {"serving_default", "rank"}),
        ("graph", "R5", {"serving_default", "rank", "rank_fresh", "embed"}),
        ("examples", "R5", {"serving_default"}),
    ],
)
def test_signatures_of_each_kind(kind, name, expected):
    module = toy_module(kind, name)
    signatures = module.signatures()
    assert set(signatures) == expected
    for function in signatures.values():
        specs = function.structured_input_signature[1].values()
        assert all(spec.shape[0] is None for spec in specs)
    tables = ("neighbour_keys", "sender_rows")
    has_table = any(name in variable.name for variable in module.variables for name in tables)
    assert has_table == (kind in ("table", "graph"))
    assert toy_description().graph.sampling.recent_fanout != toy_description().graph.sampling.fanout


def test_subgraphs_are_ranked_with_and_without_labels():
    """A caller has none; a record of the pipelines may be sent as it is."""
    module, records = toy_module("examples"), toy_records(6)
    bare = []
    for record in records:
        example = tfgnn.write_example(record)
        for name in ("reward", "stay"):
            del example.features.feature[f"nodes/_readout.{name}"]
        bare.append(example.SerializeToString())
    expected = module.model(toy_batch(records)[0], training=False)
    for examples in (serialize(records), tf.constant(bare)):
        answer = module.signatures()["serving_default"](examples=examples)
        for name in ("reward", "stay_seconds"):
            np.testing.assert_allclose(answer[name], expected[name], rtol=1e-5)
