"""Impressions of whole users: labels, recent items, sampled negatives, derived features."""

import dataclasses

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.ranker_spec import REWARD_RATES
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.dataset.ids import MISSING_KEY, hash_keys
from tf_e2egrec.dataset.split import split_codes
from tf_e2egrec.dataset.time_axis import MS_PER_DAY, RANK_SCALE
from tf_e2egrec.graph.negatives import draw_negatives
from tf_e2egrec.graph.occurrence import occurrences
from tf_e2egrec.graph.pool_table import PoolTable
from tf_e2egrec.graph.recent_items import recent_items
from tf_e2egrec.subgraphs.first_seen import FirstSeen
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.reward_rates import reward_rates

_ID_SEED = 0x696D70  # impression ids do not change with the description's seed
_NEGATIVE_SALT = 0x6E6567
_MS_PER_HOUR = 3_600_000


def impressions_of(
    events: EventBlock, description: DatasetDescription, pools: PoolTable | None, first_seen: FirstSeen | None
) -> tuple[ImpressionBlock, np.ndarray, dict[str, int]]:
    """The impressions among the rows of whole users, and sampled negatives for the positive ones.

    A negative has its positive's user, time, context and recent items, reward 0 and no stay. It is an item of the pool that the user
    has no row with anywhere in the log, later rows included: that rule alone looks ahead. `impression_id` hashes (user, item, time,
    occurrence, draw): equal input rows have equal ids.

    Args:
      events: in the order of `EventBlock.sorted`.
      description: decides splits, labels, recent items and features.
      pools: of negatives; None where the description samples none.
      first_seen: of items; None where no feature needs it.

    Returns:
      (impressions, int8 [n] their split codes, counters).
    """
    codes = split_codes(events, description)
    rows = np.flatnonzero(codes >= 0)
    block = _logged_impressions(events, rows, description)
    codes = codes[rows]
    positive = block.reward > 0
    counters = {"impressions_logged": len(rows), "positives": int(positive.sum())}
    if pools is not None:
        negatives, origin, counts = _negatives(events, block, np.flatnonzero(positive), description, pools)
        block, codes = ImpressionBlock.concatenate([block, negatives]), np.r_[codes, codes[origin]]
        block = dataclasses.replace(block, history=np.r_[block.history[: len(rows)], block.history[origin]])
        counters |= counts
    derived = _derived_features(block, description, first_seen)
    return dataclasses.replace(block, context=block.context | derived), codes, counters


def _logged_impressions(
    events: EventBlock, rows: np.ndarray, description: DatasetDescription
) -> ImpressionBlock:
    names = description.behaviour_names
    reward = np.uint32(1 << names.index(description.ranker.reward))
    explicit = np.uint32(sum(1 << names.index(name) for name in description.graph.explicit))
    is_explicit = ((events.behaviours & explicit) > 0) & ((events.role & GRAPH_ROW) > 0)
    wanted = np.zeros(len(events), bool)
    wanted[rows] = True
    indptr, recent, age = recent_items(
        events.user, events.time, events.item, is_explicit, wanted, description.graph.recent
    )
    shown = events.take(rows)
    occurrence = occurrences(shown.user, shown.time, shown.item)
    return ImpressionBlock(
        user=shown.user,
        item=shown.item,
        time=shown.time,
        impression_id=_impression_ids(shown.user, shown.item, shown.time, occurrence, 0),
        reward=((shown.behaviours & reward) > 0).astype(np.float32),
        stay=shown.stay,
        content_duration=shown.content_duration,
        history=np.arange(len(rows), dtype=np.int64),
        history_indptr=indptr,
        recent=recent,
        age=(age / (RANK_SCALE if description.time_is_rank else 1000.0)).astype(np.float32),
        context=shown.context | _reward_rates(events, rows, reward, description),
    )


