from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.subgraphs.snapshot_tables import SnapshotTables, read_table, table_file, write_table

KEYS = st.integers(-(2**63), 2**63 - 1)
EDGES = st.lists(st.tuples(KEYS, KEYS, st.floats(width=32)), min_size=1, max_size=30)


def table_of(edges) -> NeighbourTable:
    source, target, weight = (np.array(column) for column in zip(*edges, strict=True))
    return NeighbourTable.from_edges(source, target, weight.astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(edges=EDGES)
def test_what_is_written_is_read_bit_by_bit(edges, tmp_path_factory):
    table, path = table_of(edges), tmp_path_factory.mktemp("table") / "t.arrow"
    assert write_table(table, path) == path.stat().st_size
    found = read_table(path)
    for name in ("items", "indptr", "neighbours", "weights"):
        ours, theirs = getattr(found, name), getattr(table, name)
        assert (ours.dtype, ours.tobytes()) == (theirs.dtype, theirs.tobytes()), name


def test_a_table_is_mapped_not_copied(tmp_path):
    table = table_of([(i, i % 7, 1.0) for i in range(50_000)])
    write_table(table, tmp_path / "t.arrow")
    before = pa.total_allocated_bytes()
    found = read_table(tmp_path / "t.arrow")
    assert pa.total_allocated_bytes() - before < 10_000
    assert not found.neighbours.flags.owndata
    assert not found.neighbours.flags.writeable
    opened = Path("/proc/self/fd")
    if opened.exists():  # thousands of snapshots may be in use at once
        assert tmp_path / "t.arrow" not in [path.resolve() for path in opened.iterdir()]


def test_anyone_with_arrow_reads_a_row_per_item(tmp_path):
    write_table(table_of([(5, 2, 0.5), (6, 2, 1.5), (2, 6, 3.0)]), tmp_path / "t.arrow")
    with pa.OSFile(str(tmp_path / "t.arrow")) as file:
        rows = pa.ipc.open_file(file).read_all().to_pylist()
    assert rows == [
        {"item": 2, "neighbours": [{"neighbour": 6, "weight": 1.5}, {"neighbour": 5, "weight": 0.5}]},
        {"item": 6, "neighbours": [{"neighbour": 2, "weight": 3.0}]},
    ]


def test_tables_by_snapshot(tmp_path):
    write_table(table_of([(5, 2, 0.5)]), tmp_path / table_file(17))
    tables = SnapshotTables(tmp_path)
    assert tables[17].items.tolist() == [2]
    assert tables[17] is tables[17]
    assert [len(tables[snapshot]) for snapshot in (-1, 16)] == [0, 0]


def test_missing_and_damaged_tables(tmp_path):
    with pytest.raises(E2EGRecError, match=r"no neighbour table; set `graph.sampling.format` .* again"):
        SnapshotTables(tmp_path)
    write_table(table_of([(5, 2, 0.5)]), tmp_path / table_file(0))
    whole = (tmp_path / table_file(0)).read_bytes()
    for content in (b"", b"nothing", whole[:100], whole[:-20]):
        (tmp_path / table_file(0)).write_bytes(content)
        with pytest.raises(
            E2EGRecError, match=r"snapshot=0.arrow is damaged .* run `e2egrec subgraphs --force`"
        ):
            SnapshotTables(tmp_path)[0]
