import numpy as np
import pytest

from tf_e2egrec.graph.occurrence import occurrences
from tf_e2egrec.graph.recent_items import recent_items


def by_definition(user, time, item, explicit, row, limit):
    latest: dict[int, int] = {}
    for other in range(len(user)):
        if (
            user[other] == user[row]
            and time[other] < time[row]
            and explicit[other]
            and item[other] != item[row]
        ):
            latest[item[other]] = max(latest.get(item[other], time[other]), time[other])
    newest_first = sorted(latest.items(), key=lambda pair: (-pair[1], -pair[0]))[:limit]
    return [key for key, _ in newest_first], [time[row] - when for _, when in newest_first]


@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize("seed", range(4))
def test_against_the_definition(limit, seed):
    rng = np.random.default_rng(seed)
    n = 300
    user, time, item = rng.integers(0, 6, n), rng.integers(0, 40, n), rng.integers(0, 12, n)
    order = np.lexsort([item, time, user])
    user, time, item = user[order], time[order], item[order]
    explicit, wanted = rng.random(n) < 0.6, rng.random(n) < 0.5
    indptr, items, ages = recent_items(user, time, item, explicit, wanted, limit)
    for i, row in enumerate(np.flatnonzero(wanted)):
        expected_items, expected_ages = by_definition(user, time, item, explicit, row, limit)
        assert items[indptr[i] : indptr[i + 1]].tolist() == expected_items
        assert ages[indptr[i] : indptr[i + 1]].tolist() == expected_ages
    assert (ages > 0).all()


def test_no_rows():
    none = np.zeros(0, np.int64)
    indptr, items, _ = recent_items(none, none, none, none.astype(bool), none.astype(bool), 3)
    assert indptr.tolist() == [0]
    assert len(items) == 0


def test_occurrences_count_equal_rows():
    user, time, item = (np.array(x) for x in ([1, 1, 1, 1, 2], [5, 5, 5, 6, 6], [9, 9, 9, 9, 9]))
    assert occurrences(user, time, item).tolist() == [0, 1, 2, 0, 0]
    assert occurrences(user[:0], time[:0], item[:0]).tolist() == []
