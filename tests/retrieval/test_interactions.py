from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.retrieval.interactions import read_interactions

TEXT = """
name: shop
interactions:
  paths: log.parquet
  user: who
  item: what
  time: {{column: when, unit: s}}
  behaviours: {{click: {{column: click}}, buy: {{column: buy}}}}
ranker: {{reward: click}}
graph: {{positive: [buy], explicit: [buy]}}
split: {{by: user_fraction, train_until: 0.8, valid_until: 0.9}}
recommend: {{behaviours: {behaviours}}}
"""
NOON = 1_700_000_000


def read(path, behaviours="[]"):
    description = parse_description(TEXT.format(behaviours=behaviours), "shop.yaml")
    return read_interactions(description, [(0, str(path))], lambda name: Path(name).open("rb"))


@pytest.fixture
def path(tmp_path):
    rows = {
        "who": [1, 2, 1, 1],
        "what": [5, 6, 7, 5],
        "when": [NOON + 2, NOON, NOON + 1, NOON + 2],
        "click": [1, 1, 0, 1],
        "buy": [0, 1, 1, 0],
    }
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


def test_the_wanted_behaviours_in_order_of_user_and_time(path):
    found, report = read(path)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == [
        (1, 7, (NOON + 1) * 1000),
        (2, 6, NOON * 1000),
    ]
    assert report.counters["interactions.0/rows_read"] == 4 and report.counters["duplicate_rows"] == 1
    found, _ = read(path, "[click, buy]")
    np.testing.assert_array_equal(found.item, [7, 5, 6])


def test_an_unknown_behaviour_is_a_sentence():
    with pytest.raises(
        E2EGRecError, match=r"`recommend\.behaviours` names the behaviour `look`, but the logs declare click"
    ):
        parse_description(TEXT.format(behaviours="[look]"), "shop.yaml")


def test_unreadable_rows_are_refused_beyond_the_allowed_share(path):
    table = pq.read_table(path)
    who = pa.array([1, None, 1, 1])
    pq.write_table(table.set_column(0, "who", who), path)
    with pytest.raises(E2EGRecError, match="1 of 4 rows"):
        read(path)
