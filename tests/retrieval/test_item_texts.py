from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.ids import domain_keys, string_keys
from tf_e2egrec.retrieval.item_texts import item_texts

TEXT = """
name: shop
interactions:
  - {paths: a.csv, user: who, item: what, time: {column: when, unit: s}, behaviours: {buy: {always: true}}}
  - {paths: b.parquet, user: who, item: song, time: {column: when, unit: s}, behaviours: {buy: {always: true}}, domain: song}
ranker: {reward: buy}
graph: {positive: [buy], explicit: [buy]}
split: {by: user_fraction, train_until: 0.8, valid_until: 0.9}
"""


def open_raw(path):
    return Path(path).open("rb")


def test_every_key_gets_its_text_whichever_file_names_it(tmp_path):
    (tmp_path / "a.csv").write_text("who,what,when\n1,Käse,5\n2,,5\n1,milk,6\n3,Käse,7\n")
    songs = pa.array(["milk", None, "la la", "la la"]).dictionary_encode()
    pq.write_table(
        pa.table({"who": [1, 1, 2, 2], "song": songs, "when": [1, 2, 3, 4]}), tmp_path / "b.parquet"
    )
    description = parse_description(TEXT, "shop.yaml")
    names = ["Käse", "milk", "cut off by the core"]
    expected = dict(zip(string_keys(np.array(names, object)).tolist(), ["Käse", "milk", ""], strict=True))
    of_songs = domain_keys(string_keys(np.array(["milk", "la la"], object)), 1)
    expected |= dict(zip(of_songs.tolist(), ["milk", "la la"], strict=True))
    keys = np.array(sorted(expected))
    files = [(0, str(tmp_path / "a.csv")), (1, str(tmp_path / "b.parquet"))]
    found = item_texts(description, files, open_raw, keys)
    assert found.tolist() == [expected[key] for key in keys.tolist()]
    assert item_texts(description, files[:0], open_raw, keys).tolist() == [""] * 5
