import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable


def small_table() -> NeighbourTable:
    return NeighbourTable.from_edges(
        source=np.array([5, 9, 7, 1, 3]), target=np.array([4, 2, 2, 2, 4]), weight=np.array([1, 3, 3, 8, 2])
    )


def test_edges_are_grouped_by_target_heaviest_first_ties_by_key():
    table = small_table()
    assert table.items.tolist() == [2, 4]
    assert table.indptr.tolist() == [0, 3, 5]
    assert table.neighbours.tolist() == [1, 7, 9, 3, 5]
    assert table.weights.tolist() == [8, 3, 3, 2, 1]
    assert table.weights.dtype == np.float32


def test_rows_of_unknown_keys_are_minus_one():
    assert small_table().rows_of(np.array([4, 3, 2, 99, -1])).tolist() == [1, -1, 0, -1, -1]
    assert NeighbourTable.empty().rows_of(np.array([1, 2])).tolist() == [-1, -1]


def test_truncate_keeps_the_heaviest():
    table = small_table().truncate(2)
    assert table.indptr.tolist() == [0, 2, 4]
    assert table.neighbours.tolist() == [1, 7, 3, 5]
    assert small_table().truncate(3).neighbours.tolist() == small_table().neighbours.tolist()
    assert len(NeighbourTable.empty().truncate(3)) == 0


def test_load_joins_the_shards_of_a_snapshot(tmp_path):
    folder = tmp_path / "edges" / "snapshot=12"
    folder.mkdir(parents=True)
    for name, target in (("b", 2), ("a", 4)):
        rows = {"source": [target + 1], "target": [target], "weight": pa.array([0.5], pa.float32())}
        pq.write_table(pa.table(rows), folder / f"{name}.parquet")
    table = NeighbourTable.load(tmp_path, 12)
    assert table.items.tolist() == [2, 4]
    assert table.neighbours.tolist() == [3, 5]
    assert len(NeighbourTable.load(tmp_path, 11)) == 0


def test_load_refuses_other_files(tmp_path):
    folder = tmp_path / "edges" / "snapshot=0"
    folder.mkdir(parents=True)
    (folder / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(E2EGRecError, match=r"snapshot=0.*are damaged.*e2egrec swing --force"):
        NeighbourTable.load(tmp_path, 0)
