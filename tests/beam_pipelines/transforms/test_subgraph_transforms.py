"""The transforms of the subgraphs stage, one by one."""

import json

import apache_beam as beam
import numpy as np
from apache_beam.testing.util import assert_that, equal_to

from beam_pipelines.run import LOCAL_RUNNER
from beam_pipelines.transforms.log_statistics import LogStatistics
from beam_pipelines.transforms.negative_pools import NegativePools
from beam_pipelines.transforms.subgraph_records import SubgraphRecords
from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.graph.pool_plan import PoolPlan
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.impressions import impressions_of
from tf_e2egrec.subgraphs.node_statistics import NodeStatistics
from tf_e2egrec.subgraphs.record_digest import RecordDigest
from tf_e2egrec.subgraphs.subgraph_builder import SubgraphBuilder

START, HOUR = 1_577_836_800_000, 3_600_000  # 2020-01-01
DESCRIPTION = parse_description(
    """
name: tiny
interactions: {paths: log.csv, user: u, item: i, time: {column: t, unit: ms}, behaviours: {click: {always: true}}}
ranker: {reward: click, negatives: {window: 1d, every: 1h, pool_size: 10}}
graph: {positive: [click], explicit: [click]}
split: {by: time, train_until: 2020-01-02, valid_until: 2020-01-03}
""",
    "test",
)


def events(users: tuple[int, ...]) -> EventBlock:
    n = 3 * len(users)
    none = np.full(n, np.nan, np.float32)
    return EventBlock(
        user=np.repeat(users, 3).astype(np.int64), item=np.tile([7, 8, 9], len(users)),
        time=START + np.tile([0, 1, 30], len(users)) * HOUR, behaviours=np.ones(n, np.uint32),
        role=np.full(n, RANKER_ROW | GRAPH_ROW), stay=none, content_duration=none, session=np.full(n, -1),
    ).sorted()  # fmt: skip


def test_log_statistics_add_up_over_partitions():
    with beam.Pipeline(runner=LOCAL_RUNNER) as pipeline:
        found = (
            pipeline
            | beam.Create([(0, events((1, 2)).to_bytes()), (1, events((3,)).to_bytes())])
            | LogStatistics(DESCRIPTION)
            | beam.MapTuple(lambda name, packed: (name, NodeStatistics.from_bytes(packed)))
            | beam.MapTuple(
                lambda name, s: (name, s.key.tolist(), s.train_count.tolist(), int(s.first_seen[-1]))
            )
        )
        expected = [("item", [7, 8, 9], [3, 3, 0], START + 30 * HOUR), ("user", [1, 2, 3], [2, 2, 2], START)]
        assert_that(found, equal_to(expected))


def test_negative_pools_are_those_of_the_plan():
    plan = PoolPlan.from_description(DESCRIPTION)
    whole = events((1, 2, 3))
    expected = plan.pools(dict(plan.sketches(whole, np.zeros(len(whole), np.int64))))
    assert expected.items.tolist() == [
        7,
        7,
        7,
    ]  # hour 1 sees hour 0; nothing happened in the day before hour 30
    with beam.Pipeline(runner=LOCAL_RUNNER) as pipeline:
        found = (
            pipeline
            | beam.Create([(0, events((1, 2)).to_bytes()), (1, events((3,)).to_bytes())])
            | NegativePools(plan)
        )
        assert_that(found, equal_to([expected.to_bytes()]))


def test_record_files_are_complete_after_a_retry(tmp_path):
    block, _, _ = impressions_of(events((1, 2, 3)), DESCRIPTION, None, None)
    builder = SubgraphBuilder.from_description(DESCRIPTION, str(tmp_path / "graph"))
    digest = RecordDigest.from_windows(SnapshotPlan.from_description(DESCRIPTION), {})
    name = "train/impressions-000000018262-000.tfrecord"

    def write() -> bytes:
        with beam.Pipeline(runner=LOCAL_RUNNER) as pipeline:
            parts = [(name, block.take(np.arange(part, len(block), 2)).to_bytes()) for part in (1, 0)]
            entries = pipeline | beam.Create(parts) | SubgraphRecords(builder, str(tmp_path), digest)
            assert_that(entries | beam.Map(lambda entry: json.loads(entry)["records"]), equal_to([9]))
        return (tmp_path / name).read_bytes()

    assert write() == write()
    assert [path.name for path in (tmp_path / "train").iterdir()] == [name.split("/")[1]]
