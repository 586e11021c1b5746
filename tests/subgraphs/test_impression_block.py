import dataclasses

import numpy as np

from tf_e2egrec.subgraphs.impression_block import ImpressionBlock


def random_block(seed: int, n: int = 30, histories: int = 12) -> ImpressionBlock:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, histories)
    ints = {name: rng.integers(0, 1 << 60, n) for name in ("user", "item", "time", "impression_id")}
    floats = {name: rng.random(n, dtype=np.float32) for name in ("reward", "stay", "content_duration")}
    return ImpressionBlock(
        **ints,
        **floats,
        history=rng.integers(0, histories, n),
        history_indptr=np.r_[0, np.cumsum(counts)].astype(np.int64),
        recent=rng.integers(0, 1 << 60, counts.sum()),
        age=rng.random(counts.sum(), dtype=np.float32),
        context={"device": rng.integers(0, 5, n), "price": rng.random(n, dtype=np.float32)},
    )


def plain(block: ImpressionBlock) -> list[tuple]:
    rows = []
    for i in range(len(block)):
        history = slice(*block.history_indptr[block.history[i] : block.history[i] + 2])
        own = (
            block.user[i],
            block.item[i],
            block.time[i],
            block.impression_id[i],
            block.reward[i],
            block.stay[i],
        )
        context = tuple(values[i] for _, values in sorted(block.context.items()))
        rows.append(
            (
                *own,
                block.content_duration[i],
                *context,
                tuple(block.recent[history]),
                tuple(block.age[history]),
            )
        )
    return rows


def test_take_keeps_rows_and_drops_unused_histories():
    block = random_block(0)
    taken = block.take(np.array([7, 3, 3, 29]))
    assert plain(taken) == [plain(block)[i] for i in (7, 3, 3, 29)]
    assert len(taken.history_indptr) - 1 == len(set(block.history[[7, 3, 29]]))
    assert plain(block.take(block.reward > 0.5)) == [row for row in plain(block) if row[4] > 0.5]
    assert len(block.take(np.zeros(0, int))) == 0


def test_concatenate_and_pack():
    blocks = [random_block(1), random_block(2, n=1, histories=1), random_block(3).take(np.zeros(0, int))]
    whole = ImpressionBlock.concatenate(blocks)
    assert plain(whole) == [row for block in blocks for row in plain(block)]
    again = ImpressionBlock.from_bytes(whole.to_bytes())
    assert plain(again) == plain(whole)
    for field in dataclasses.fields(ImpressionBlock):
        if field.name != "context":
            assert getattr(again, field.name).dtype == getattr(whole, field.name).dtype
