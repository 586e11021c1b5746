"""Pools of negatives against their definition: the smallest hashes among the events of the window."""

import dataclasses
import itertools

import numpy as np
import pytest

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.occurrence import occurrences
from tf_e2egrec.graph.pool_plan import PoolPlan
from tf_e2egrec.graph.pool_table import PoolTable
from tf_e2egrec.graph.sketch import Sketch

DESCRIPTION = """
name: pools
interactions:
  - {{paths: a.csv, user: u, item: i, time: {{column: t, unit: ms}}, domain: video, behaviours: {{click: {{always: true}}}}}}
  - {{paths: b.csv, user: u, item: i, time: {{column: t, unit: ms}}, domain: goods, feeds: graph, behaviours: {{buy: {{always: true}}}}}}
ranker:
  reward: click
  negatives: {{sampler: {sampler}, window: {window}, every: {every}, pool_size: 10}}
graph: {{regime: cross-domain, positive: [click], explicit: [click]}}
split: {{by: time, train_until: 2020-01-02, valid_until: 2020-01-03}}
"""


def plan_of(sampler="popularity", window="1m", every="10s") -> PoolPlan:
    return PoolPlan.from_description(
        parse_description(DESCRIPTION.format(sampler=sampler, window=window, every=every), "test")
    )


def random_events(seed: int, n: int = 2000) -> EventBlock:
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 40, n) | (rng.integers(0, 2, n) << 59)
    time = np.where(rng.random(n) < 0.5, rng.integers(0, 200_000, n), rng.integers(600_000, 700_000, n))
    zeros = np.zeros(n)
    return EventBlock(
        user=rng.integers(0, 100, n), item=item, time=time, behaviours=zeros.astype(np.uint32) + 1,
        role=np.full(n, RANKER_ROW | GRAPH_ROW), stay=zeros.astype(np.float32), content_duration=zeros.astype(np.float32),
        session=zeros.astype(np.int64),
    ).sorted()  # fmt: skip


def pools_of(plan: PoolPlan, blocks: list[EventBlock]) -> PoolTable:
    slots: dict[tuple[int, int], list[Sketch]] = {}
    for block in blocks:
        for key, sketch in plan.sketches(block, block.item >> 59):
            slots.setdefault(key, []).append(Sketch.from_bytes(sketch.to_bytes()))
    return plan.pools({key: plan.merge(sketches) for key, sketches in slots.items()})


def pool(table: PoolTable, bucket: int) -> list[int]:
    start, end = table.ranges(np.array([bucket * table.every]))
    return table.items[start[0] : end[0]].tolist()


@pytest.mark.parametrize("window", ["10s", "1m", "65s", "all"])
@pytest.mark.parametrize("sampler", ["popularity", "uniform"])
def test_against_the_definition(sampler, window):
    plan, events = plan_of(sampler, window), random_events(0)
    events = events.take(events.item >> 59 == 0)
    table = pools_of(plan, [events])
    slot = events.time // plan.every
    assert table.buckets.tolist() == np.unique(slot).tolist()
    for bucket in table.buckets.tolist():
        kept = (slot < bucket) & (slot >= bucket - plan.window_slots)
        item = events.item[kept]
        if sampler == "popularity":
            ordinal = occurrences(events.user, events.time, events.item)[kept]
            hashes = hash_keys(plan.seed, events.user[kept], item, events.time[kept], ordinal)
        else:
            item = np.unique(item)
            hashes = (
                hash_keys(plan.seed, item, plan.era_of(bucket)) if plan.eras else hash_keys(plan.seed, item)
            )
        assert pool(table, bucket) == item[np.argsort(hashes)][: plan.size].tolist()


@pytest.mark.parametrize("sampler", ["popularity", "uniform"])
def test_partitions_do_not_matter(sampler):
    plan, events = plan_of(sampler), random_events(1)
    parts = [events.take(events.user % 7 == part) for part in range(7)]
    one, many = pools_of(plan, [events]), pools_of(plan, parts[::-1])
    for field in dataclasses.fields(PoolTable):
        assert np.array_equal(getattr(one, field.name), getattr(many, field.name))


def test_only_domains_of_the_ranker_make_negatives():
    plan = plan_of()
    assert plan.domains == (0,)
    assert (pools_of(plan, [random_events(2)]).items >> 59 == 0).all()


def test_pools_never_hold_what_happens_at_or_after_the_bucket():
    plan, events = plan_of(), random_events(3)
    cut = 10 * plan.every
    later = events.take(events.time >= cut)
    shuffled = dataclasses.replace(later, item=np.sort(later.item))
    changed = EventBlock.concatenate([events.take(events.time < cut), shuffled]).sorted()
    for bucket in range(11):
        assert pool(pools_of(plan, [events]), bucket) == pool(pools_of(plan, [changed]), bucket)


def test_uniform_pools_change_their_items_over_time():
    plan, events = plan_of("uniform", "1m"), random_events(4)
    table = pools_of(plan, [events])
    seen = {tuple(pool(table, bucket)) for bucket in table.buckets.tolist() if len(pool(table, bucket)) == 10}
    assert len(set(itertools.chain.from_iterable(seen))) > 30  # of 40; a fixed hash would show about 10


def test_the_table_survives_packing():
    table = pools_of(plan_of(), [random_events(5)])
    again = PoolTable.from_bytes(table.to_bytes())
    assert again.every == table.every
    assert np.array_equal(again.items, table.items)
    empty = pools_of(plan_of(), [])
    assert empty.ranges(np.array([5]))[1].tolist() == [0]


def test_a_pool_renewed_never_is_refused():
    with pytest.raises(E2EGRecError, match="every"):
        plan_of(every="all")
