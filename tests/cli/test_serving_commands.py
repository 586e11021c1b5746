"""Odd requests to a served export (docs/serving.md), and what `serve` and `predict` say to mistakes."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving.client.ranking_client import RankingClient
from serving.server_command import start_server
from tests.cli.job import e2egrec, refuse, succeed
from tests.cli.logs import edges_of
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError

NOW = 1_768_000_000_000


@pytest.fixture(scope="module")
def server(job):
    with start_server(job[0] / "export/R5", "R5", port=0, kind="development") as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    with RankingClient(server.target, "R5", timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def videos(data):
    return pq.read_table(data.parent / "videos.parquet")["video_id"].to_pylist()


def predict(server, *options):
    return json.loads(succeed("predict", "--target", server.target, "--json", *options).out)


def request(users, candidates, counts):
    """Inputs of `rank` as they go over the wire, without the client's checks."""
    candidates = np.asarray(candidates, np.int64)
    rows = len(users)
    return {
        "user_id": np.asarray(users, np.int64),
        "time": np.full(rows, NOW, np.int64),
        "recent": np.full((rows, 1), candidates[0, -1], np.int64),
        "num_recent": np.ones(rows, np.int32),
        "candidates": candidates,
        "num_candidates": np.asarray(counts, np.int32),
        "position": np.ones(rows, np.float32),
    }


def test_predict_prints_a_table_or_json(server, videos):
    options = (
        "--user",
        17,
        "--candidates",
        ",".join(map(str, videos[:3])),
        "--recent",
        f"{videos[5]}, {videos[6]}",
    )
    answer = predict(server, *options)
    assert sorted(answer["item_ids"]) == sorted(videos[:3])
    assert answer["version"] == 1
    table = succeed("predict", "--target", server.target, *options).out
    assert "ranking for user 17 (model version 1)" in table
    assert max(map(len, table.splitlines())) <= 80


def test_odd_ids_are_answered(job, server, videos):
    items = NodeTable.read_parquet(job[0] / "subgraphs/nodes/item.parquet")
    linked = {edge[2] for edge in edges_of(job[0])}
    lonely = next(int(key) for key in items.key if int(key) not in linked)
    known = {"--user": 17, "--candidates": f"{videos[0]},{videos[1]}"}
    plain = predict(server, *sum(known.items(), ()))
    for change in (
        {"--user": 999_999_999},
        {"--user": -1},
        {"--candidates": "123456789012,7"},
        {"--candidates": f"{lonely},{videos[1]}"},
        {"--recent": f"{videos[0]},{videos[0]},987654321"},
        {"--candidates": f"{videos[0]},{videos[0]}"},
    ):
        answer = predict(server, *sum((known | change).items(), ()))
        assert len(answer["score"]) == 2
        assert all(np.isfinite(answer[name]).all() for name in ("reward", "stay_seconds", "score"))
    # A recent item that is the candidate is dropped.
    odd = predict(server, "--user", 17, "--candidates", videos[0], "--recent", f"{videos[0]},{videos[0]}")
    assert odd["reward"][0] == pytest.approx(plain["reward"][plain["item_ids"].index(videos[0])], abs=1e-5)


def test_a_missing_time_or_context_is_answered(server, videos):
    answer = predict(
        server, "--user", 17, "--candidates", videos[0], "--context", '{"time": -1, "position": null}'
    )
    assert 0 < answer["reward"][0] < 1


def test_an_empty_candidate_list_leaves_its_batch_alone(client, videos):
    good = client.predict(request([17], [videos[:2]], [2]))
    batch = client.predict(request([17, 18, 17], [videos[:2]] * 3, [2, 0, 2]))
    for name in ("reward", "stay_seconds", "score"):
        np.testing.assert_allclose(batch[name][[0, 2]], np.repeat(good[name], 2, 0), rtol=1e-5)
        np.testing.assert_array_equal(batch[name][1], 0)


