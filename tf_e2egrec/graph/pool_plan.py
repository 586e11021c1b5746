"""`PoolPlan`: how pools of negatives are drawn from the events of a trailing window."""

import bisect
import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import EventBlock
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.dataset.time_axis import FOREVER, parse_duration
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.occurrence import occurrences
from tf_e2egrec.graph.pool_table import PoolTable
from tf_e2egrec.graph.sketch import Sketch

_SALT = 0x706F6F6C  # separates these hashes from other uses of the description's seed


@dataclasses.dataclass(frozen=True)
class PoolPlan:
    """Pools by bottom-k sketches.

    Time is cut into slots of length `every`. An event among the k smallest hashes of a window is among the k smallest of its slot, so
    one sketch per slot is enough, and the pool of bucket b merges the sketches of the slots [b - window_slots, b - 1]: everything
    strictly before the bucket. A window that is no multiple of `every` is rounded up.

    With `uniform`, an item's hash is the same in all slots (that is what makes items distinct after a merge), so a pool smaller than
    the window's items would leave the same items out for ever. The hash therefore changes once per window length ("era"); a slot keeps
    one sketch for each era that its events can reach.

    Attributes:
      every: slot length, `EventBlock.time` units.
      window_slots: slots in a window.
      eras: whether hashes change once per window length.
      distinct: whether a pool holds each item once (`uniform`).
      size: k.
      seed: of the hashes.
      domains: numbers of the item domains that negatives come from: those whose logs feed the ranker.
    """

    every: int
    window_slots: int
    eras: bool
    distinct: bool
    size: int
    seed: int
    domains: tuple[int, ...]

    @staticmethod
    def from_description(description: DatasetDescription) -> "PoolPlan":
        """The plan that `ranker.negatives` describes.

        Raises:
          E2EGRecError: `every` is `all`, so no event could ever be older than its bucket.
        """
        spec, is_rank = description.ranker.negatives, description.time_is_rank
        assert spec is not None, "the description has no ranker.negatives"
        every = parse_duration(spec.every, "ranker.negatives.every", is_rank)
        window = parse_duration(spec.window, "ranker.negatives.window", is_rank)
        if every >= FOREVER:
            raise E2EGRecError(
                "`ranker.negatives.every` must be a duration such as 1h: with `all` no event is older than the pool"
            )
        wanted = {rule.domain for rule in description.ranker.rows if rule.domain is not None}
        domains = {log.domain for log in description.interactions if log.feeds != "graph"}
        kept = domains & wanted if wanted else domains
        return PoolPlan(
            every=every,
            window_slots=-(-window // every),
            eras=spec.sampler == "uniform" and window < FOREVER,
            distinct=spec.sampler == "uniform",
            size=spec.pool_size,
            seed=description.seed ^ _SALT,
            domains=tuple(sorted(description.domains.index(domain) for domain in kept)),
        )

    def era_of(self, bucket: int) -> int:
        """The era whose hashes bucket `bucket` uses."""
        return bucket // self.window_slots if self.eras else 0

    def sketches(self, events: EventBlock, domain_of: np.ndarray) -> Iterator[tuple[tuple[int, int], Sketch]]:
        """((era, slot), sketch) of every slot that has events; whole users, in the order of `EventBlock.sorted`.

        Args:
          events: n rows.
          domain_of: int64 [n] domain number of each row's item.
        """
        kept = np.isin(domain_of, self.domains)
        item, slot = events.item[kept], events.time[kept] // self.every
        if not self.distinct:
            ordinal = occurrences(events.user[kept], events.time[kept], item)
            hashes = hash_keys(self.seed, events.user[kept], item, events.time[kept], ordinal)
            yield from self._per_slot(0 * slot, slot, hashes, item)
        elif not self.eras:
            yield from self._per_slot(0 * slot, slot, hash_keys(self.seed, item), item)
        else:
            # Buckets slot + 1 ... slot + window read the slot: they lie in at most two eras.
            first, last = (slot + 1) // self.window_slots, (slot + self.window_slots) // self.window_slots
            second = last != first
            era, slot, item = np.r_[first, last[second]], np.r_[slot, slot[second]], np.r_[item, item[second]]
            yield from self._per_slot(era, slot, hash_keys(self.seed, item, era), item)

    def _per_slot(
        self, era: np.ndarray, slot: np.ndarray, hashes: np.ndarray, items: np.ndarray
    ) -> Iterator[tuple[tuple[int, int], Sketch]]:
        order = np.lexsort([hashes, slot, era])
        era, slot, hashes, items = era[order], slot[order], hashes[order], items[order]
        if len(slot) == 0:
            return
        first = np.flatnonzero(np.r_[True, (slot[1:] != slot[:-1]) | (era[1:] != era[:-1])])
        for start, end in zip(first, [*first[1:], len(slot)], strict=True):
            yield (
                (int(era[start]), int(slot[start])),
                self.merge([Sketch(hashes[start:end], items[start:end])]),
            )

    def merge(self, sketches: list[Sketch]) -> Sketch:
        """The sketch of the union."""
        hashes = np.concatenate([sketch.hashes for sketch in sketches])
        items = np.concatenate([sketch.items for sketch in sketches])
        order = np.argsort(hashes, kind="stable")  # inputs are sorted runs: close to linear
        hashes, items = hashes[order], items[order]
        if self.distinct and len(hashes):
            new = np.r_[True, (hashes[1:] != hashes[:-1]) | (items[1:] != items[:-1])]
            hashes, items = hashes[new], items[new]
        return Sketch(hashes[: self.size], items[: self.size])

    def pools(self, sketches: Mapping[tuple[int, int], Sketch]) -> PoolTable:
        """The pool of every bucket that has events of its own (only those serve impressions)."""
        slots = sorted({slot for _, slot in sketches})
        pools: list[np.ndarray] = []
        window, era, following = _SlidingMerge(self), -1, 0
        for bucket in slots:
            if self.era_of(bucket) != era:
                era = self.era_of(bucket)
                window, following = _SlidingMerge(self), bisect.bisect_left(slots, bucket - self.window_slots)
            while slots[following] < bucket:
                if (era, slots[following]) in sketches:
                    window.push(slots[following], sketches[era, slots[following]])
                following += 1
            window.drop_before(bucket - self.window_slots)
            pools.append(window.merged().items)
        indptr = np.r_[0, np.cumsum([len(pool) for pool in pools])].astype(np.int64)
        return PoolTable(
            self.every, np.array(slots, np.int64), indptr, np.concatenate([np.zeros(0, np.int64), *pools])
        )


class _SlidingMerge:
    """Merge of a sliding window of sketches with two stacks: about three merges per step, however long the window is."""

    def __init__(self, plan: PoolPlan) -> None:
        self._plan = plan
        self._empty = Sketch(np.zeros(0, np.uint64), np.zeros(0, np.int64))
        self._front: list[
            tuple[int, Sketch]
        ] = []  # (slot, merge of this slot and all later ones of the front)
        self._back: list[tuple[int, Sketch]] = []
        self._back_merge = self._empty

    def push(self, slot: int, sketch: Sketch) -> None:
        self._back.append((slot, sketch))
        self._back_merge = self._plan.merge([self._back_merge, sketch])

    def drop_before(self, first: int) -> None:
        while (self._front or self._back) and (
            self._front[-1][0] if self._front else self._back[0][0]
        ) < first:
            if not self._front:
                merged = self._empty
                for slot, sketch in reversed(self._back):
                    merged = self._plan.merge([sketch, merged])
                    self._front.append((slot, merged))
                self._back, self._back_merge = [], self._empty
            self._front.pop()

    def merged(self) -> Sketch:
        front = self._front[-1][1] if self._front else self._empty
        return self._plan.merge([front, self._back_merge])
