import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.export.export_toys import NOW, toy_module, toy_neighbours
from tests.toy_data import (
    serialize,
    toy_description,
    toy_items,
    toy_record,
    toy_records,
    toy_users,
)
from tf_e2egrec.export.ranking_module import RankingModule
from tf_e2egrec.export.servable import save_servable
from tf_e2egrec.export.serving_graph import ServingGraph

DAY = 86_400_000


@pytest.fixture(scope="module")
def module():
    return toy_module("table")


@pytest.fixture(scope="module")
def exported(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "1"
    save_servable(module, module.signatures(), path)
    return path


def request(user, candidates, recent=(), position=0.5, device=1, time=NOW):
    return {
        "user_id": tf.constant([user], tf.int64),
        "time": tf.constant([time], tf.int64),
        "recent": tf.constant([list(recent)], tf.int64, shape=[1, len(recent)]),
        "num_recent": tf.constant([len(recent)], tf.int32),
        "candidates": tf.constant([list(candidates)], tf.int64, shape=[1, len(candidates)]),
        "num_candidates": tf.constant([len(candidates)], tf.int32),
        "position": tf.constant([position], tf.float32),
        "device": tf.constant([device], tf.int64),
    }


def record_for(user, candidate, recent, position, device):
    """The evaluation record of the same impression: the heaviest neighbours, weights w ** 0.5."""
    table = toy_neighbours()
    seeds = [candidate, *[r for r in recent if r != candidate]]
    neighbours = {}
    for place, seed in enumerate(seeds):
        row = table.rows_of(np.array([seed]))[0]
        if row >= 0:
            edges = slice(table.indptr[row], table.indptr[row] + (3 if place == 0 else 2))
            neighbours[place] = [
                (int(k), float(w) ** 0.5)
                for k, w in zip(table.neighbours[edges], table.weights[edges], strict=True)
            ]
    record = toy_record(np.random.default_rng(0), candidate, seeds[1:], neighbours, user)
    hours = (NOW - 1_704_000_000_000) / (DAY / 24)
    values = {"position": position, "device": device, "hour_of_day": NOW // (DAY // 24) % 24}
    values |= {"item_age": np.log1p(hours), "recent_count": np.log1p(len(seeds) - 1)}
    readout = record.node_sets["_readout"].get_features_dict()
    readout |= {name: tf.constant([value], readout[name].dtype) for name, value in values.items()}
    return record.replace_features(node_sets={"_readout": readout})


def test_rank_equals_the_records_of_the_same_impressions(module):
    user, recent, candidates = 3, [102, 118, 104], [100, 118, 127, 105]
    ranked = module.rank(request(user, candidates, recent))
    examples = serialize([record_for(user, candidate, recent, 0.5, 1) for candidate in candidates])
    expected = module.score_examples(examples)
    for name in ("reward", "stay_seconds", "score"):
        np.testing.assert_allclose(ranked[name][0], expected[name], rtol=2e-5, err_msg=name)


def test_padding_and_neighbours_in_the_batch_change_nothing(module):
    one = module.rank(request(3, [100, 105], [102]))
    two = request(4, [101, 102, 103], [])
    both = {}
    for name, value in request(3, [100, 105, 100], [102]).items():
        other = two[name]
        if name == "recent":
            other = tf.constant([[102]], tf.int64)
        both[name] = tf.concat([value, other], 0)
    both["num_candidates"] = tf.constant([2, 3], tf.int32)
    both["num_recent"] = tf.constant([1, 0], tf.int32)
    together = module.rank(both)
    np.testing.assert_allclose(together["reward"][0, :2], one["reward"][0], rtol=1e-5)
    assert together["reward"][0, 2] == 0.0
    np.testing.assert_allclose(together["reward"][1], module.rank(two)["reward"][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("user", "candidates"),
    [(999_999, [100]), (-1, [100]), (3, [987_654]), (3, [-5, 2**62]), (3, [129]), (3, [])],
    ids=[
        "unknown user",
        "missing user",
        "unknown item",
        "ids out of range",
        "item without neighbours",
        "no candidates",
    ],
)
def test_odd_requests_are_answered(module, user, candidates):
    result = module.rank(request(user, candidates, [104, 999_998]))
    assert result["score"].shape == (1, len(candidates))
    assert np.isfinite(result["score"]).all()


def test_an_empty_list_does_not_disturb_its_batch(module):
    good = request(3, [100, 105], [102])
    batch = {name: tf.concat([value, value], 0) for name, value in good.items()}
    batch["num_candidates"] = tf.constant([2, 0], tf.int32)
    result = module.rank(batch)
    np.testing.assert_allclose(result["reward"][0], module.rank(good)["reward"][0], rtol=1e-5)
    np.testing.assert_array_equal(result["reward"][1], 0.0)


def test_recent_items_are_made_distinct_limited_and_never_the_candidate(module):
    plain = module.rank(request(3, [100], [102, 104]))["reward"]
    messy = module.rank(request(3, [100], [102, 102, 100, 104, -1]))["reward"]
    np.testing.assert_allclose(messy, plain, rtol=1e-5)
    five = module.rank(request(3, [100], [101, 102, 103, 104, 105]))["reward"]  # the toy keeps four
    np.testing.assert_allclose(
        five, module.rank(request(3, [100], [101, 102, 103, 104]))["reward"], rtol=1e-5
    )


CHECK = """
import sys
import numpy as np, tensorflow as tf
path, expected = sys.argv[1], np.array(eval(sys.argv[2]))
from tensorflow.core.protobuf import saved_model_pb2
proto = saved_model_pb2.SavedModel.FromString(open(path + "/saved_model.pb", "rb").read())
assert len(proto.meta_graphs) == 1
ops = {node.op for graph in proto.meta_graphs for f in graph.graph_def.library.function for node in f.node_def}
assert not any("PyFunc" in op for op in ops), ops
assert not any("_XlaMustCompile" in f.attr for f in proto.meta_graphs[0].graph_def.library.function)
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    meta = tf.compat.v1.saved_model.load(session, ["serve"], path)
    signature = meta.signature_def["rank"]
    feed = {
        "user_id": [3], "time": [1704200000000], "recent": [[102]], "num_recent": [1], "candidates": [[100, 105]],
        "num_candidates": [2], "position": [0.5], "device": [1],
    }
    assert set(feed) == set(signature.inputs)
    assert all(i.tensor_shape.dim[0].size == -1 for s in meta.signature_def.values() for i in s.inputs.values())
    out = session.run(signature.outputs["reward"].name, {signature.inputs[k].name: v for k, v in feed.items()})
np.testing.assert_allclose(out[0], expected, rtol=1e-5)
assert "tf_e2egrec" not in sys.modules
"""


def test_the_export_loads_in_a_process_without_our_code_and_answers_the_same(module, exported):
    expected = module.rank(request(3, [100, 105], [102]))["reward"][0].numpy().tolist()
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(exported), repr(expected)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_serving_default_takes_serialized_records(module, exported):
    records = toy_records(6)
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    result = signature(examples=serialize(records))
    expected = module.score_examples(serialize(records))
    assert set(result) == {"reward", "stay_seconds", "score"}
    np.testing.assert_allclose(result["score"], expected["score"], rtol=1e-5)


def test_string_ids_are_hashed_as_in_the_pipelines(module):
    description = toy_description()
    strings = RankingModule(
        module.model,
        ServingGraph(description, toy_items(), toy_users(), toy_neighbours()),
        description,
        frozenset({"user", "item", "device"}),
    )
    assert {name for name, spec in strings.rank_inputs().items() if spec.dtype == tf.string} == {
        "user_id",
        "recent",
        "candidates",
        "device",
    }
