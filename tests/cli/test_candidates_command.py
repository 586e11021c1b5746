"""From `e2egrec candidates` over a server to `e2egrec predict --retrieve`."""

import json
import re

import pytest

from serving.client.ranking_client import RankingClient
from serving.server_command import start_server
from tests.cli.job import refuse, succeed
from tf_e2egrec.dataset.node_table import NodeTable

TOP = 30


@pytest.fixture(scope="module")
def made(job, tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "R5-candidates"
    return base, succeed("candidates", job[0], "--to", base, "--top", TOP).out


@pytest.fixture(scope="module")
def finder(made):
    with start_server(made[0], "R5-candidates", port=0, kind="development") as server:
        yield server.target


@pytest.fixture(scope="module")
def ranker(job):
    with start_server(job[0] / "export/R5", "R5", port=0, kind="development") as server:
        yield server.target


@pytest.fixture(scope="module")
def keys(job):
    return NodeTable.read_parquet(job[0] / "subgraphs/nodes/item.parquet").key.tolist()


def test_it_prints_recall_beside_popularity(made):
    base, out = made
    assert re.search(rf"recall@{TOP} of \d+ positives of the validation split", out)
    for row in ("this search", "popular items", "chance"):
        assert re.search(rf"{row} +0\.\d{{4}}", out)
    assert f"wrote {base}/1; next: e2egrec serve {base}" in out
    assert sorted(path.name for path in base.iterdir()) == ["1"]
    assert (base / "1/assets.extra/tf_serving_warmup_requests").exists()
    assert (base / "1/batching_params.pbtxt").exists()


def test_predict_ranks_what_it_finds(finder, ranker, keys):
    arguments = ("--user", 17, "--recent", f"{keys[0]},{keys[1]}", "--target", ranker)
    done = succeed("predict", *arguments, "--retrieve", 10, "--candidates-target", finder, "--json")
    answer = json.loads(done.out)
    with RankingClient(finder, "R5-candidates") as client:
        found = client.retrieve([keys[0], keys[1]], 10)
    assert sorted(answer["item_ids"]) == sorted(found.item_ids.tolist())
    assert not set(answer["item_ids"]) & {keys[0], keys[1]}
    assert answer["score"] == sorted(answer["score"], reverse=True)
    assert answer["candidates_version"] == 1
    listed = ",".join(map(str, answer["item_ids"]))
    again = json.loads(succeed("predict", *arguments, "--candidates", listed, "--json").out)
    assert again["item_ids"] == answer["item_ids"]
    table = succeed("predict", *arguments, "--retrieve", 3, "--candidates-target", finder).out
    assert "ranking for user 17 (model version 1)" in table


def test_mistakes(finder, ranker, keys, job):
    arguments = ("--user", 17, "--target", ranker)
    refuse("predict", *arguments, "--retrieve", 3, "--candidates", keys[0], says=("leave one of them out",))
    refuse("predict", *arguments, "--retrieve", 3, says=("does not serve this model", "R5-candidates"))
    refuse("predict", *arguments, says=("nothing to rank",))
    says = ("recent: the model takes int64, got 'seven'",)
    refuse(
        "predict", *arguments, "--retrieve", 3, "--recent", "seven", "--candidates-target", finder, says=says
    )
    says = ("has no retrieve signature; it has embed, rank",)
    refuse("predict", *arguments, "--retrieve", 3, "--candidates-name", "R5", says=says)
    refuse("candidates", job[0], "--model", "R0", says=("sees no graph",))
    refuse("candidates", job[0], "--model", "R99", says=("R99",))
