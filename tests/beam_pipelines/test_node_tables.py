import pytest
import yaml

from beam_pipelines.node_tables import read_node_tables
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError

DESCRIPTION = """
name: test
interactions:
  - {paths: a.csv, domain: video, user: u, item: i, time: {column: t, unit: ms}, behaviours: {click: {always: true}}}
  - {paths: b.csv, domain: goods, user: u, item: i, time: {column: t, unit: ms}, behaviours: {click: {always: true}}}
items: {paths: "goods-*.csv", domain: goods, id: i, features: [{name: price, type: numeric}]}
ranker: {reward: click}
graph: {positive: [click], explicit: [click]}
split: {by: user_fraction, train_until: 0.8, valid_until: 0.9}
"""


def test_tables_of_items_and_users(tmp_path):
    (tmp_path / "goods-1.csv").write_text("i,price\n7,1.5\n")
    (tmp_path / "goods-2.csv").write_text("i,price\n3,2.5\n")
    report = ReadReport()
    tables = read_node_tables(parse_description(DESCRIPTION, "test").with_data_root(str(tmp_path)), report)
    assert tables["item"].key.tolist() == [3 + 2**59, 7 + 2**59]
    assert tables["item"].id.tolist() == ["3", "7"]
    assert tables["item"].features["price"].tolist() == [2.5, 1.5]
    assert len(tables["user"]) == 0
    assert report.counters["items.0/rows_read"] == 2


def test_a_missing_table(tmp_path):
    description = parse_description(yaml.safe_dump(yaml.safe_load(DESCRIPTION)), "test").with_data_root(
        str(tmp_path)
    )
    with pytest.raises(E2EGRecError, match=r"no file matches `.*goods-\*.csv` \(named by `items.0.paths`\)"):
        read_node_tables(description, ReadReport())
