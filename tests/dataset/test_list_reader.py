import functools
import gzip
import io

import pyarrow as pa
import pytest

from tf_e2egrec.dataset import list_reader
from tf_e2egrec.dataset.description.file_source import FileSource
from tf_e2egrec.dataset.list_reader import read_list_blocks
from tf_e2egrec.dataset.log_reader import file_parts, read_table_blocks
from tf_e2egrec.errors import E2EGRecError

LINES = b"7 30 10\t0 3600\n\n8\n9 30 \r\n"
ROWS = {"user": [7, 7, 9], "item": [30, 10, 30], "position": [0, 1, 0]}


def read(path, needed, **source):
    lists = FileSource(paths=path.name, format="lists", **source)
    opener = functools.partial(path.open, "rb")
    assert file_parts(opener, lists, path.name) == [-1]
    return pa.concat_tables(read_table_blocks(opener, lists, needed, path.name)).to_pydict()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_line_per_user_becomes_a_row_per_item(tmp_path, pack):
    path = tmp_path / "lists.txt"
    path.write_bytes(pack(LINES))
    assert read(path, dict.fromkeys(ROWS, "key")) == ROWS
    assert read(path, {"who": "key", "what": "key"}, columns=["who", "what", "when"]) == {
        "who": [7, 7, 9],
        "what": [30, 10, 30],
    }


def test_ids_may_be_text(tmp_path):
    path = tmp_path / "lists.txt"
    path.write_bytes("ü x 5\n".encode("latin-1"))
    assert read(path, {"user": "key", "item": "key"}, encoding="latin-1") == {
        "user": ["ü", "ü"],
        "item": ["x", "5"],
    }


def test_blocks_of_any_size_hold_the_same(monkeypatch):
    monkeypatch.setattr(list_reader, "_BYTES_PER_BLOCK", 4)
    blocks = list(read_list_blocks(io.BytesIO(LINES), "utf-8"))
    assert len(blocks) > 1
    assert pa.concat_tables(blocks).to_pydict() == {
        "user": ["7", "7", "9"],
        "item": ["30", "10", "30"],
        "position": [0, 1, 0],
    }


def test_a_column_that_lists_do_not_have_is_named(tmp_path):
    path = tmp_path / "lists.txt"
    path.write_bytes(LINES)
    with pytest.raises(
        E2EGRecError, match=r"no column `time` \(named by `key`\); it has user, item, position"
    ):
        read(path, {"time": "key"})


def test_lists_have_three_columns():
    with pytest.raises(ValueError, match="three names"):
        FileSource(paths="a.txt", format="lists", columns=["user", "item"])
