"""Encoding of subgraphs as framed `tf.train.Example` records, without TensorFlow.

The layout is TF-GNN's (`tfgnn.parse_example` reads it), lists are packed, map entries are in the order of their keys: equal subgraphs
have equal bytes. One pass per record numbers the nodes and collects the lists, a second one sizes the fields, a third writes them.
"""

from collections.abc import Iterator

import numba
import numpy as np

from tf_e2egrec.subgraphs.record_layout import (
    CONSTANT,
    FLOAT_COLUMN,
    INT_COLUMN,
    ITEM_ID,
    ITEM_SIZE,
    RECENT_AGE,
    RECENT_SIZE,
    RECENT_SOURCE,
    RECENT_TARGET,
    SWING_PROPAGATION,
    SWING_SIZE,
    SWING_SOURCE,
    SWING_TARGET,
    SWING_WEIGHT,
    USER_ID,
    RecordLayout,
)
from tf_e2egrec.subgraphs.subgraph_batch import SubgraphBatch
from tf_e2egrec.subgraphs.wire_format import (
    FRAME_BYTES,
    FRAME_HEADER,
    put_frame,
    put_uint32,
    put_varint,
    varint_length,
)

_FIELD_OVERHEAD = 32  # tags and lengths around one field's values, with a wide margin
_BYTES_PER_NODE = 10
_BYTES_PER_EDGE = 5 + 5 + 4 + 4
_CHUNK = 4096  # records whose output buffer is allocated at once
_HASH = np.uint64(0x9E3779B97F4A7C15)

Array = np.ndarray


