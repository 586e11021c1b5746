import dataclasses

import numpy as np
import pytest

from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.impression_block import ImpressionBlock
from tf_e2egrec.subgraphs.record_digest import MODULUS, RecordDigest

PLAN = SnapshotPlan(origin=0, refresh=10, window=100)
WINDOWS = {2: "00000000000000aa", 3: "ffffffffffffffff"}


def a_block():
    n = 5
    return ImpressionBlock(
        user=np.arange(n),
        item=np.arange(n) + 10,
        time=np.array([3, 21, 25, 33, 47]),
        impression_id=np.arange(n) + 100,
        reward=np.array([0, 1, 0, 0, 1], np.float32),
        stay=np.array([np.nan, 1, 2, np.nan, 3], np.float32),
        content_duration=np.full(n, np.nan, np.float32),
        history=np.array([0, 1, 1, 2, 3]),
        history_indptr=np.array([0, 2, 2, 5, 6]),
        recent=np.array([7, 8, 7, 8, 9, 7]),
        age=np.array([1, 2, 1, 2, 3, 1], np.float32),
        context={"device": np.arange(n), "price": np.linspace(0, 1, n).astype(np.float32)},
    )


def test_parts_add_up_in_any_order():
    digest, block = RecordDigest.from_windows(PLAN, WINDOWS), a_block()
    whole = digest.of(block)
    assert 0 <= whole < MODULUS
    for rows in ([4, 2, 0, 1, 3], [1, 0, 2, 3, 4]):
        parts = [digest.of(block.take(np.array(part, np.int64))) for part in (rows[:2], rows[2:], [])]
        assert sum(parts) % MODULUS == whole


@pytest.mark.parametrize(
    "name", [f.name for f in dataclasses.fields(ImpressionBlock) if f.name[:7] not in ("history", "context")]
)
def test_every_value_counts(name):
    digest, block = RecordDigest.from_windows(PLAN, WINDOWS), a_block()
    values = getattr(block, name).copy()
    values[1] += 1
    if np.isnan(values[1]):
        values[1] = 4
    assert digest.of(dataclasses.replace(block, **{name: values})) != digest.of(block)


def test_context_order_of_histories_and_windows_count():
    digest, block = RecordDigest.from_windows(PLAN, WINDOWS), a_block()
    others = [
        dataclasses.replace(block, context=block.context | {"device": block.context["device"][::-1].copy()}),
        dataclasses.replace(block, recent=np.array([8, 7, 7, 8, 9, 7])),
        dataclasses.replace(block, history=np.array([0, 1, 1, 3, 3])),
    ]
    assert len({digest.of(one) for one in (block, *others)}) == 4
    for windows in ({}, {2: WINDOWS[2]}, WINDOWS | {3: "00000000000000bb"}):
        assert RecordDigest.from_windows(PLAN, windows).of(block) != digest.of(block)
    unused = RecordDigest.from_windows(PLAN, WINDOWS | {7: "0000000000000001"})
    assert unused.of(block) == digest.of(block)