def test_bad_requests_do_not_take_good_ones_down(client, videos):
    expected = client.predict(request([17], [videos[:2]], [2]))["score"]
    bad = {
        "wrong type": request([17], [videos[:2]], [2]) | {"user_id": np.array([b"17"])},
        "missing input": {"user_id": np.array([17])},
        "wrong shape": request([17], [videos[:2]], [2]) | {"candidates": np.array(videos[:2])},
        "no candidates at all": request([17], [videos[:2]], [0]) | {"candidates": np.zeros((1, 0), np.int64)},
    }
    refused = []
    stop = threading.Event()

    def misbehave():
        while not stop.is_set():
            for inputs in bad.values():
                try:
                    client.predict(inputs)
                except E2EGRecError as error:
                    refused.append(str(error))

    with ThreadPoolExecutor(5) as pool:
        nuisance = pool.submit(misbehave)
        try:
            answers = list(pool.map(lambda _: client.predict(request([17], [videos[:2]], [2])), range(40)))
        finally:
            stop.set()
        nuisance.result()
    for answer in answers:
        np.testing.assert_allclose(answer["score"], expected, rtol=1e-5)
    assert refused
    assert all("INVALID_ARGUMENT" in sentence for sentence in refused)


CANDIDATE = "1000001"
MISTAKES_OF_PREDICT = [
    ((), ("--candidates", ""), ("nothing to rank", "at least one candidate")),
    ((), ("--candidates", " , "), ("nothing to rank",)),
    ((), ("--candidates", "seven"), ("candidates: the model takes int64, got 'seven'",)),
    (("{position: 1}",), (), ("--context is not JSON", 'write it like {"position": 1}')),
    (("[1]",), (), ("--context must be a JSON object", r"Received: \[1\]")),
    (('{"positon": 1}',), (), ("no context feature positon", "it has position, time")),
    (('{"position": "first"}',), (), ("position: the model takes float32, got 'first'",)),
    ((), ("--name", "R7"), ("does not serve this model", "model R7")),
]


@pytest.mark.parametrize(("context", "options", "says"), MISTAKES_OF_PREDICT)
def test_mistakes_of_predict(server, context, options, says):
    arguments = {"--target": server.target, "--user": 17, "--candidates": CANDIDATE}
    arguments |= dict([options]) if options else {}
    arguments |= {"--context": context[0]} if context else {}
    refuse("predict", *sum(arguments.items(), ()), says=says)


def test_predict_without_a_server(videos):
    with socket.socket() as taken:  # a port on which nobody listens
        taken.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        says = (f"server {target} cannot be reached", "start it, or correct the address")
        refuse("predict", "--target", target, "--user", 17, "--candidates", videos[0], says=says)


def test_mistakes_of_serve(job, server, tmp_path):
    refuse("serve", tmp_path, says=(f"{tmp_path}: holds no version", "export a model there first"))
    refuse("serve", tmp_path / "nowhere", says=(f"{tmp_path}/nowhere", "export a model there first"))
    refuse(
        "serve", job[0] / "export/R5", "--kind", "fast", says=("fast", "tensorflow_serving", "development")
    )
    port = server.target.rpartition(":")[2]
    says = (f"cannot listen on {server.target}", "choose another")
    refuse("serve", job[0] / "export/R5", "--port", port, "--kind", "development", says=says)
    (tmp_path / "1").mkdir()
    done = e2egrec("serve", tmp_path, "--kind", "development", "--port", 0)
    assert done.code == 2
    assert re.search(r"^error: version 1 of model .* failed to load .* SavedModel", done.err, re.MULTILINE)


def test_serve_until_it_is_stopped(job, videos):
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_e2egrec.cli.main", "serve", str(job[0] / "export/R5"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Jobs in the background of a script start with SIGINT ignored, and so do their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        target = next(line for line in lines if " answers at " in line).split(" answers at ")[1].split(";")[0]
        answer = json.loads(
            succeed("predict", "--target", target, "--user", 17, "--candidates", videos[0], "--json").out
        )
        assert len(answer["score"]) == 1
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (0, "stopped\n", "")
