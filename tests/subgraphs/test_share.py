"""Shares of a batch: together they are the batch, whatever its size."""

import types

from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.subgraphs.share import Share


@given(st.integers(1, 9), st.integers(0, 100))
def test_the_parts_of_all_pipelines_are_the_batch(replicas, rows):
    parts = [Share(first, 1, replicas).bounds(0, rows) for first in range(replicas)]
    together = [Share(0, replicas, replicas).bounds(part, rows) for part in range(replicas)]
    assert parts == together
    assert [row for part in parts for row in range(*part)] == list(range(rows))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1
    assert rows < replicas or min(sizes) > 0


@given(st.integers(1, 1000), st.integers(1, 50), st.integers(1, 9))
def test_no_batch_has_fewer_rows_than_there_are_replicas(rows, size, replicas):
    count = Share(of=replicas).batches(rows, size)
    last = min(size, rows - (count - 1) * size)
    assert count == 0 or size < replicas or last >= replicas
    assert rows - count * size < max(replicas, 1)


def test_a_pipeline_feeds_its_own_replicas():
    context = types.SimpleNamespace(num_replicas_in_sync=6, num_input_pipelines=3, input_pipeline_id=1)
    assert Share.of_pipeline(context) == Share(first=2, count=2, of=6)
