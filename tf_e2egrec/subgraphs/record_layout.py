"""`RecordLayout`: the fields of a subgraph record as arrays that the compiled encoder walks through."""

import dataclasses

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.subgraphs.record_feature import EDGE_SETS, NODE_SETS, subgraph_features

# Where a field's values come from. Scalars: a column of the int or float matrix. Lists: the record's work arrays.
INT_COLUMN, FLOAT_COLUMN, CONSTANT, ITEM_ID, ITEM_SIZE, USER_ID = 0, 1, 2, 3, 4, 5
SWING_SIZE, SWING_SOURCE, SWING_TARGET, SWING_WEIGHT, SWING_PROPAGATION = 6, 7, 8, 9, 10
RECENT_SIZE, RECENT_SOURCE, RECENT_TARGET, RECENT_AGE = 11, 12, 13, 14

_SPECIAL = {
    "nodes/item.#id": ITEM_ID,
    "nodes/item.#size": ITEM_SIZE,
    "nodes/user.#id": USER_ID,
    "edges/swing.#size": SWING_SIZE,
    "edges/swing.#source": SWING_SOURCE,
    "edges/swing.#target": SWING_TARGET,
    "edges/swing.weight": SWING_WEIGHT,
    "edges/swing.propagation_weight": SWING_PROPAGATION,
    "edges/recent.#size": RECENT_SIZE,
    "edges/recent.#source": RECENT_SOURCE,
    "edges/recent.#target": RECENT_TARGET,
    "edges/recent.age": RECENT_AGE,
}


@dataclasses.dataclass(frozen=True)
class RecordLayout:
    """Fields in the order of their keys.

    Attributes:
      kind: int64 [f] where each field's values come from (constants above).
      operand: int64 [f] the column of a scalar, the value of a constant.
      key_bytes: uint8: the encoded keys (`0A len key`), one after the other.
      key_indptr: int64 [f + 1] into `key_bytes`.
      int_columns: names of the scalars in the int matrix, by column.
      float_columns: the same for the float matrix.
    """

    kind: np.ndarray
    operand: np.ndarray
    key_bytes: np.ndarray
    key_indptr: np.ndarray
    int_columns: tuple[str, ...]
    float_columns: tuple[str, ...]

    @staticmethod
    def from_description(description: DatasetDescription) -> "RecordLayout":
        """The layout of `docs/design.md`, "Subgraph record", with the description's context features."""
        fields: dict[str, tuple[int, int]] = {f"nodes/{name}.#size": (CONSTANT, 1) for name in NODE_SETS}
        for name in EDGE_SETS:
            fields |= {f"edges/{name}.#size": (CONSTANT, 1)}
            fields |= {f"edges/{name}.{end}": (CONSTANT, 0) for end in ("#source", "#target")}
        ints: list[str] = []
        floats: list[str] = []
        for feature in subgraph_features(description):
            if feature.set_name == "_readout":
                columns = ints if feature.dtype == "int64" else floats
                fields[feature.key] = (INT_COLUMN if feature.dtype == "int64" else FLOAT_COLUMN, len(columns))
                columns.append(feature.name)
        fields |= {key: (kind, 0) for key, kind in _SPECIAL.items()}
        names = sorted(fields)
        encoded = [b"\x0a" + _varint(len(name.encode())) + name.encode() for name in names]
        return RecordLayout(
            kind=np.array([fields[name][0] for name in names], np.int64),
            operand=np.array([fields[name][1] for name in names], np.int64),
            key_bytes=np.frombuffer(b"".join(encoded), np.uint8),
            key_indptr=np.r_[0, np.cumsum([len(key) for key in encoded])].astype(np.int64),
            int_columns=tuple(ints),
            float_columns=tuple(floats),
        )


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
