"""`ImpressionRecords`: impressions by their number, whichever of the TFRecord files they stand in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs import record_decoding
from tf_e2egrec.subgraphs.record_frames import RecordFrames
from tf_e2egrec.subgraphs.record_layout import RecordLayout


class _Impressions(NamedTuple):
    """B impressions with P places: of each one the candidate, then its recent items, newest first.

    Attributes:
      place_key: int64 [P] item keys.
      places: int32 [B] how many of each impression.
      first_place: int32 [B] the candidates' places.
      recent_place: int32 [R] the places of the recent items.
      recent_target: int32 [R] whose recent items they are, sorted.
      recent_age: float32 [R].
      user: int64 [B] user keys.
      ints: int64 [columns, B], the features `ImpressionRecords.int_columns` of `_readout`.
      floats: float32 [columns, B], likewise.
      swing_source: int64 [E] neighbours' keys; none where they are not read.
      swing_target: int32 [E] the places whose neighbours they are.
      swing_weight, swing_propagation: float32 [E].
    """

    place_key: np.ndarray
    places: np.ndarray
    first_place: np.ndarray
    recent_place: np.ndarray
    recent_target: np.ndarray
    recent_age: np.ndarray
    user: np.ndarray
    ints: np.ndarray
    floats: np.ndarray
    swing_source: np.ndarray
    swing_target: np.ndarray
    swing_weight: np.ndarray
    swing_propagation: np.ndarray


class ImpressionRecords:
    """Impressions of TFRecord files that are mapped into memory: any batch costs as much as any other.

    Args:
      files: in order; the impressions are numbered through them.
      description: what the records were made from.
      has_swing: whether neighbours are read, too.

    Attributes:
      int_columns, float_columns: names of the scalars that `read` gives.

    Raises:
      E2EGRecError: a file is damaged.
    """

    def __init__(self, files: Sequence[str], description: DatasetDescription, has_swing: bool) -> None:
        self._frames = [RecordFrames(file) for file in files]
        self._first = np.r_[0, np.cumsum([len(one) for one in self._frames])].astype(np.int64)
        layout = RecordLayout.from_description(description)
        self._program = layout.kind, layout.operand, layout.key_bytes, layout.key_indptr
        self.int_columns, self.float_columns = layout.int_columns, layout.float_columns
        self._has_swing = has_swing

    def __len__(self) -> int:
        """Number of impressions."""
        return int(self._first[-1])

    def read(self, rows: np.ndarray) -> _Impressions:
        """Read impressions.

        Args:
          rows: int64 [B] their numbers, from 0; in any order.

        Raises:
          E2EGRecError: a record is damaged.
        """
        n = len(rows)
        ints = np.empty((len(self.int_columns) + 1, n), np.int64)
        floats = np.empty((len(self.float_columns), n), np.uint32)
        lists = np.zeros((n, record_decoding.LISTS, 2), np.int64)
        counts = np.zeros((n, record_decoding.LISTS), np.int64)
        parts = self._by_file(rows)
        for frames, numbers, targets in parts:
            starts, ends = frames.bounds[numbers], frames.bounds[numbers + 1]
            bad = record_decoding.scan_records(
                frames.data, starts, ends, targets, self._program, self._has_swing, ints, floats, lists, counts
            )  # fmt: skip
            _refuse(frames, numbers, bad)
        recents, edges = counts[:, record_decoding.RECENTS], counts[:, record_decoding.SOURCES]
        bounds = [_bounds(1 + recents), _bounds(recents), _bounds(edges)]
        p, r, e = (int(one[-1]) for one in bounds)
        places = np.empty(p, np.int64), np.empty(r, np.int32), np.empty(r, np.uint32)
        swing = np.empty(e, np.int64), np.empty(e, np.int32), np.empty(e, np.uint32), np.empty(e, np.uint32)
        for frames, numbers, targets in parts:
            bad = record_decoding.fill_records(frames.data, targets, lists, counts, *bounds, places, swing)
            _refuse(frames, numbers, bad)
        return _Impressions(
            place_key=places[0],
            places=(1 + recents).astype(np.int32),
            first_place=bounds[0][:-1].astype(np.int32),
            recent_place=places[1],
            recent_target=np.repeat(np.arange(n, dtype=np.int32), recents),
            recent_age=places[2].view(np.float32),
            user=ints[-1],
            ints=ints[:-1],
            floats=floats.view(np.float32),
            swing_source=swing[0],
            swing_target=swing[1],
            swing_weight=swing[2].view(np.float32),
            swing_propagation=swing[3].view(np.float32),
        )

    def _by_file(self, rows: np.ndarray) -> list[tuple[RecordFrames, np.ndarray, np.ndarray]]:
        """(file, numbers of records in it, places in `rows`) of every file that is concerned."""
        file = np.searchsorted(self._first, rows, side="right") - 1
        order = np.argsort(file, kind="stable")
        found, starts = np.unique(file[order], return_index=True)
        parts = np.split(order, starts)[1:]
        return [
            (self._frames[number], rows[part] - self._first[number], part)
            for number, part in zip(found, parts, strict=True)
        ]


def _bounds(counts: np.ndarray) -> np.ndarray:
    return np.r_[0, np.cumsum(counts)].astype(np.int64)


def _refuse(frames: RecordFrames, numbers: np.ndarray, bad: int) -> None:
    if bad >= 0:
        raise E2EGRecError(
            f"{frames.path} is damaged (record {numbers[bad]} is no subgraph, or its checksum is wrong); run "
            "`e2egrec subgraphs --force`"
        )
