"""Rankings with and without the graph, against the evaluation's predictions."""

import json
import shlex

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving.client import RankingClient
from serving.server_command import start_server
from tests.cli.job import succeed
from tf_e2egrec.explorer.serving_request import predict_command, rank_request


@pytest.fixture(scope="module")
def user(rankings):
    return rankings.most_shown(1)[0][0]


def predictions(run, model):
    return pq.read_table(run.evaluation / f"predictions-{model}-seed-0.parquet").to_pandas()


def test_scores_are_those_of_the_evaluation(run, rankings, user):
    shown = rankings.of(user)
    for heading, model in (("R5", "R5"), ("R0, without a graph", "R0")):
        expected = predictions(run, model)
        expected = expected[expected.user == user].tail(60)
        assert shown.item.tolist() == expected.item.tolist()
        assert shown.reward.tolist() == expected.reward.tolist()
        np.testing.assert_allclose(shown.scores[heading], expected.predicted_reward, atol=1e-5)


def test_neighbours_matter_where_there_are_some(rankings, user):
    shown = rankings.of(user)
    moved = np.abs(shown.scores["R5"] - shown.scores["R5, neighbours taken away"])
    assert moved.max() > 1e-5


def test_gates_are_shares_and_there_is_no_attention_by_default(rankings, user):
    shown = rankings.of(user)
    assert len(shown.gate) == 3
    assert all(0 < openness < 1 for openness in shown.gate)
    assert shown.attention == []


def test_a_user_without_test_impressions(rankings):
    assert rankings.of(-7) is None


def test_the_request_is_one_that_serving_answers(run, explored, rankings, user):
    shown = rankings.of(user)
    request = rank_request(explored, user, shown)
    inputs = {name: np.array(values) for name, values in request["inputs"].items()}
    inputs = {
        name: values.astype(np.int32) if name.startswith("num_") else values
        for name, values in inputs.items()
    }
    inputs["position"] = inputs["position"].astype(np.float32)
    with start_server(run.exports / "R5", "R5", port=0, kind="development") as server:
        with RankingClient(server.target, "R5") as client:
            assert client.predict(inputs, "rank")["score"].shape == (
                1,
                len(request["inputs"]["candidates"][0]),
            )
        words = predict_command(request, "R5").replace("e2egrec ", "", 1)
        done = succeed(*shlex.split(words), "--target", server.target, "--json")
    assert sorted(json.loads(done.out)["item_ids"]) == sorted(request["inputs"]["candidates"][0])
