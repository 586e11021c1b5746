import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError


def _table(n=3, **optional):
    return NodeTable(
        key=np.arange(n) * 10,
        id=np.array([f"id-{i}" for i in range(n)], dtype=str),
        features={
            "kind": np.arange(n),
            "tags": np.full((n, 2), -1),
            "price": np.full(n, np.nan, np.float32),
            "vector": np.arange(n * 3, dtype=np.float32).reshape(n, 3),
        },
        **optional,
    )


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("counted", [True, False])
def test_parquet_holds_the_whole_table(tmp_path, n, counted):
    table = _table(n, **({"first_seen": np.arange(n), "train_count": np.arange(n)} if counted else {}))
    table.write_parquet(tmp_path / "item.parquet")
    again = NodeTable.read_parquet(tmp_path / "item.parquet")
    np.testing.assert_array_equal(again.key, table.key)
    assert again.id.tolist() == table.id.tolist()
    assert again.id.dtype.kind == "U"
    assert again.features.keys() == table.features.keys()
    for name, values in table.features.items():
        assert again.features[name].dtype == values.dtype
        assert again.features[name].shape == values.shape
        np.testing.assert_array_equal(again.features[name], values)
    assert (again.first_seen is None) == (again.train_count is None) == (not counted)
    if counted:
        np.testing.assert_array_equal(again.first_seen, table.first_seen)


def test_what_is_no_node_table(tmp_path):
    with pytest.raises(E2EGRecError, match=r"item.parquet is not a node table"):
        NodeTable.read_parquet(tmp_path / "item.parquet")
    (tmp_path / "item.parquet").write_bytes(b"PAR1")
    with pytest.raises(E2EGRecError, match=r"item.parquet is not a node table"):
        NodeTable.read_parquet(tmp_path / "item.parquet")


@given(st.sets(st.integers(-1, 30)), st.lists(st.integers(-2, 31)))
def test_lookup_finds_the_row_of_each_key(present, asked):
    key = np.array(sorted(present), np.int64)
    rows = NodeTable(key=key, id=key.astype(str)).lookup(np.array(asked, np.int64))
    assert rows.tolist() == [sorted(present).index(one) if one in present else -1 for one in asked]


def test_lookup_keeps_the_shape():
    assert _table().lookup(np.array([[0, 20], [5, -1]])).tolist() == [[0, 2], [-1, -1]]


def test_with_keys_adds_nodes_without_features():
    table = _table().with_keys(np.array([15, 10, 15, -1, 40]))
    assert table.key.tolist() == [0, 10, 15, 20, 40]
    assert table.id.tolist() == ["id-0", "id-1", "15", "id-2", "40"]
    assert table.features["kind"].tolist() == [0, 1, -1, 2, -1]
    assert table.features["tags"].tolist() == [[-1, -1]] * 5
    assert np.isnan(table.features["price"]).all()
    assert table.features["vector"].tolist() == [[0, 1, 2], [3, 4, 5], [0, 0, 0], [6, 7, 8], [0, 0, 0]]
    assert {name: values.dtype for name, values in table.features.items()} == {
        name: values.dtype for name, values in _table().features.items()
    }
