"""Records read by number, against TF-GNN's parser; wrong bytes are refused or read, and never crash."""

import random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tests.toy_data import serialize, toy_description, toy_records
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.batch_graph import merge_records
from tf_e2egrec.subgraphs.graph_schema import record_spec
from tf_e2egrec.subgraphs.impression_records import ImpressionRecords

RECORDS = 40


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


@pytest.fixture(scope="module")
def serialized():
    return serialize(toy_records(RECORDS)).numpy().tolist()


@pytest.fixture(scope="module")
def files(serialized, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    parts = serialized[:15], serialized[15:16], [], serialized[16:]
    return [write(folder / f"{i}.tfrecord", part) for i, part in enumerate(parts)]


def parsed(serialized):
    return merge_records(tfgnn.parse_example(record_spec(toy_description()), tf.constant(serialized)))


def same(found, records, theirs, has_swing=True):
    """Whether what was read is what TF-GNN's parser says."""
    graph = theirs.graph
    ids = graph.node_sets["item"]["#id"].numpy()
    np.testing.assert_array_equal(found.places, theirs.places)
    np.testing.assert_array_equal(found.place_key, ids[theirs.place_node])
    np.testing.assert_array_equal(found.first_place, theirs.first_place)
    np.testing.assert_array_equal(found.recent_place, theirs.recent_place)
    np.testing.assert_array_equal(found.recent_target, graph.edge_sets["recent"].adjacency.target)
    np.testing.assert_array_equal(found.recent_age, graph.edge_sets["recent"]["age"])
    np.testing.assert_array_equal(found.user, graph.node_sets["user"]["#id"])
    columns = dict(zip(records.int_columns, found.ints, strict=True))
    columns |= dict(zip(records.float_columns, found.floats, strict=True))
    expected = theirs.readout | theirs.labels
    assert set(columns) == set(expected)
    for name, values in columns.items():
        assert values.dtype == expected[name].dtype.as_numpy_dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    swing = graph.edge_sets["swing"]
    if not has_swing:
        assert len(found.swing_source) == len(found.swing_target) == 0
        return
    np.testing.assert_array_equal(found.swing_source, ids[swing.adjacency.source])
    np.testing.assert_array_equal(found.swing_weight, swing["weight"])
    np.testing.assert_array_equal(found.swing_propagation, swing["propagation_weight"])
    node = np.asarray(theirs.place_node)[found.swing_target]
    np.testing.assert_array_equal(node, swing.adjacency.target)


@pytest.mark.parametrize("has_swing", [True, False])
@pytest.mark.parametrize("rows", [range(RECORDS), [39, 0, 15, 7, 7, 16], [15], []], ids=len)
def test_any_rows_are_what_the_parser_of_graph_tensors_says(serialized, files, has_swing, rows):
    records = ImpressionRecords(files, toy_description(), has_swing)
    assert len(records) == RECORDS
    found = records.read(np.array(rows, np.int64))
    if len(rows):
        same(found, records, parsed([serialized[row] for row in rows]), has_swing)
    else:
        assert all(one.shape[-1] == 0 for one in found)


def test_other_writers_may_order_and_pack_the_values_otherwise(serialized, tmp_path):
    """Features in reverse order, every value a field of its own, an unknown feature, a field that Example has not."""
    written = []
    for record in serialized:
        entries = sorted(tf.train.Example.FromString(record).features.feature.items(), reverse=True)
        extra = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"]))
        body = b"".join(entry(key, loose(value)) for key, value in entries)
        body += entry("nodes/item.#i", extra.SerializeToString())
        written.append(field(1, body) + field(9, b"?"))
    path = write(tmp_path / "loose.tfrecord", written)
    records = ImpressionRecords([path], toy_description(), has_swing=True)
    same(records.read(np.arange(RECORDS)), records, parsed(serialized))


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, content):
    return varint(8 * number + 2) + varint(len(content)) + content


def entry(key, feature):
    return field(1, field(2, feature) + field(1, key.encode()))


def loose(feature):
    kind = feature.WhichOneof("kind")
    if kind == "int64_list":
        return field(3, b"".join(b"\x08" + varint(value) for value in feature.int64_list.value))
    values = np.array(feature.float_list.value, "<f4")
    return field(2, b"".join(b"\x0d" + value.tobytes() for value in values))


def test_a_flipped_bit_is_refused(serialized, tmp_path):
    path = tmp_path / "flipped.tfrecord"
    write(path, serialized)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(E2EGRecError, match=r"flipped\.tfrecord is damaged \(record \d+ is no subgraph, or"):
        ImpressionRecords([str(path)], toy_description(), True).read(np.arange(RECORDS))


@pytest.mark.parametrize("broken", [b"", b"no subgraph", tf.train.Example().SerializeToString()])
def test_a_record_that_is_no_subgraph_is_refused(serialized, tmp_path, broken):
    path = write(tmp_path / "other.tfrecord", [serialized[0], broken])
    records = ImpressionRecords([path], toy_description(), True)
    assert len(records.read(np.array([0])).user) == 1
    with pytest.raises(E2EGRecError, match="record 1 is no subgraph"):
        records.read(np.array([0, 1]))


def test_wrong_bytes_under_right_checksums_are_refused_or_read(serialized, tmp_path):
    """As the parser of GraphTensors, where that one reads them; nothing crashes."""
    refused = 0
    for number in range(300):
        chance = random.Random(number)
        record = bytearray(chance.choice(serialized))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(record))
            if chance.random() < 0.4:
                record[place] ^= 1 << chance.randrange(8)
            elif chance.random() < 0.5:
                del record[place : place + chance.randint(1, 9)]
            else:
                record[place:place] = chance.randbytes(chance.randint(1, 9))
        path = write(tmp_path / "odd.tfrecord", [bytes(record)])
        records = ImpressionRecords([path], toy_description(), True)
        try:
            found = records.read(np.arange(1))
        except E2EGRecError:
            refused += 1
            continue
        assert found.recent_place.max(initial=0) < found.places[0]
        assert found.swing_target.max(initial=0) < found.places[0]
    assert 100 < refused < 300
