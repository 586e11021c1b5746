import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.subgraphs.example_table import encode_example_table

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(width=32),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200),
        st.lists(st.integers(-1, 2**40), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=12,
)


def read(content, path):
    path.write_bytes(content)
    return [
        tf.train.Example.FromString(one.numpy()).features.feature
        for one in tf.data.TFRecordDataset(str(path))
    ]


@settings(deadline=None, max_examples=40)
@given(rows=ROWS)
def test_tensorflow_reads_what_was_written(rows, tmp_path_factory):
    ids, ints, floats, texts, lists = zip(*rows, strict=True)
    columns = {
        "#id": np.array(ids, np.int64),
        "key": np.array(ints, np.int64),
        "weight": np.array(floats, np.float32),
        "text": np.array(texts, dtype=str),
        "tags": np.array(lists, np.int64),
        "vector": np.tile(np.array(floats, np.float32)[:, None], (1, 40)),
    }
    examples = read(encode_example_table(columns, ("#id",)), tmp_path_factory.mktemp("out") / "table")
    assert len(examples) == len(rows)
    for i, feature in enumerate(examples):
        assert set(feature) == set(columns)
        assert feature["#id"].bytes_list.value[:] == [str(ids[i]).encode()]
        assert feature["key"].int64_list.value[:] == [ints[i]]
        assert feature["text"].bytes_list.value[:] == [str(columns["text"][i]).encode()]
        assert feature["tags"].int64_list.value[:] == lists[i]
        np.testing.assert_array_equal(feature["weight"].float_list.value, columns["weight"][i : i + 1])
        np.testing.assert_array_equal(feature["vector"].float_list.value, columns["vector"][i])


def test_bytes_are_those_of_a_deterministic_serialisation():
    columns = {"b": np.array([300]), "a": np.array([1.5], "f4"), "c": np.array(["xy"])}
    example = tf.train.Example()
    example.features.feature["a"].float_list.value.append(1.5)
    example.features.feature["b"].int64_list.value.append(300)
    example.features.feature["c"].bytes_list.value.append(b"xy")
    content = encode_example_table(columns)
    assert content[12:-4] == example.SerializeToString(deterministic=True)


def test_no_rows_are_no_bytes_and_other_types_are_refused():
    assert encode_example_table({"a": np.zeros(0, np.int64), "b": np.zeros((0, 3), np.float32)}) == b""
    with pytest.raises(ValueError, match="column a"):
        encode_example_table({"a": np.zeros(2, np.float64)})


def test_tensorflow_is_not_imported():
    code = "import sys, tf_e2egrec.subgraphs.example_table, tf_e2egrec.graph.unigraph_plan; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
