import numpy as np
import pytest
import yaml

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.unigraph_plan import UnigraphPlan, shard_of_keys

FEATURES = [
    {"name": "author", "type": "categorical"},
    {"name": "tags", "type": "categorical", "multivalued": True, "max_values": 3},
    {"name": "content", "type": "dense", "dimension": 2},
]


def log(domain, behaviours, **other):
    return {
        "paths": f"{domain}.parquet",
        "domain": domain,
        "user": "user",
        "item": "item",
        "time": {"column": "time", "unit": "ms"},
        "behaviours": {name: {"column": name} for name in behaviours},
    } | other


def description(interactions=None, features=FEATURES, **graph):
    content = {
        "name": "toy",
        "interactions": interactions
        or [log("video", ["click", "like"]), log("goods", ["click", "buy"], feeds="graph")],
        "items": [{"paths": "v.parquet", "id": "item", "domain": "video", "features": features}],
        "ranker": {"reward": "click"},
        "graph": {"regime": "cross-domain", "positive": ["click"], "explicit": ["click", "like", "buy"]}
        | graph,
        "split": {"by": "time", "train_until": "2024-01-02", "valid_until": "2024-01-03"},
    }
    return parse_description(yaml.safe_dump(content), "toy.yaml")


def plan(*arguments, **graph):
    return UnigraphPlan.from_description(description(*arguments, **graph), 19724)


def test_sets_of_two_domains():
    node_sets = [{"name": "creator", "feature": "author"}, {"name": "tag", "feature": "tags"}]
    made = plan(node_sets=node_sets, explicit_half_life="7d", snapshots={"window": "30d"})
    assert [one.name for one in made.node_sets] == ["user", "video", "goods", "creator", "tag"]
    assert {
        one.name: (made.node_sets[one.source].name, made.node_sets[one.target].name) for one in made.edge_sets
    } == {
        "swing/video/video": ("video", "video"),
        "swing/video/goods": ("video", "goods"),
        "swing/goods/video": ("goods", "video"),
        "swing/goods/goods": ("goods", "goods"),
        "click/video": ("user", "video"),
        "click/goods": ("user", "goods"),
        "like/video": ("user", "video"),
        "buy/goods": ("user", "goods"),
        "video/creator": ("video", "creator"),
        "video/tag": ("video", "tag"),
    }
    day = 86_400_000
    assert (made.start, made.end, made.half_life) == ((19724 - 30) * day, 19724 * day, 7 * day)
    assert [made.edge_sets[side // 2].name for side in made.sides_of(3)] == ["video/creator"]
    assert made.node_sets[1].no_nodes().features["content"].shape == (0, 2)
    assert set(made.edge_sets[4].no_edges().features) == {"time", "weight"}


def test_a_log_that_feeds_only_the_ranker_makes_no_edges():
    made = plan([log("video", ["click", "like", "buy"]), log("goods", ["click"], feeds="ranker")])
    assert not any("goods" in one.name for one in made.edge_sets)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: plan([log("my video", ["click", "like", "buy"]), log("video", ["click"])]), "my video"),
        (lambda: plan([log("user", ["click", "like", "buy"]), log("video", ["click"])]), "`user`"),
        (lambda: plan(None, [{"name": "key", "type": "numeric"}]), "`key`"),
        (lambda: plan(explicit_half_life="soon"), "explicit_half_life"),
        (lambda: plan(node_sets=[{"name": "x", "feature": "content"}]), "`content`"),
        (lambda: plan(node_sets=[{"name": "x", "feature": "nothing"}]), "author, tags"),
        (lambda: plan(node_sets=[{"name": "goods", "feature": "tags"}]), "`goods` is taken"),
        (lambda: plan(node_sets=[{"name": "x", "feature": f} for f in ("tags", "author")]), "`x` is taken"),
    ],
)
def test_mistakes_are_one_sentence(make, words):
    with pytest.raises(E2EGRecError, match=words):
        make()


def test_shards_spread_keys():
    shards = shard_of_keys(np.arange(1000), 4)
    assert np.bincount(shards).min() > 200
