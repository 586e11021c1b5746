"""`ImpressionBlock`: impressions with their recent items, in columns."""

import dataclasses
import io
from collections.abc import Sequence

import numpy as np

_CONTEXT_PREFIX = "context/"


@dataclasses.dataclass(frozen=True)
class ImpressionBlock:
    """n impressions and h histories; a positive and its sampled negatives share a history.

    Attributes:
      user, item: int64 [n] keys.
      time: int64 [n] `EventBlock.time` units.
      impression_id: int64 [n] non-negative, see `impressions_of`.
      reward: float32 [n] 0 or 1.
      stay, content_duration: float32 [n] seconds, NaN where unknown.
      history: int64 [n] row of the recent items.
      history_indptr: int64 [h + 1].
      recent: int64 [m] item keys, newest first within a history.
      age: float32 [m] seconds (of ranks: share of the user's rows) before the impression.
      context: float32 or int64 [n] by feature name, the derived features included.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    impression_id: np.ndarray
    reward: np.ndarray
    stay: np.ndarray
    content_duration: np.ndarray
    history: np.ndarray
    history_indptr: np.ndarray
    recent: np.ndarray
    age: np.ndarray
    context: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Number of impressions."""
        return len(self.item)

    def take(self, rows: np.ndarray) -> "ImpressionBlock":
        """The impressions selected by an index or boolean array, in that order, with only the histories they use."""
        used, history = np.unique(self.history[rows], return_inverse=True)
        counts = np.diff(self.history_indptr)[used]
        indptr = np.r_[0, np.cumsum(counts)].astype(np.int64)
        edges = np.repeat(self.history_indptr[used] - indptr[:-1], counts) + np.arange(indptr[-1])
        return ImpressionBlock(
            **{name: getattr(self, name)[rows] for name in _PER_IMPRESSION},
            history=history.astype(np.int64),
            history_indptr=indptr,
            recent=self.recent[edges],
            age=self.age[edges],
            context={name: values[rows] for name, values in self.context.items()},
        )

    def to_bytes(self) -> bytes:
        """Pack the block for a shuffle; `from_bytes` is the inverse."""
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _COLUMNS}
        context = {_CONTEXT_PREFIX + name: values for name, values in self.context.items()}
        np.savez(buffer, **arrays, **context)  # type: ignore[arg-type]
        return buffer.getvalue()

    @staticmethod
    def from_bytes(packed: bytes) -> "ImpressionBlock":
        """Unpack what `to_bytes` wrote; nothing is unpickled."""
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in _COLUMNS}
            prefix = _CONTEXT_PREFIX
            context = {
                name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)
            }
        return ImpressionBlock(**columns, context=context)

    @staticmethod
    def concatenate(blocks: Sequence["ImpressionBlock"]) -> "ImpressionBlock":
        """One block out of many that have the same context features."""
        histories = np.cumsum([0] + [len(block.history_indptr) - 1 for block in blocks])
        edges = np.cumsum([0] + [len(block.recent) for block in blocks])
        starts = [block.history_indptr[:-1] + first for block, first in zip(blocks, edges, strict=False)]
        names = [*_PER_IMPRESSION, "recent", "age"]
        return ImpressionBlock(
            **{name: np.concatenate([getattr(block, name) for block in blocks]) for name in names},
            history=np.concatenate(
                [block.history + first for block, first in zip(blocks, histories, strict=False)]
            ),
            history_indptr=np.concatenate([*starts, edges[-1:]]).astype(np.int64),
            context={
                name: np.concatenate([block.context[name] for block in blocks]) for name in blocks[0].context
            },
        )


_COLUMNS = tuple(field.name for field in dataclasses.fields(ImpressionBlock) if field.name != "context")
_PER_IMPRESSION = ("user", "item", "time", "impression_id", "reward", "stay", "content_duration")
