import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from beam_pipelines.refresh import run_refresh
from beam_pipelines.swing import run_swing, swing_fingerprint
from tf_e2egrec.dataset.description.load import load_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable

DAY = 86_400_000
FIRST = 20_000  # the day 2024-10-04
CONTENT = {
    "name": "toy",
    "interactions": {
        "paths": "log.parquet",
        "user": "user",
        "item": "item",
        "time": {"column": "time", "unit": "ms"},
        "behaviours": {"view": {"always": True}, "like": {"column": "like"}},
    },
    "ranker": {"reward": "like"},
    "graph": {
        "positive": ["view"],
        "explicit": ["view"],
        "snapshots": {"refresh": "1d", "window": "2d"},
        "swing": {"top": 6, "min_behaviours": 2, "normalise": True},
    },
    "split": {"by": "time", "train_until": "2024-10-06", "valid_until": "2024-10-07"},
}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """edges -> the description of one small log with that kind of edges."""
    import pyarrow as pa

    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    log = {
        "user": random.integers(0, 30, 500),
        "item": np.minimum(random.geometric(0.06, 500), 40),
        "time": FIRST * DAY + random.integers(0, 3 * DAY, 500),
        "like": random.random(500) < 0.3,
    }
    pq.write_table(pa.table(log), folder / "log.parquet")
    made = {}
    for edges in ("swing", "co-occurrence", "random", "two-hop"):
        content = CONTENT | {"graph": CONTENT["graph"] | {"edges": edges}}
        (folder / f"{edges}.yaml").write_text(yaml.safe_dump(content))
        made[edges] = load_description(folder / f"{edges}.yaml")
    return made, log


@pytest.fixture(scope="module")
def graphs(described, tmp_path_factory):
    root = tmp_path_factory.mktemp("graphs")
    return root, {
        edges: run_swing(one, root / edges, ["--swing_shards=3"]) for edges, one in described[0].items()
    }


def tables(graphs, kind):
    root, manifests = graphs
    return {int(s): NeighbourTable.load(root / kind, int(s)) for s in manifests[kind].details["snapshots"]}


def test_the_random_graph_has_the_degrees_of_the_swing_graph_in_every_snapshot(graphs):
    swing, random = tables(graphs, "swing"), tables(graphs, "random")
    assert swing.keys() == random.keys()
    assert len(swing) == 3
    for snapshot, table in swing.items():
        other = random[snapshot]
        for name in ("items", "indptr", "weights"):
            np.testing.assert_array_equal(getattr(other, name), getattr(table, name))
        np.testing.assert_array_equal(np.sort(other.neighbours), np.sort(table.neighbours))
        assert (other.neighbours != table.neighbours).mean() > 0.3
    counters, details = graphs[1]["random"].counters, graphs[1]["random"].details
    assert 0 < counters["edges_in_common"] < counters["edges"] == graphs[1]["swing"].counters["edges"]
    assert details["snapshots"] == graphs[1]["swing"].details["snapshots"]  # and their newest events


def test_co_occurrence_counts_the_common_users_of_the_window(graphs, described):
    log = described[1]
    for snapshot, table in tables(graphs, "co-occurrence").items():
        inside = (log["time"] >= (snapshot - 2) * DAY) & (log["time"] < snapshot * DAY)
        rows = np.zeros((30, 41))
        rows[log["user"][inside], log["item"][inside]] = 1
        rows[rows.sum(axis=1) < 2] = 0
        common = rows.T @ rows
        target = np.repeat(table.items, np.diff(table.indptr))
        np.testing.assert_array_equal(table.weights, common[target, table.neighbours])
        best = [np.sort(np.delete(common[item], item))[::-1][:6] for item in table.items]
        np.testing.assert_array_equal(table.weights, np.concatenate([b[b > 1] for b in best]))
    root = graphs[0] / "co-occurrence" / "edges"
    for file in root.glob("*/*.parquet"):
        edges = pq.ParquetFile(file).read().to_pandas()
        largest = edges.groupby("target").weight.transform("max")
        np.testing.assert_allclose(edges.normalised, edges.weight / largest, rtol=1e-6)


def test_the_two_hop_graph_combines_the_edges_of_each_snapshot(graphs):
    swing, two_hop = tables(graphs, "swing"), tables(graphs, "two-hop")
    assert swing.keys() == two_hop.keys()
    indirect = 0
    for snapshot, table in swing.items():
        p = np.zeros((41, 41))
        p[np.repeat(table.items, np.diff(table.indptr)), table.neighbours] = table.weights
        total = p.sum(axis=1)
        p[total > 0] /= total[total > 0, None]
        expected = (p + p @ p + p * (total == 0)) / 2  # an item without neighbours keeps its own state
        np.fill_diagonal(expected, 0)
        other = two_hop[snapshot]
        np.testing.assert_array_equal(other.items, table.items)
        target = np.repeat(other.items, np.diff(other.indptr))
        np.testing.assert_allclose(other.weights, expected[target, other.neighbours], rtol=1e-6)
        best = [-np.sort(-expected[item])[:6] for item in other.items]
        np.testing.assert_allclose(other.weights, np.concatenate([b[b > 0] for b in best]), rtol=1e-6)
        indirect += (p[target, other.neighbours] == 0).sum()
    assert indirect > 20
    of_swing, of_two_hop = (graphs[1][kind].details["snapshots"] for kind in ("swing", "two-hop"))
    for snapshot, record in of_swing.items():
        assert of_two_hop[snapshot] == record | {"edges": len(two_hop[int(snapshot)].weights)}


@pytest.mark.parametrize("kind", ["random", "co-occurrence", "two-hop"])
def test_shards_change_nothing(described, graphs, tmp_path, kind):
    run_swing(described[0][kind], tmp_path / "graph", ["--swing_shards=1"])
    for snapshot, table in tables(graphs, kind).items():
        again = NeighbourTable.load(tmp_path / "graph", snapshot)
        for name in ("items", "indptr", "neighbours", "weights"):
            np.testing.assert_array_equal(getattr(again, name), getattr(table, name))


def test_each_graph_has_a_fingerprint_of_its_own(described):
    assert len({swing_fingerprint(one) for one in described[0].values()}) == 4


def test_refresh_refuses_a_control(described, graphs):
    with pytest.raises(E2EGRecError, match=r"`graph.edges` is `random`, a control, .* run `e2egrec swing`"):
        run_refresh(described[0]["random"], graphs[0])
