import functools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.entity_table import EntityTable
from tf_e2egrec.dataset.ids import domain_keys, string_keys
from tf_e2egrec.dataset.node_table_reader import read_node_table
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError

KIND = {"name": "kind", "type": "categorical"}
PRICE = {"name": "price", "type": "numeric"}


def _read(folder, tables, group="items", domains=("video", "goods"), report=None):
    def list_files(table, key):
        return [
            (path.name, functools.partial(path.open, "rb")) for path in sorted(folder.glob(table.paths[0]))
        ]

    sources = [EntityTable(**{"id": "id", "domain": "video", **table}) for table in tables]
    return read_node_table(sources, group, domains, list_files, report or ReadReport())


def _write(path, **columns):
    pq.write_table(pa.table(columns), path)


def test_one_table(tmp_path):
    _write(
        tmp_path / "a.parquet", id=["b", "a", None], kind=[1, 2, 3], price=[1.0, None, 2.0], other=[0, 0, 0]
    )
    report = ReadReport()
    table = _read(tmp_path, [{"paths": "a.parquet", "features": [KIND, PRICE]}], report=report)
    keys = dict(zip("ab", string_keys(np.array(["a", "b"], object)), strict=True))
    assert dict(zip(table.id, table.key, strict=True)) == keys
    assert (np.diff(table.key) > 0).all()
    row = table.lookup(np.array([keys["b"], keys["a"]]))
    assert table.features["kind"][row].tolist() == [1, 2]
    np.testing.assert_array_equal(table.features["price"][row], np.float32([1, np.nan]))
    assert report.counters["items.0/rows_read"] == 3
    assert report.counters["items.0/bad_rows"] == 1
    assert report.kinds == {"item ids of domain `video`": {"text": "`a.parquet` (column `id`)"}}


def test_domains_are_put_together_with_missing_values(tmp_path):
    _write(tmp_path / "video.parquet", id=[1, 2], kind=[5, 6])
    _write(tmp_path / "goods.parquet", id=[2], price=[9.5])
    tables = [
        {"paths": "video.parquet", "features": [KIND]},
        {"paths": "goods.parquet", "domain": "goods", "features": [PRICE]},
    ]
    table = _read(tmp_path, tables)
    assert table.key.tolist() == [1, 2, *domain_keys(np.array([2]), 1)]
    assert table.id.tolist() == ["1", "2", "2"]
    assert table.features["kind"].tolist() == [5, 6, -1]
    np.testing.assert_array_equal(table.features["price"], np.float32([np.nan, np.nan, 9.5]))


def test_two_tables_may_describe_the_same_items(tmp_path):
    _write(tmp_path / "a.parquet", id=[1, 2], kind=[5, 6])
    _write(tmp_path / "b.parquet", id=[2, 3], price=[1.5, 2.5])
    tables = [{"paths": "a.parquet", "features": [KIND]}, {"paths": "b.parquet", "features": [PRICE]}]
    table = _read(tmp_path, tables)
    assert table.key.tolist() == [1, 2, 3]
    assert table.features["kind"].tolist() == [5, 6, -1]
    np.testing.assert_array_equal(table.features["price"], np.float32([np.nan, 1.5, 2.5]))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([1.0, 2.0, None])),
        min_size=1,
        max_size=12,
    )
)
def test_of_repeated_ids_the_smallest_row_stays_whatever_the_order(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    ids, kinds, prices = zip(*rows, strict=True)
    _write(folder / "a.parquet", id=ids, kind=kinds, price=pa.array(prices, pa.float64()))
    report = ReadReport()
    table = _read(folder, [{"paths": "a.parquet", "features": [KIND, PRICE]}], report=report)
    expected = {}
    for one, kind, price in sorted(rows, key=lambda row: (row[0], row[1], row[2] or np.inf)):
        expected.setdefault(one, (kind, np.nan if price is None else price))
    assert table.key.tolist() == list(expected)
    np.testing.assert_array_equal(table.features["kind"], [kind for kind, _ in expected.values()])
    np.testing.assert_array_equal(
        table.features["price"], np.float32([price for _, price in expected.values()])
    )
    assert report.counters["items.0/duplicate_rows"] == len(rows) - len(expected)


def test_the_type_of_a_csv_column_is_decided_over_all_files(tmp_path):
    (tmp_path / "a.csv").write_text("id,kind,tags\n1,10,7\n2,20,\n")
    (tmp_path / "b.csv").write_text("id,kind,tags\n3,x,7|8\n")
    tags = {"name": "tags", "type": "categorical", "multivalued": True, "max_values": 2}
    table = _read(tmp_path, [{"paths": "*.csv", "features": [KIND, tags]}])
    assert table.key.tolist() == [1, 2, 3]
    assert table.features["kind"].tolist() == string_keys(np.array(["10", "20", "x"], object)).tolist()
    seven, eight = string_keys(np.array(["7", "8"], object))
    assert table.features["tags"].tolist() == [[seven, -1], [-1, -1], [seven, eight]]


def test_users_have_no_domain(tmp_path):
    _write(tmp_path / "u.parquet", id=[4], kind=[1])
    report = ReadReport()
    table = _read(
        tmp_path, [{"paths": "u.parquet", "features": [KIND]}], group="users", domains=[], report=report
    )
    assert table.key.tolist() == [4]
    assert list(report.kinds) == ["user ids"]


def test_no_tables_give_an_empty_one(tmp_path):
    table = _read(tmp_path, [])
    assert len(table) == 0
    assert table.lookup(np.array([3])).tolist() == [-1]


def test_mistakes_name_the_file(tmp_path):
    _write(tmp_path / "a.parquet", id=[1], kind=[1.5])
    with pytest.raises(E2EGRecError, match=r"`a.parquet`: column `kind` holds fractional"):
        _read(tmp_path, [{"paths": "a.parquet", "features": [KIND]}])
    with pytest.raises(
        E2EGRecError, match=r"`a.parquet` has no column `price` \(named by `items.0.features.0`\)"
    ):
        _read(tmp_path, [{"paths": "a.parquet", "features": [PRICE]}])
    (tmp_path / "a.csv").write_text("id,kind\n")
    with pytest.raises(E2EGRecError, match=r"`a.csv` has no rows \(named by `items.0.paths`\)"):
        _read(tmp_path, [{"paths": "a.csv", "features": [KIND]}])


def test_files_of_different_types(tmp_path):
    _write(tmp_path / "a.parquet", id=[1], kind=[1])
    _write(tmp_path / "b.parquet", id=["x"], kind=[1])
    with pytest.raises(E2EGRecError, match=r"the files of `items.0.paths` differ in the type of a column"):
        _read(tmp_path, [{"paths": "*.parquet", "features": [KIND]}])
