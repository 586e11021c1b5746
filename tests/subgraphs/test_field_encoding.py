"""The general encoder against TensorFlow's reader and protobuf's own bytes."""

import itertools

import numpy as np

from tf_e2egrec.subgraphs.example_field import ExampleField
from tf_e2egrec.subgraphs.example_message import example_class
from tf_e2egrec.subgraphs.field_encoding import encode_fields


def random_fields(n: int):
    rng = np.random.default_rng(0)
    values, fields = {}, []
    for number, make in enumerate(("of_ints", "of_floats", "of_bytes") * 2):
        indptr = np.r_[0, np.cumsum(rng.integers(0, 5, n))]
        key = f"nodes/set{number}.#{'x' * (number * 40)}"
        column = {
            "of_ints": lambda m: rng.choice(np.array([0, -1, 5, 300, 1 << 62, -(1 << 63)]), m),
            "of_floats": lambda m: rng.random(m, dtype=np.float32),
            "of_bytes": lambda m: [b"ab" * int(length) for length in rng.integers(0, 100, m)],
        }[make](indptr[-1])
        values[key] = [list(column[a:b]) for a, b in itertools.pairwise(indptr)]
        fields.append(getattr(ExampleField, make)(key, column, indptr))
    return values, fields


def test_records_are_what_protobuf_writes(tmp_path):
    import tensorflow as tf

    values, fields = random_fields(300)
    (tmp_path / "x").write_bytes(b"".join(chunk.tobytes() for chunk in encode_fields(fields[::-1])))
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(tmp_path / "x"))]
    assert len(records) == 300
    for i, record in enumerate(records):
        for message in (tf.train.Example.FromString(record), example_class().FromString(record)):
            assert message.SerializeToString(deterministic=True) == record
            assert set(message.features.feature) == set(values)
            for key, feature in message.features.feature.items():
                found = getattr(feature, feature.WhichOneof("kind")).value
                np.testing.assert_array_equal(np.asarray(found), values[key][i])
