import functools
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf_e2egrec.dataset import log_reader
from tf_e2egrec.dataset.description.file_source import FileSource
from tf_e2egrec.dataset.log_reader import file_parts, read_table_blocks
from tf_e2egrec.errors import E2EGRecError

ROWS = {"user": [1, 2, 3], "item": ["a", "b", "ü"], "stay": [0.5, None, 2.0]}
NEEDED = {"user": "interactions.0.user", "item": "interactions.0.item", "stay": "interactions.0.stay.column"}


def _read(path, needed=NEEDED, part=None, infer=True, **source):
    source = FileSource(paths=path.name, **source)
    parts = file_parts(functools.partial(path.open, "rb"), source, path.name) if part is None else [part]
    return [
        block
        for one in parts
        for block in read_table_blocks(
            functools.partial(path.open, "rb"), source, needed, path.name, part=one, infer=infer
        )
    ]


def _rows(blocks):
    return pa.concat_tables(blocks, promote_options="permissive").to_pydict()


def _write(path, text, encoding="utf-8"):
    path.write_bytes(gzip.compress(text.encode(encoding)) if path.suffix == ".gz" else text.encode(encoding))
    return path


CSV = "item,more,user,stay\na,x,1,0.5\nb,,2,\nü,y,3,2\n"


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_csv(tmp_path, name):
    assert _rows(_read(_write(tmp_path / name, CSV))) == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize("separator", [";", "::", "\t"])
def test_csv_of_any_encoding_and_separator_without_a_header(tmp_path, encoding, separator):
    text = CSV.split("\n", 1)[1].replace(",", separator)
    path = _write(tmp_path / "log.dat", text, encoding)
    columns = ["item", "more", "user", "stay"]
    assert _rows(_read(path, separator=separator, encoding=encoding, columns=columns)) == ROWS


def test_quotes_are_part_of_a_title_where_the_separator_has_several_characters(tmp_path):
    path = _write(tmp_path / "movies.dat", '1::"Cats" and, dogs::x\n2::"open::y\n')
    blocks = _read(path, {"t": "t"}, separator="::", columns=["i", "t", "g"])
    assert _rows(blocks) == {"t": ['"Cats" and, dogs', '"open']}


def test_quoted_csv(tmp_path):
    assert _rows(_read(_write(tmp_path / "a.csv", 'a,b\n"x,""y""",1\n'), {"a": "a"})) == {"a": ['x,"y"']}


def test_a_late_fraction_or_text_does_not_break_a_csv_file(tmp_path, monkeypatch):
    monkeypatch.setattr(log_reader, "_BYTES_PER_BLOCK", 64)
    text = "user,stay\n" + "".join(f"{i},{i}\n" for i in range(50)) + "50,0.5\n51,soon\n"
    blocks = _read(_write(tmp_path / "a.csv", text), {"user": "u", "stay": "s"})
    assert len(blocks) > 2
    assert sum(block.num_rows for block in blocks) == 52
    assert {str(block.schema.field("user").type) for block in blocks} == {"int64"}
    assert blocks[-1].column("stay").to_pylist()[-1] == "soon"


def test_csv_cells_stay_text_on_request(tmp_path):
    assert _rows(_read(_write(tmp_path / "a.csv", "user\n007\n"), {"user": "u"}, infer=False)) == {
        "user": ["007"]
    }


def test_a_csv_file_with_a_header_only_has_no_blocks(tmp_path):
    assert _read(_write(tmp_path / "a.csv", "user\n"), {"user": "u"}) == []


@pytest.mark.parametrize("name", ["log.jsonl", "log.json.gz"])
@pytest.mark.parametrize("ends_with_newline", [True, False])
def test_json_lines(tmp_path, monkeypatch, name, ends_with_newline):
    monkeypatch.setattr(log_reader, "_BYTES_PER_BLOCK", 50)
    lines = [
        json.dumps({"user": u, "item": i, "stay": s, "more": {"x": 1}})
        for u, i, s in zip(*ROWS.values(), strict=True)
    ]
    path = _write(tmp_path / name, "\n".join(lines) + "\n" * ends_with_newline)
    blocks = _read(path)
    assert len(blocks) == 3
    assert _rows(blocks) == ROWS


