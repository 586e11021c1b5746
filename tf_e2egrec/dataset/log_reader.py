"""Reading Parquet, CSV and JSON-lines files and item lists block by block; what is wrong is said in one sentence."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from tf_e2egrec.dataset.column_values import infer_text, is_text
from tf_e2egrec.dataset.description.file_source import FileSource
from tf_e2egrec.dataset.list_reader import LIST_COLUMNS, read_list_blocks
from tf_e2egrec.dataset.recoded_stream import FIELD_SEPARATOR, RecodedStream
from tf_e2egrec.errors import E2EGRecError

OpenFile = Callable[[], BinaryIO]

WHOLE_FILE = -1  # the part of a file that is not cut into row groups

_ROWS_PER_BLOCK = 1 << 18  # about 25 MB of canonical rows
_BYTES_PER_BLOCK = 16 << 20  # of text
_BYTES_OF_HEADER = 1 << 20  # read to learn a CSV file's columns
_UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeError)


def file_parts(open_file: OpenFile, source: FileSource, path: str) -> list[int]:
    """The parts of a file that can be read independently: Parquet row groups, else `[WHOLE_FILE]`.

    Raises:
      E2EGRecError: a Parquet file is empty, truncated or unreadable.
    """
    if source.file_format != "parquet":
        return [WHOLE_FILE]
    try:
        with open_file() as stream:
            return list(range(pq.ParquetFile(_not_empty(stream, path)).num_row_groups))
    except _UNREADABLE as error:
        raise _unreadable(path, source, error) from None


def read_table_blocks(
    open_file: OpenFile,
    source: FileSource,
    columns: Mapping[str, str],
    path: str,
    *,
    part: int = WHOLE_FILE,
    infer: bool = True,
) -> Iterator[pa.Table]:
    """Read the needed columns of a file, a block of rows at a time.

    Text files: an empty CSV cell is missing, and the type of a column of a CSV file or of lists is that which all cells of the
    block allow (see `infer_text`); whether blocks and files agree on the kind of an id is checked at the end
    of the read (`ReadReport.kinds`). A gzip file is recognised by its first bytes.

    Args:
      open_file: opens the file's raw bytes, seekable; called once or twice.
      source: format, separator, encoding and column names.
      columns: needed column -> the description's key that names it (`interactions.0.user`).
      path: what messages call the file.
      part: one of `file_parts`.
      infer: CSV and lists only; False leaves every cell text.

    Yields:
      Tables of one chunk per column, with the columns in the order of `columns`; no column has a dictionary
      type.

    Raises:
      E2EGRecError: a column is missing, or the file is empty, truncated or unreadable.
    """
    read = {
        "parquet": _parquet_blocks,
        "csv": _csv_blocks,
        "jsonl": _json_blocks,
        "lists": _list_blocks,
    }[source.file_format]
    try:
        for table in read(open_file, source, columns, path, part):
            yield _plain(table, list(columns), infer and source.file_format in ("csv", "lists"))
    except _UNREADABLE as error:
        raise _unreadable(path, source, error) from None


def _parquet_blocks(
    open_file: OpenFile, source: FileSource, columns: Mapping[str, str], path: str, part: int
) -> Iterator[pa.Table]:
    with open_file() as stream:
        file = pq.ParquetFile(_not_empty(stream, path))
        _require_columns(file.schema_arrow.names, columns, path)
        groups = [group for group in range(file.num_row_groups) if part in (WHOLE_FILE, group)]
        for batch in file.iter_batches(
            _ROWS_PER_BLOCK, row_groups=groups, columns=list(columns), use_threads=False
        ):
            yield pa.Table.from_batches([batch])


def _csv_blocks(
    open_file: OpenFile, source: FileSource, columns: Mapping[str, str], path: str, part: int
) -> Iterator[pa.Table]:
    names = source.columns
    if names is None:
        with (
            open_file() as raw,
            _csv_reader(_text_stream(raw, source, path), source, None, _BYTES_OF_HEADER) as reader,
        ):
            names = reader.schema.names
    _require_columns(names, columns, path)
    with (
        open_file() as raw,
        _csv_reader(_text_stream(raw, source, path), source, list(columns), _BYTES_PER_BLOCK) as reader,
    ):
        for batch in reader:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def _csv_reader(
    stream: BinaryIO, source: FileSource, columns: Sequence[str] | None, block_size: int
) -> pa_csv.CSVStreamingReader:
    """Every needed cell is read as text: a type inferred from the first block may not fit a later one."""
    several = len(source.separator) > 1
    convert = pa_csv.ConvertOptions(strings_can_be_null=False)
    if columns is not None:
        convert = pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in columns},
            include_columns=columns,
            strings_can_be_null=False,
        )
    return pa_csv.open_csv(
        stream,
        pa_csv.ReadOptions(use_threads=False, block_size=block_size, column_names=source.columns),
        # Files with a separator such as `::` do not quote: a quotation mark there is part of a title.
        pa_csv.ParseOptions(
            delimiter=FIELD_SEPARATOR if several else source.separator,
            quote_char=False if several else '"',
            newlines_in_values=not several,
        ),
        convert,
    )


def _text_stream(raw: BinaryIO, source: FileSource, path: str) -> BinaryIO:
    stream = _unzipped(raw, path)
    if len(source.separator) == 1 and source.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "ascii"):
        return stream
    return cast(BinaryIO, RecodedStream(stream, source.encoding, source.separator))


def _json_blocks(
    open_file: OpenFile, source: FileSource, columns: Mapping[str, str], path: str, part: int
) -> Iterator[pa.Table]:
    with open_file() as raw:
        stream = _unzipped(raw, path)
        rest, is_first = b"", True
        while True:
            read = stream.read(_BYTES_PER_BLOCK)
            lines, newline, rest = (rest + read).rpartition(b"\n") if read else (rest, b"", b"")
            if lines.strip():
                table = pa_json.read_json(
                    io.BytesIO(lines + newline),
                    pa_json.ReadOptions(use_threads=False, block_size=2 * len(lines) + 64),
                )
                if is_first:
                    _require_columns(table.column_names, columns, path)
                is_first = False
                yield _with_missing_columns(table, columns)
            if not read:
                return


def _list_blocks(
    open_file: OpenFile, source: FileSource, columns: Mapping[str, str], path: str, part: int
) -> Iterator[pa.Table]:
    names = source.columns or LIST_COLUMNS
    _require_columns(names, columns, path)
    with open_file() as raw:
        yield from read_list_blocks(_unzipped(raw, path), source.encoding, names)


def _with_missing_columns(table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    """A key that no line of a later block has is missing there, as it is in a single line."""
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows))
    return table


def _plain(table: pa.Table, columns: Sequence[str], infer: bool) -> pa.Table:
    """The needed columns, one chunk each, without dictionary types."""
    arrays = []
    for name in columns:
        column = table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        arrays.append(infer_text(column) if infer and is_text(column.type) else column)
    return pa.table(arrays, names=list(columns))


def _require_columns(present: Sequence[str], columns: Mapping[str, str], path: str) -> None:
    for name, key in columns.items():
        if name not in present:
            raise E2EGRecError(
                f"`{path}` has no column `{name}` (named by `{key}`); it has {', '.join(present)}"
            )


def _not_empty(stream: BinaryIO, path: str) -> BinaryIO:
    if not stream.read(1):
        raise E2EGRecError(f"`{path}` is empty; remove it, or write it again")
    stream.seek(0)
    return stream


def _unzipped(stream: BinaryIO, path: str) -> BinaryIO:
    start = _not_empty(stream, path).read(2)
    stream.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if start == b"\x1f\x8b" else stream


def _unreadable(path: str, source: FileSource, error: Exception) -> E2EGRecError:
    said = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, UnicodeError) or "invalid UTF8" in said:
        return E2EGRecError(
            f"`{path}` is not {source.encoding} text; set `encoding` to what it is written in ({said})"
        )
    return E2EGRecError(
        f"`{path}` cannot be read as {source.file_format}; is it damaged, or of another format? ({said})"
    )
