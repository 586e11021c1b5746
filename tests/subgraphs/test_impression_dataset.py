"""Both sources of impressions give the model the same sample; and one of them a new sample whenever it is asked to."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.subgraphs.two_sources import UNKNOWN, places, write_sources
from tf_e2egrec.models import E2EGRec, ModelInputs, variant_named
from tf_e2egrec.subgraphs.graph_schema import READOUT, record_spec
from tf_e2egrec.subgraphs.subgraph_dataset import record_files
from tf_e2egrec.training import epoch_dataset


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("sources"))


def new_model(source):
    tf.keras.utils.set_random_seed(0)
    sizes = {"item": {}, "user": {}, "context": {"device": 3, "hour_of_day": 24}}
    inputs = ModelInputs.from_description(source.description, 60, 25, sizes)
    model = E2EGRec(inputs, source.description.model, variant_named("R5"))
    model.item_encoder.id_lookup.set_keys(np.arange(60))
    model.user_encoder.id_lookup.set_keys(np.arange(25))
    model.context_embedding.set_vocabulary("device", np.arange(3))
    model.context_embedding.set_vocabulary("hour_of_day", np.arange(24))
    return model


@pytest.mark.parametrize(("split", "seed"), [("train", None), ("train", 4), ("valid", None), ("test", None)])
def test_both_sources_give_the_same_impressions_and_neighbours(sources, split, seed):
    batches = list(zip(*(sources[one].impressions(split, seed) for one in ("records", "table")), strict=True))
    found, seeds = [], np.zeros(2, int)
    for (records, record_labels), (table, table_labels) in batches:
        assert places(table) == places(records)
        found += places(table)
        for name, labels in record_labels.items():
            np.testing.assert_array_equal(table_labels[name], labels)
        for name, values in records.node_sets[READOUT].get_features_dict().items():
            np.testing.assert_array_equal(table.node_sets[READOUT][name], values)
        np.testing.assert_array_equal(table.node_sets["user"]["#id"], records.node_sets["user"]["#id"])
        np.testing.assert_array_equal(table.edge_sets["recent"]["age"], records.edge_sets["recent"]["age"])
        seeds += np.array([int(graph.node_sets["seed"].sizes[0]) for graph in (records, table)])
        ids = table.node_sets["item"]["#id"].numpy()
        assert sorted(ids) == sorted(records.node_sets["item"]["#id"].numpy())
        price = np.where(ids < 60, ids / np.float32(7), np.nan)
        np.testing.assert_allclose(table.node_sets["item"]["price"], price, rtol=1e-6)
    assert seeds[1] < 0.8 * seeds[0]  # a seed that records repeat is there once
    sizes = [len(edges) for impression in found for _, edges in impression[:1]]
    assert max(sizes) == (6 if split == "train" else 8)
    assert 0 in sizes  # isolated items, and those before the first snapshot
    assert any(impression[0][0] == UNKNOWN for impression in found)


@pytest.mark.parametrize("split", ["train", "test"])
def test_z_predictions_and_losses_are_the_same(sources, split):
    model = new_model(sources["records"])
    pair = [next(iter(sources[one].impressions(split).skip(2))) for one in ("records", "table")]
    results = []
    for graph, labels in pair:
        reward, _, states = model.forward(graph, training=False)
        candidate = graph.edge_sets[f"{READOUT}/candidate"].adjacency.source
        losses = model.task_losses(graph, labels, training=False)
        results.append([reward, tf.gather(states.z, candidate), losses["ssl"], losses["ltr"]])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert float(results[0][2]) > 0


def sampled(dataset):
    return [place for graph, _ in dataset for place in places(graph)]


@pytest.mark.parametrize("resample", ["epoch", "step"])
def test_new_samples_by_epoch_or_step_the_same_in_every_run(sources, resample):
    source = sources["table"]
    runs = [source.impressions("train", 1, resample) for _ in range(2)]
    first, second = [[sampled(run) for _ in range(2)] for run in runs]
    assert first == second
    assert sampled(source.impressions("train", 2, resample)) != first[0]
    for epoch in first:
        assert epoch != sampled(source.impressions("train", 1))
    items = [[[key for key, _ in impression] for impression in epoch] for epoch in first]
    assert sorted(items[0]) == sorted(items[1])  # the impressions stay
    assert first[0] != first[1]


def samples_by_seed(source, resample):
    """How many different samples the fullest candidate of one snapshot gets within an epoch."""
    found = {}
    for graph, _ in source.impressions("train", 1, resample):
        slots = graph.node_sets[READOUT]["time"].numpy() // (8 * 3_600_000)
        for slot, impression in zip(slots, places(graph), strict=True):
            found.setdefault((slot, impression[0][0]), set()).add(
                tuple(key for key, _, _ in impression[0][1])
            )
    return max(map(len, found.values()))


def test_an_epoch_has_one_sample_and_steps_have_many(sources):
    counts = {one: samples_by_seed(sources["table"], one) for one in ("never", "epoch", "step")}
    assert counts["never"] == counts["epoch"] == 1
    assert counts["step"] > 1


@pytest.mark.parametrize(
    ("source", "resample"), [("table", "step"), ("table", "epoch"), ("records", "never")]
)
@pytest.mark.parametrize("unparsed", [False, True])
def test_samples_of_a_resumed_run(sources, source, resample, unparsed):
    """Within `epoch_dataset` the seed is a tensor, and an epoch may start in its middle."""

    def impressions(seed):
        return sources[source].impressions("train", seed, resample)

    def leaving_out(seed, skip):
        return sources[source].impressions("train", seed, resample, skip)

    def run(start=(0, 0)):
        batches = epoch_dataset(leaving_out if unparsed else impressions, 5, 2, start)
        return [places(graph) for graph, _ in batches]

    whole, rest = run(), run((1, 2))
    assert len(rest) == len(whole) // 2 - 2
    assert rest == whole[-len(rest) :]


def test_validation_is_never_resampled(sources):
    source = sources["both"]
    plain, asked = (sampled(source.impressions("valid", None, one)) for one in ("never", "step"))
    assert plain == asked == sampled(sources["records"].impressions("valid"))


def test_records_with_neighbours_can_be_resampled(sources):
    table, both = (sampled(sources[one].impressions("train", 1, "epoch")) for one in ("table", "both"))
    assert table == both


def test_tfgnn_reads_impressions_without_neighbours(sources):
    source = sources["table"]
    files = record_files(source.directory, "train")
    serialized = next(iter(tf.data.TFRecordDataset(files).batch(200)))
    graph = tfgnn.parse_example(record_spec(source.description), serialized)
    sizes = graph.node_sets["item"].sizes.numpy().ravel()
    assert int(tf.reduce_sum(graph.edge_sets["swing"].sizes)) == 0
    np.testing.assert_array_equal(sizes, 1 + graph.edge_sets["recent"].sizes.numpy().ravel())
    assert sizes.max() > 1
    schema = [(sources[one].directory / "schema.pbtxt").read_text() for one in ("records", "table")]
    assert schema[0] == schema[1]


def test_the_records_do_not_depend_on_the_tables(sources):
    records, both = (record_files(sources[one].directory, "train") for one in ("records", "both"))
    for ours, theirs in zip(records, both, strict=True):
        assert Path(ours).read_bytes() == Path(theirs).read_bytes()
    assert not (sources["records"].directory / "table").exists()
