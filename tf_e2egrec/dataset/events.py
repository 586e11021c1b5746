"""`EventBlock`: the columnar form in which log rows travel."""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

RANKER_ROW = np.uint8(1)  # the row trains or tests the ranker
GRAPH_ROW = np.uint8(2)  # the row may become edges


@dataclasses.dataclass(frozen=True)
class EventBlock:
    """n log rows as arrays of equal length.

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
        return EventBlock(
            **{name: getattr(self, name)[rows] for name in _COLUMNS},
            context={name: values[rows] for name, values in self.context.items()},
        )

    def sorted(self) -> "EventBlock":
        """Rows ordered by (user, time, item, every other column): an order that does not depend on how the
        rows arrived.
        """
        rest = [self.behaviours, self.role, self.stay, self.content_duration, self.session]
        rest += [self.context[name] for name in sorted(self.context)]
        return self.take(np.lexsort([*reversed(rest), self.item, self.time, self.user]))

    def to_bytes(self) -> bytes:
        """Pack the block for a shuffle; `from_bytes` is the inverse."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        arrays |= {_CONTEXT_PREFIX + name: values for name, values in self.context.items()}
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @staticmethod
    def from_bytes(packed: bytes) -> "EventBlock":
        """Unpack what `to_bytes` wrote; nothing is unpickled."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in _COLUMNS}
            context = {
                name.removeprefix(_CONTEXT_PREFIX): arrays[name]
                for name in arrays.files
                if name.startswith(_CONTEXT_PREFIX)
            }
        return EventBlock(**columns, context=context)

    @staticmethod
    def concatenate(blocks: Sequence["EventBlock"]) -> "EventBlock":
        """One block out of many that have the same context features."""
        return EventBlock(
            **{name: np.concatenate([getattr(block, name) for block in blocks]) for name in _COLUMNS},
            context={
                name: np.concatenate([block.context[name] for block in blocks]) for name in blocks[0].context
            },
        )


_COLUMNS = tuple(field.name for field in dataclasses.fields(EventBlock) if field.name != "context")
_CONTEXT_PREFIX = "context/"
