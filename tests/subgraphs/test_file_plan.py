import itertools

import numpy as np

from tf_e2egrec.dataset.time_axis import MS_PER_DAY, RANK_SCALE
from tf_e2egrec.subgraphs.file_plan import FilePlan


def test_names_are_in_time_order_within_a_split():
    rng = np.random.default_rng(0)
    time = rng.integers(0, 5 * MS_PER_DAY, 1000)
    split = np.searchsorted([2 * MS_PER_DAY, 3 * MS_PER_DAY], time, side="right").astype(np.int8)
    plan = FilePlan(MS_PER_DAY, per_file=100)
    keys, counts = np.unique(np.stack([split, plan.buckets(time)]), axis=1, return_counts=True)
    by_bucket = {(int(s), int(b)): int(c) for (s, b), c in zip(keys.T, counts, strict=True)}
    index, names = plan.files(split, time, by_bucket)
    assert len(set(names)) == len(names)
    for code, name_of_split in enumerate(("train", "valid", "test")):
        own = sorted(name for name in names if name.startswith(f"{name_of_split}/"))
        ranges = [
            (time[index == names.index(name)].min(), time[index == names.index(name)].max()) for name in own
        ]
        assert all((split[index == names.index(name)] == code).all() for name in own)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(ranges))
    assert len(names) > 10  # days with about 200 impressions were cut
    assert np.bincount(index).max() < 150


def test_the_file_does_not_depend_on_the_other_rows():
    time = np.random.default_rng(1).integers(0, 2 * MS_PER_DAY, 500)
    split = np.zeros(500, np.int8)
    plan, counts = FilePlan(MS_PER_DAY, per_file=60), {(0, 0): 250, (0, 1): 250}
    index, names = plan.files(split, time, counts)
    some, some_names = plan.files(split[::3], time[::3], counts)
    assert [names[i] for i in index[::3]] == [some_names[i] for i in some]


def test_buckets_of_ranks_are_tenths():
    plan = FilePlan(RANK_SCALE // 10)
    assert plan.buckets(np.array([0, RANK_SCALE // 10, RANK_SCALE - 1])).tolist() == [0, 1, 9]
