"""What becomes of the requests of a policy simulation: their outcomes reach nothing but their own labels."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml

from beam_pipelines.subgraphs import run_subgraphs
from beam_pipelines.swing import run_swing
from tf_e2egrec.dataset.description import load_description
from tf_e2egrec.synthetic.short_video import ShortVideoConfig, write_short_video

CONFIG = ShortVideoConfig(users=150, videos=120, days=5, impressions=4_000, request_candidates=6)
LAST = CONFIG.days - 1
LABELS = ("nodes/_readout.reward", "nodes/_readout.stay")


def pipelines(dataset, out):
    description = load_description(dataset)
    graph = run_swing(description, out / "graph")
    run_subgraphs(description, out / "graph", out / "subgraphs")
    return out, graph


def with_other_outcomes(dataset, day, folder):
    """A copy of the data in which whoever clicked on a day did not, and the others did."""
    shutil.copytree(dataset.parent, folder)
    path = folder / "interactions" / f"day-{day:02d}.parquet"
    table = pq.read_table(path)
    for name, values in {
        "is_click": 1 - table["is_click"].to_numpy(),
        "is_like": 1 - table["is_like"].to_numpy(),
        "stay_s": table["stay_s"].to_numpy() + 7,
    }.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values))
    pq.write_table(table, path)
    return folder / "dataset.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Artefacts of one data set, and of what other outcomes of the requests, or of the day before, would have made of it."""
    root = tmp_path_factory.mktemp("requests")
    dataset = write_short_video(CONFIG, root / "data")
    content = yaml.safe_load(dataset.read_text())
    content["ranker"]["derived"] += ["reward_rate", "recent_reward_rate"]
    dataset.write_text(yaml.safe_dump(content))
    return {
        "true": pipelines(dataset, root / "true"),
        "requests": pipelines(with_other_outcomes(dataset, LAST, root / "data-1"), root / "requests"),
        "day before": pipelines(with_other_outcomes(dataset, LAST - 1, root / "data-2"), root / "day-before"),
    }


def records(run, split, without=()):
    """The examples of a split in the order of their files, some features taken away."""
    found = []
    for path in sorted((run / "subgraphs" / split).glob("*.tfrecord")):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            example = tf.train.Example.FromString(serialized)
            for name in without:
                assert name in example.features.feature
                del example.features.feature[name]
            found.append(example)
    return found


def served_edges(run, graph):
    """Edges by snapshot, of those that serve somebody: the one after the last day serves nobody."""
    end = CONFIG.start_ms + CONFIG.days * 86_400_000
    found = {}
    for name, snapshot in graph.details["snapshots"].items():
        if snapshot["valid_from"] < end:
            paths = sorted((run / "graph/edges" / f"snapshot={name}").glob("*.parquet"))
            found[name] = pa.concat_tables(pq.read_table(path) for path in paths) if paths else None
    return found


def test_other_outcomes_of_requests_change_their_labels_alone(made):
    (true, graph), (other, other_graph) = made["true"], made["requests"]
    edges = served_edges(true, graph)
    assert sum(len(table) for table in edges.values() if table is not None) > 100
    assert edges == served_edges(other, other_graph)
    for split in ("train", "valid"):
        assert len(records(true, split)) > 100
        assert records(true, split) == records(other, split)
    tests, others = records(true, "test", LABELS), records(other, "test", LABELS)
    assert len(tests) > 100
    assert tests == others
    for name in ("item", "user"):
        nodes = [pq.read_table(run / f"subgraphs/nodes/{name}.parquet") for run in (true, other)]
        assert nodes[0].equals(nodes[1])


def test_other_outcomes_of_the_day_before_change_the_requests_histories(made):
    """So the test above would see a leak."""
    (true, graph), (other, other_graph) = made["true"], made["day before"]
    assert served_edges(true, graph) != served_edges(other, other_graph)
    assert records(true, "test", LABELS) != records(other, "test", LABELS)


def test_requests_are_the_test_split_and_nothing_else(made):
    run, _ = made["true"]
    requests = pq.read_table(run.parent / "data" / f"interactions/day-{LAST:02d}.parquet")
    first = requests["time_ms"].to_numpy().min()
    columns = {
        "user": "nodes/_readout.user_id",
        "item": "nodes/_readout.item_id",
        "time": "nodes/_readout.time",
    }
    found = [
        tuple(int(one.features.feature[name].int64_list.value[0]) for name in columns.values())
        for one in records(run, "test")
    ]
    names = ("user_id", "video_id", "time_ms")
    assert sorted(found) == sorted(zip(*(requests[name].to_pylist() for name in names), strict=True))
    for split in ("train", "valid"):
        times = [one.features.feature[columns["time"]].int64_list.value[0] for one in records(run, split)]
        assert max(times) < first


def test_candidates_of_a_request_share_history_and_reward_rates(made):
    """No candidate is in another's past; candidates are new to the user, so that all recent items stay."""
    by_user = {}
    for one in records(made["true"][0], "test"):
        feature = one.features.feature
        shared = tuple(
            np.asarray(feature[f"nodes/_readout.{name}"].float_list.value).item()
            for name in ("reward_rate", "recent_reward_rate", "recent_count", "position")
        )
        ages = tuple(feature["edges/recent.age"].float_list.value)
        by_user.setdefault(feature["nodes/_readout.user_id"].int64_list.value[0], []).append((shared, ages))
    assert {len(rows) for rows in by_user.values()} == {CONFIG.request_candidates}
    assert all(len(set(rows)) == 1 for rows in by_user.values())
    assert len({rows[0][0] for rows in by_user.values()}) > 10
    assert min(age for rows in by_user.values() for _, ages in rows for age in ages) > 0