def encode_subgraphs(batch: SubgraphBatch, layout: RecordLayout) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Encode impressions in the order of the batch.

    Args:
      batch: n impressions.
      layout: of the same description; the batch's `readout` holds each of its columns.

    Yields:
      (uint8 bytes of some records, int64 swing edges of each of them); the bytes, one after the other, are a TFRecord file.
    """
    n = len(batch)
    ints = _columns(batch, layout.int_columns, np.int64)
    floats = _columns(batch, layout.float_columns, np.float32).view(np.uint32)
    recents, swings = batch.node_and_edge_bounds()
    fixed = len(layout.key_bytes) + len(layout.kind) * _FIELD_OVERHEAD + FRAME_BYTES
    bound = fixed + (2 + recents + swings) * _BYTES_PER_NODE + (recents + swings) * _BYTES_PER_EDGE
    lists = _ListSpace(int(recents.max(initial=0)), int(swings.max(initial=0)))
    sample = batch.sample
    graph = (
        batch.candidate,
        batch.candidate_row,
        batch.user,
        batch.history,
        batch.history_indptr,
        batch.recent,
        batch.recent_row,
        batch.age.view(np.uint32),
        sample.indptr,
        sample.sources,
        sample.weights.view(np.uint32),
        sample.propagation_weights.view(np.uint32),
    )
    program = (layout.kind, layout.operand, layout.key_bytes, layout.key_indptr)
    for start in range(0, n, _CHUNK):
        end = min(start + _CHUNK, n)
        out, edges = np.empty(int(bound[start:end].sum()), np.uint8), np.zeros(end - start, np.int64)
        length = _encode(
            start, end, graph, ints, floats, program, lists.ints, lists.bits, lists.slots, out, edges
        )
        yield out[:length], edges


class _ListSpace:
    """Work arrays for the lists of one record: int lists, float lists (as bits), and the slots of the node numbering."""

    def __init__(self, recents: int, swings: int) -> None:
        nodes, edges = 1 + recents + swings, max(recents, swings, 1)
        size = 1 << max(4, int(2 * nodes).bit_length())
        self.ints = np.zeros((5, max(nodes, edges)), np.int64)
        self.bits = np.zeros((3, edges), np.uint32)
        self.slots = (np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, -1, np.int64))


# Rows of the work arrays.
_IDS, _SOURCE, _TARGET, _AGE_SOURCE, _AGE_TARGET = 0, 1, 2, 3, 4
_WEIGHT, _PROPAGATION, _AGE = 0, 1, 2


def _columns(batch: SubgraphBatch, names: tuple[str, ...], dtype: type) -> Array:
    matrix: Array = np.empty((len(batch), len(names)), dtype)
    for column, name in enumerate(names):
        matrix[:, column] = batch.readout[name]
    return matrix


@numba.njit(cache=True, nogil=True)
def _encode(
    start: int, end: int, graph: tuple, ints: Array, floats: Array, program: tuple, lists: Array, bits: Array, slots: tuple,
    out: Array, edges: Array,
) -> int:  # fmt: skip
    """Write records [start, end) to `out`; returns the bytes written."""
    kind, operand, key_bytes, key_indptr = program
    counts, payloads = np.zeros(len(kind), np.int64), np.zeros(len(kind), np.int64)
    value = np.zeros(1, np.int64)
    position = 0
    for i in range(start, end):
        nodes, swings, recents = _collect(i, graph, lists, bits, slots)
        edges[i - start] = swings
        sizes = (nodes, swings, recents)
        features = 0
        for f in range(len(kind)):
            counts[f] = _count(kind[f], sizes)
            if _is_float(kind[f]):
                payloads[f] = 4 * counts[f]
            else:
                values = _int_values(kind[f], operand[f], i, graph[2], ints, lists, value, sizes)
                payloads[f] = 0
                for v in range(counts[f]):
                    payloads[f] += varint_length(values[v])
            entry = _entry_length(key_indptr[f + 1] - key_indptr[f], payloads[f])
            features += 1 + varint_length(entry) + entry
        payload_start = position + FRAME_HEADER
        at = _put_tag(out, payload_start, 0x0A, features)
        for f in range(len(kind)):
            at = _put_headers(
                out, at, key_bytes, key_indptr[f], key_indptr[f + 1], _is_float(kind[f]), payloads[f]
            )
            if _is_float(kind[f]):
                at = _put_floats(out, at, kind[f], operand[f], i, floats, bits, counts[f])
            else:
                values = _int_values(kind[f], operand[f], i, graph[2], ints, lists, value, sizes)
                for v in range(counts[f]):
                    at = put_varint(out, at, values[v])
        position = put_frame(out, position, at - payload_start)
    return position


@numba.njit(cache=True, nogil=True)
def _collect(i: int, graph: tuple, lists: Array, bits: Array, slots: tuple) -> tuple[int, int, int]:
    """Number the nodes of record i and fill its lists; returns (nodes, swing edges, recent items)."""
    candidate, candidate_row, _, history, history_indptr, recent, recent_row, age, indptr, _, _, _ = graph
    first, last = history_indptr[history[i]], history_indptr[history[i] + 1]
    nodes = _number(candidate[i], i, 0, lists, slots)
    for r in range(first, last):
        place = r - first
        lists[_AGE_SOURCE, place] = nodes
        lists[_AGE_TARGET, place] = 0
        bits[_AGE, place] = age[r]
        nodes = _number(recent[r], i, nodes, lists, slots)
    swings = 0
    row = candidate_row[i]
    if row >= 0:
        nodes, swings = _add_star(
            indptr[row], indptr[row + 1], 0, i, graph, nodes, swings, lists, bits, slots
        )
    for r in range(first, last):
        row = recent_row[r]
        if row >= 0:
            target = 1 + r - first
            nodes, swings = _add_star(
                indptr[row], indptr[row + 1], target, i, graph, nodes, swings, lists, bits, slots
            )
    return nodes, swings, last - first


@numba.njit(cache=True, nogil=True)
def _add_star(
    first: int,
    last: int,
    target: int,
    i: int,
    graph: tuple,
    nodes: int,
    swings: int,
    lists: Array,
    bits: Array,
    slots: tuple,
) -> tuple[int, int]:
    """Add the sampled edges into one target; returns the new numbers of nodes and edges."""
    sources, weights, propagation = graph[9], graph[10], graph[11]
    table_node = slots[1]
    for e in range(first, last):
        slot = _slot(sources[e], i, slots)
        if slots[2][slot] != i:
            slots[0][slot], slots[1][slot], slots[2][slot] = sources[e], nodes, i
            lists[_IDS, nodes] = sources[e]
            nodes += 1
        lists[_SOURCE, swings] = table_node[slot]
        lists[_TARGET, swings] = target
        bits[_WEIGHT, swings] = weights[e]
        bits[_PROPAGATION, swings] = propagation[e]
        swings += 1
    return nodes, swings


@numba.njit(cache=True, inline="always")
def _slot(key: int, i: int, slots: tuple) -> int:
    """The slot that holds `key` for record i, or the free one where it belongs (open addressing, stamped with the record)."""
    mask = len(slots[0]) - 1
    slot = int((np.uint64(key) * _HASH) >> np.uint64(40)) & mask
    while slots[2][slot] == i and slots[0][slot] != key:
        slot = (slot + 1) & mask
    return slot


@numba.njit(cache=True, inline="always")
def _number(key: int, i: int, nodes: int, lists: Array, slots: tuple) -> int:
    """Give a new node the number `nodes`; returns the number of nodes."""
    slot = _slot(key, i, slots)
    slots[0][slot], slots[1][slot], slots[2][slot] = key, nodes, i
    lists[_IDS, nodes] = key
    return nodes + 1


@numba.njit(cache=True, inline="always")
def _is_float(kind: int) -> bool:
    return kind in (FLOAT_COLUMN, SWING_WEIGHT, SWING_PROPAGATION, RECENT_AGE)


@numba.njit(cache=True, inline="always")
def _count(kind: int, sizes: tuple[int, int, int]) -> int:
    """Values of a field; `sizes` is (nodes, swing edges, recent items)."""
    if kind == ITEM_ID:
        return sizes[0]
    if kind in (SWING_SOURCE, SWING_TARGET, SWING_WEIGHT, SWING_PROPAGATION):
        return sizes[1]
    if kind in (RECENT_SOURCE, RECENT_TARGET, RECENT_AGE):
        return sizes[2]
    return 1


@numba.njit(cache=True, nogil=True)
def _int_values(
    kind: int,
    operand: int,
    i: int,
    user: Array,
    ints: Array,
    lists: Array,
    value: Array,
    sizes: tuple[int, int, int],
) -> Array:
    """The values of an int field; scalars through the one-element work array `value`."""
    if kind == ITEM_ID:
        return lists[_IDS]
    if kind == SWING_SOURCE:
        return lists[_SOURCE]
    if kind == SWING_TARGET:
        return lists[_TARGET]
    if kind == RECENT_SOURCE:
        return lists[_AGE_SOURCE]
    if kind == RECENT_TARGET:
        return lists[_AGE_TARGET]
    if kind == INT_COLUMN:
        value[0] = ints[i, operand]
    elif kind == CONSTANT:
        value[0] = operand
    elif kind == USER_ID:
        value[0] = user[i]
    elif kind == ITEM_SIZE:
        value[0] = sizes[0]
    elif kind == SWING_SIZE:
        value[0] = sizes[1]
    elif kind == RECENT_SIZE:
        value[0] = sizes[2]
    return value


@numba.njit(cache=True, nogil=True)
def _put_floats(
    out: Array, at: int, kind: int, operand: int, i: int, floats: Array, bits: Array, count: int
) -> int:
    if kind == FLOAT_COLUMN:
        return put_uint32(out, at, floats[i, operand])
    row = _WEIGHT
    if kind == SWING_PROPAGATION:
        row = _PROPAGATION
    elif kind == RECENT_AGE:
        row = _AGE
    for v in range(count):
        at = put_uint32(out, at, bits[row, v])
    return at


@numba.njit(cache=True, inline="always")
def _list_length(payload: int) -> int:
    """Bytes of an Int64List or FloatList with packed values; an empty list has no field at all."""
    return 0 if payload == 0 else 1 + varint_length(payload) + payload


@numba.njit(cache=True, inline="always")
def _entry_length(key_length: int, payload: int) -> int:
    """Bytes of a map entry: the encoded key, and a Feature that holds a list."""
    in_list = _list_length(payload)
    feature = 1 + varint_length(in_list) + in_list
    return key_length + 1 + varint_length(feature) + feature


@numba.njit(cache=True, inline="always")
def _put_tag(out: Array, at: int, tag: int, length: int) -> int:
    out[at] = tag
    return put_varint(out, at + 1, length)


@numba.njit(cache=True, nogil=True)
def _put_headers(
    out: Array, at: int, key_bytes: Array, first: int, last: int, is_float: bool, payload: int
) -> int:
    """Everything of a map entry that stands before the values."""
    in_list = _list_length(payload)
    at = _put_tag(out, at, 0x0A, _entry_length(last - first, payload))
    for byte in range(first, last):
        out[at] = key_bytes[byte]
        at += 1
    at = _put_tag(out, at, 0x12, 1 + varint_length(in_list) + in_list)
    at = _put_tag(out, at, 0x12 if is_float else 0x1A, in_list)
    return at if payload == 0 else _put_tag(out, at, 0x0A, payload)
