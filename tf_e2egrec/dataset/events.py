"""`EventBlock`: the columnar form in which log rows travel."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from tf_e2egrec.dataset.narrow_column import pack_narrow, unpack_narrow
from tf_e2egrec.dataset.radix_order import radix_order

RANKER_ROW = np.uint8(1)  # the row trains or tests the ranker
GRAPH_ROW = np.uint8(2)  # the row may become edges


@dataclasses.dataclass(frozen=True)
class EventBlock:
    """n log rows as arrays of equal length; columns of one value may be read-only views.

    Attributes:
      user: int64 [n] user keys.
      item: int64 [n] item keys, domain included.
      time: int64 [n] milliseconds since the epoch; for logs with ranks only, the raw rank until
        `time_axis.rank_to_time` ran.
      behaviours: uint32 [n], bit b is set where the description's b-th behaviour happened.
      role: uint8 [n], `RANKER_ROW` | `GRAPH_ROW`.
      stay: float32 [n] seconds, NaN where unknown.
      content_duration: float32 [n] seconds, NaN where unknown.
      session: int64 [n] session keys, -1 where the log has none.
      context: float32 or int64 [n] per context feature of the description, by name.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    behaviours: np.ndarray
    role: np.ndarray
    stay: np.ndarray
    content_duration: np.ndarray
    session: np.ndarray
    context: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.user)

    @property
    def bytes_per_row(self) -> int:
        """Size of a row in memory, and about that in packed form."""
        columns = [getattr(self, name) for name in _COLUMNS]
        return sum(column.itemsize for column in [*columns, *self.context.values()])

    def take(self, rows: np.ndarray) -> "EventBlock":
        """The rows selected by an index or boolean array, in that order."""
        user = self.user[rows]
        return EventBlock(
            **{name: _taken(getattr(self, name), rows, len(user)) for name in _COLUMNS if name != "user"},
            user=user,
            context={name: _taken(values, rows, len(user)) for name, values in self.context.items()},
        )

    def sorted(self) -> "EventBlock":
        """Rows ordered by (user, time, item, every other column): an order that does not depend on how the
        rows arrived.
        """
        order = np.arange(len(self))
        for column in (self.item, self.time, self.user):
            order = order[radix_order(column[order])]
        same = np.ones(max(len(self) - 1, 0), bool)
        for column in (self.user, self.time, self.item):
            same &= column[order[1:]] == column[order[:-1]]
        if same.any():
            tied = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
            group = np.cumsum(np.r_[True, ~same])[tied]
            order[tied] = order[tied][np.lexsort([*self._rest(order[tied]), group])]
        return self.take(order)

    def _rest(self, rows: np.ndarray) -> list[np.ndarray]:
        """Every column but user, time and item, the least important first."""
        rest = [self.behaviours, self.role, self.stay, self.content_duration, self.session]
        rest += [self.context[name] for name in sorted(self.context)]
        return [column[rows] for column in reversed(rest)]

    def to_bytes(self) -> bytes:
        """Pack the block for a shuffle; `from_bytes` is the inverse. A column of one value takes no space,
        and integers only what their range needs."""
        arrays = {name: getattr(self, name) for name in _COLUMNS}
        arrays |= {_CONTEXT_PREFIX + name: values for name, values in self.context.items()}
        stored, columns = [], []
        for name, column in arrays.items():
            values = column[:1] if _is_constant(column) else column
            columns.append((name, values.dtype.str, len(values)))
            if values.dtype == np.int64:
                stored.append(pack_narrow(values))
            else:
                stored += [np.ascontiguousarray(values).tobytes(), b"\0" * (-values.nbytes % _ALIGNMENT)]
        header = json.dumps([len(self), columns]).encode()
        header += b" " * (-(len(header) + _ALIGNMENT) % _ALIGNMENT)
        return b"".join([len(header).to_bytes(_ALIGNMENT, "little"), header, *stored])

    @staticmethod
    def from_bytes(packed: bytes) -> "EventBlock":
        """Unpack what `to_bytes` wrote."""
        place = _ALIGNMENT + int.from_bytes(packed[:_ALIGNMENT], "little")
        rows, stored = json.loads(packed[_ALIGNMENT:place])
        columns: dict[str, np.ndarray] = {}
        for name, kind, count in stored:
            if np.dtype(kind) == np.int64:
                values, place = unpack_narrow(packed, count, place)
            else:
                values = np.frombuffer(packed, kind, count, place).copy()
                place += values.nbytes + -values.nbytes % _ALIGNMENT
            columns[name] = values if count == rows else _repeated(values, rows, name in _KEYS)
        context = {
            name.removeprefix(_CONTEXT_PREFIX): columns.pop(name)
            for name in list(columns)
            if name.startswith(_CONTEXT_PREFIX)
        }
        return EventBlock(**columns, context=context)

    @staticmethod
    def concatenate(blocks: Sequence["EventBlock"]) -> "EventBlock":
        """One block out of many that have the same context features."""
        return EventBlock(
            **{name: _joined([getattr(block, name) for block in blocks]) for name in _COLUMNS},
            context={name: _joined([block.context[name] for block in blocks]) for name in blocks[0].context},
        )


_COLUMNS = tuple(field.name for field in dataclasses.fields(EventBlock) if field.name != "context")
_CONTEXT_PREFIX = "context/"
_ALIGNMENT = 8
_KEYS = ("user", "item", "time")  # what compiled code reads: always arrays of their own


def _repeated(values: np.ndarray, rows: int, own: bool = False) -> np.ndarray:
    """The first value for every row; without `own`, a read-only view that takes no memory."""
    return np.full(rows, values[0]) if own else np.broadcast_to(values[:1], (rows,))


def _is_repeated(values: np.ndarray) -> bool:
    return len(values) > 1 and values.strides == (0,)


def _taken(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    return _repeated(values, count) if _is_repeated(values) else values[rows]


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """The columns one after the other; one view where all are views of the same value."""
    filled = [column for column in columns if len(column)]
    values = {column[:1].tobytes() for column in filled}
    if len(values) == 1 and all(_is_repeated(column) for column in filled):
        return _repeated(filled[0], sum(map(len, filled)))
    return np.concatenate(columns)


def _is_constant(values: np.ndarray) -> bool:
    """Whether there are several values, and all have the same bits."""
    if _is_repeated(values):
        return True
    bits = values.view(f"u{values.itemsize}")
    return len(bits) > 1 and bits[0] == bits[-1] and bool((bits == bits[0]).all())