def test_a_json_key_may_be_absent_later(tmp_path, monkeypatch):
    monkeypatch.setattr(log_reader, "_BYTES_PER_BLOCK", 16)
    path = _write(tmp_path / "a.jsonl", '{"a": 1, "b": 2}\n{"a": 3}\n')
    assert _rows(_read(path, {"a": "a", "b": "b"})) == {"a": [1, 3], "b": [2, None]}


def test_parquet_row_groups_are_parts(tmp_path):
    table = pa.table({**ROWS, "more": [[1], [2], [3]]})
    table = table.set_column(1, "item", table["item"].dictionary_encode())
    path = tmp_path / "log.parquet"
    pq.write_table(table, path, row_group_size=2)
    blocks = _read(path)
    assert [block.num_rows for block in blocks] == [2, 1]
    assert _rows(blocks) == ROWS
    assert all(not pa.types.is_dictionary(field.type) for block in blocks for field in block.schema)
    assert _rows(_read(path, part=1))["user"] == [3]
    assert _read(path, part=2) == []
    assert _rows(_read(path, part=log_reader.WHOLE_FILE)) == ROWS


def test_columns_come_in_the_order_asked_for(tmp_path):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(ROWS), path)
    assert _read(path, {"stay": "s", "user": "u"})[0].column_names == ["stay", "user"]


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.parquet"])
def test_a_missing_column_is_named_with_its_key_and_the_columns_there_are(tmp_path, name):
    path = tmp_path / name
    if name == "log.parquet":
        pq.write_table(pa.table({"a": [1], "b": [2]}), path)
    else:
        _write(path, "a,b\n1,2\n" if name == "log.csv" else '{"a": 1, "b": 2}\n')
    with pytest.raises(E2EGRecError) as caught:
        _read(path, {"a": "k", "x": "interactions.0.user"})
    assert str(caught.value) == f"`{name}` has no column `x` (named by `interactions.0.user`); it has a, b"


def _parquet_bytes(tmp_path):
    pq.write_table(pa.table(ROWS), tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "`a.csv` is empty"),
        ("a.jsonl", b"", "`a.jsonl` is empty"),
        ("a.parquet", b"", "`a.parquet` is empty"),
        ("a.parquet", b"user,item\n1,2\n", "`a.parquet` cannot be read as parquet"),
        ("a.csv", b"user,item\n1,2\n3\n", "`a.csv` cannot be read as csv.*Expected 2 columns, got 1"),
        ("a.csv", b"user,item\n1,\xff\n", "`a.csv` is not utf-8 text; set `encoding`"),
        ("a.csv.gz", gzip.compress(b"user,item\n1,2\n", mtime=0)[:-9], "`a.csv.gz` cannot be read as csv"),
        ("a.jsonl", b'{"user": 1}\n{"user": \n', "`a.jsonl` cannot be read as jsonl"),
        (
            "a.jsonl",
            b'{"user": 1, "item": 2}\n{"user": "x", "item": 1}\n',
            "`a.jsonl` cannot be read as jsonl",
        ),
    ],
)
def test_an_unreadable_file_gives_one_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(E2EGRecError, match=said) as caught:
        _read(tmp_path / name, {"user": "u", "item": "i"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [20, -5])
def test_truncated_parquet(tmp_path, keep):
    (tmp_path / "a.parquet").write_bytes(_parquet_bytes(tmp_path)[:keep])
    with pytest.raises(E2EGRecError, match=r"`a.parquet` cannot be read as parquet; is it damaged"):
        _read(tmp_path / "a.parquet")


def test_the_wrong_encoding(tmp_path):
    path = _write(tmp_path / "a.dat", "1::é\n", "latin-1")
    with pytest.raises(E2EGRecError, match="is not utf-8 text; set `encoding`"):
        _read(path, {"b": "b"}, separator="::", columns=["a", "b"])


def test_a_quoted_cell_may_hold_a_line_break(tmp_path, monkeypatch):
    monkeypatch.setattr(log_reader, "_BYTES_PER_BLOCK", 40)
    path = _write(tmp_path / "a.csv", "a,b\n" + '"x\ny",1\n' * 20)
    assert _rows(_read(path, {"a": "a", "b": "b"})) == {"a": ["x\ny"] * 20, "b": [1] * 20}
