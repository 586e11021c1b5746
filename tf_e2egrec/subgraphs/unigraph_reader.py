"""Reading the files of a unigraph in blocks of rows, without TensorFlow."""

import contextlib
import csv
import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
import pyarrow as pa

from tf_e2egrec.dataset.ids import KEY_SPACE, MISSING_KEY, string_keys
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.example_message import example_class
from tf_e2egrec.subgraphs.unigraph_feature import UnigraphFeature
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet
from tf_e2egrec.subgraphs.wire_format import FRAME_HEADER

_BLOCK_ROWS = 20_000
_CSV_NAMES = {"id": "#id", "source": "#source", "target": "#target"}
_LISTS = {"int": "int64_list", "float": "float_list", "bytes": "bytes_list"}
_MASK_DELTA = 0xA282EAD8  # of TFRecord's checksums
_DIGITS = 18  # of the longest text that is always below 2 ** 60
Row = dict[str, Any]  # feature -> list of values


def read_unigraph_blocks(stream: BinaryIO, path: str, table: UnigraphSet) -> Iterator[tuple[pa.Table, int]]:
    """Read a file of a node or edge set.

    Ids become int64 keys: decimal numbers are themselves, other texts are hashed as in `dataset.ids`. A feature that a row lacks, or has
    another number of values of, takes its missing value.

    Args:
      stream: the file, unpacked.
      path: its name, for messages.
      table: the set.

    Yields:
      (rows with the columns of ids `#id` or `#source`, `#target` (of the set, also where the file is reversed), and the features; number
      of rows left out because an id is missing).

    Raises:
      E2EGRecError: the file is damaged, or a feature has values of another kind than the schema says.
    """
    rows = _csv_rows(stream, path, table) if table.is_csv else _example_rows(stream, path, table)
    columns = table.key_columns
    names = ("#source", "#target") if table.is_edge_set else ("#id",)
    while True:
        block = list(itertools.islice(rows, _BLOCK_ROWS))
        if not block:
            return
        good = [row for row in block if all(row[one] for one in columns)]
        arrays = {
            name: keys_of_texts([row[one] for row in good]) for name, one in zip(names, columns, strict=True)
        }
        if good:
            features = {one.name: one.array(_values(good, one)) for one in table.features}
            yield pa.table(arrays | features), len(block) - len(good)
        else:
            yield pa.table(arrays), len(block)


def keys_of_texts(texts: Sequence[bytes]) -> np.ndarray:
    """Int64 keys of ids, -1 for those that are empty."""
    with contextlib.suppress(
        ValueError, OverflowError
    ):  # most graphs have decimal ids only: no loop for those
        packed = np.array(texts, dtype=np.bytes_)
        numbers = packed.astype(np.int64)
        if (numbers >= 0).all() and (numbers.astype(packed.dtype) == packed).all():
            return numbers
    keys = np.full(len(texts), MISSING_KEY, np.int64)
    others = []
    for place, text in enumerate(texts):
        if text.isdigit() and len(text) <= _DIGITS and (text == b"0" or text[0] != 48):
            keys[place] = int(text)
        elif text:
            number = int(text) if text.isdigit() and text[0] != 48 else KEY_SPACE << 4
            if number < KEY_SPACE << 4:  # a key with a domain in its upper bits
                keys[place] = number
            else:
                others.append(place)
    if others:
        keys[others] = string_keys(np.array([texts[place] for place in others], object))
    return keys


def _values(rows: list[Row], feature: UnigraphFeature) -> list[Any]:
    values: list[Any] = []
    for row in rows:
        found = row.get(feature.name)
        values.extend(found if found is not None and len(found) == feature.width else feature.missing)
    return values


def _example_rows(stream: BinaryIO, path: str, table: UnigraphSet) -> Iterator[Row]:
    parse = example_class().FromString
    kinds = [(feature.name, _LISTS[feature.kind]) for feature in table.features]
    ids = table.key_columns
    for record in _records(stream, path):
        try:
            features = parse(record).features.feature
        except Exception as error:
            raise E2EGRecError(f"{path} holds a record that is no tf.train.Example ({error})") from None
        row: Row = {}
        for name in ids:
            values = features[name].bytes_list.value if name in features else ()
            row[name] = values[0] if values else b""
        for name, kind in kinds:
            if name in features:
                held = features[name].WhichOneof("kind")
                if held not in (kind, None):
                    raise E2EGRecError(
                        f"{path}: `{table.name}.{name}` holds a {held}, but the schema says {kind}"
                    )
                row[name] = list(getattr(features[name], kind).value)
        yield row


def _records(stream: BinaryIO, path: str) -> Iterator[bytes]:
    """The records of a TFRecord file."""
    while header := stream.read(FRAME_HEADER):
        length = struct.unpack("<Q", header[:8])[0] if len(header) == FRAME_HEADER else 0
        body = stream.read(length + 4) if _has_checksum(header) else b""
        if not _has_checksum(body) or len(body) != length + 4:
            raise E2EGRecError(f"{path} is no TFRecord file, or is cut short; make the graph again")
        yield body[:-4]


def _has_checksum(framed: bytes) -> bool:
    """Whether the last four bytes are the checksum of the others."""
    if len(framed) < 4:
        return False
    crc = google_crc32c.value(framed[:-4])
    masked = ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
    return masked == int.from_bytes(framed[-4:], "little")


def _csv_rows(stream: BinaryIO, path: str, table: UnigraphSet) -> Iterator[Row]:
    with io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        reader = csv.reader(text)
        header = [_CSV_NAMES.get(name, name) for name in next(reader, [])]
        missing = [name for name in table.key_columns if name not in header]
        if missing:
            raise E2EGRecError(f"{path} has no column `{missing[0]}`; it has {', '.join(header) or 'none'}")
        kinds = {feature.name: feature.kind for feature in table.features}
        for cells in reader:
            row: Row = {}
            for name, cell in zip(header, cells, strict=False):
                if name in table.key_columns:
                    row[name] = cell.encode()
                elif name in kinds and cell != "":
                    row[name] = [_number(cell, kinds[name], path, name)]
            yield dict.fromkeys(table.key_columns, b"") | row


def _number(cell: str, kind: str, path: str, name: str) -> int | float | bytes:
    try:
        return cell.encode() if kind == "bytes" else int(cell) if kind == "int" else float(cell)
    except ValueError:
        raise E2EGRecError(
            f"{path}: column `{name}` holds `{cell}`, which is no {kind} as the schema says"
        ) from None
