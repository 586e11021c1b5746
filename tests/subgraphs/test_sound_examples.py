"""Records with wrong lengths against the general protobuf parser; those of sound records pass unchanged."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toy_data import serialize, toy_description, toy_records
from tf_e2egrec.subgraphs.graph_schema import record_spec
from tf_e2egrec.subgraphs.sound_examples import sound_examples

SPEC = record_spec(toy_description())


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def item_ids(examples):
    return tfgnn.parse_example(SPEC, sound_examples(examples)).node_sets["item"]["#id"].flat_values


def with_length(length: int) -> bytes:
    """A record whose first edge weights are announced as a packed list of so many bytes."""
    record = next(one for one in serialize(toy_records(8)).numpy() if b"swing.weight" in one)
    name = record.index(b"edges/swing.weight") + len(b"edges/swing.weight")
    place = record.index(b"\n", name)
    varint = bytes([length >> 7 * n & 0x7F | 0x80 for n in range(4)]) + bytes([length >> 28])
    return record[: place + 1] + varint + record[place + 6 :]


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 2**31 - 1, 2**28])
def test_a_list_longer_than_its_record_is_refused_not_fatal(length):
    broken = with_length(length)
    with pytest.raises(DecodeError):
        tf.train.Example.FromString(broken)
    good = list(serialize(toy_records(3)).numpy())
    with pytest.raises(tf.errors.DataLossError, match="Unable to parse"):
        item_ids(tf.constant([*good, broken, *good]))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_sound_records_pass(count):
    records = serialize(toy_records(count)) if count else tf.zeros([0], tf.string)
    np.testing.assert_array_equal(sound_examples(records), records)
    graph = tfgnn.parse_example(SPEC, records)
    np.testing.assert_array_equal(item_ids(records), graph.node_sets["item"]["#id"].flat_values)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(width=32, allow_nan=False), max_size=200), min_size=1, max_size=5))
def test_lists_of_any_numbers_pass(lists):
    """Among them are numbers whose bytes look as if a list began there."""
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=values))}
            )
        ).SerializeToString()
        for values in (*lists, [np.frombuffer(b"\x0a\x80\x80\x80", "<f4")[0], 1.0])
    ]
    assert list(sound_examples(tf.constant(examples)).numpy()) == examples