def _reward_rates(
    events: EventBlock, rows: np.ndarray, reward: np.uint32, description: DatasetDescription
) -> dict[str, np.ndarray]:
    is_shown, is_rewarded = (events.role & RANKER_ROW) > 0, (events.behaviours & reward) > 0
    return {
        name: reward_rates(events.user, events.time, is_shown, is_rewarded, rows, REWARD_RATES[name])
        for name in description.ranker.derived
        if name in REWARD_RATES
    }


def _impression_ids(
    user: np.ndarray, item: np.ndarray, time: np.ndarray, occurrence: np.ndarray, draw: np.ndarray | int
) -> np.ndarray:
    hashed = hash_keys(_ID_SEED, user, item, time, occurrence, draw)
    return (hashed >> np.uint64(1)).astype(np.int64)


def _negatives(
    events: EventBlock,
    block: ImpressionBlock,
    positive: np.ndarray,
    description: DatasetDescription,
    pools: PoolTable,
) -> tuple[ImpressionBlock, np.ndarray, dict[str, int]]:
    """Negatives (with empty histories), the row of each one's positive, and counters."""
    spec = description.ranker.negatives
    assert spec is not None
    order = np.lexsort([events.item, events.user])
    user, item = events.user[order], events.item[order]
    users, first = np.unique(user, return_index=True)
    drawn, rejected = draw_negatives(
        pools,
        block.impression_id[positive],
        block.time[positive],
        np.searchsorted(users, block.user[positive]),
        np.r_[first, len(user)].astype(np.int64),
        item,
        spec.per_positive,
        description.seed ^ _NEGATIVE_SALT,
    )
    found = drawn >= 0
    origin = positive[np.nonzero(found)[0]]
    draw = np.nonzero(found)[1] + 1
    unknown = np.full(len(origin), np.nan, np.float32)
    none = np.zeros(0, np.int64)
    negatives = ImpressionBlock(
        user=block.user[origin],
        item=drawn[found],
        time=block.time[origin],
        # The positive's id carries its occurrence among equal rows.
        impression_id=_impression_ids(
            block.user[origin], drawn[found], block.time[origin], block.impression_id[origin], draw
        ),
        reward=np.zeros(len(origin), np.float32),
        stay=unknown,
        content_duration=unknown,
        history=np.zeros(len(origin), np.int64),
        history_indptr=np.zeros(1, np.int64),
        recent=none,
        age=none.astype(np.float32),
        context={name: values[origin] for name, values in block.context.items()},
    )
    counters = {
        "negatives": len(origin),
        "negatives_rejected": rejected,
        "negatives_missing": int((~found).sum()),
    }
    return negatives, origin, counters


def _derived_features(
    block: ImpressionBlock, description: DatasetDescription, first_seen: FirstSeen | None
) -> dict[str, np.ndarray]:
    """The rest of `ranker.derived` by name; hours and days do not exist where time is a rank."""
    features: dict[str, np.ndarray] = {}
    is_rank = description.time_is_rank
    for name in description.ranker.derived:
        if name == "hour_of_day":
            hour = block.time // _MS_PER_HOUR % 24
            features[name] = np.full(len(block), MISSING_KEY, np.int64) if is_rank else hour
        elif name == "day_of_week":
            day = (block.time // MS_PER_DAY + 3) % 7  # the epoch was a Thursday; Monday is 0
            features[name] = np.full(len(block), MISSING_KEY, np.int64) if is_rank else day
        elif name == "item_age":
            assert first_seen is not None, "item_age needs the items' first events"
            age = block.time - first_seen.of(block.item)
            scaled = np.log1p(np.maximum(age, 0) / (RANK_SCALE if is_rank else _MS_PER_HOUR))
            features[name] = np.where(age > 0, scaled, np.nan).astype(np.float32)
        elif name == "recent_count":
            count = np.diff(block.history_indptr)[block.history]
            features[name] = np.log1p(count).astype(np.float32)
    return features
