"""The REST paths, on the development server and on TensorFlow Serving alike."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client.ranking_client import RankingClient
from serving.development_server.development_server import DevelopmentServer
from serving.running_server import RunningServer
from tests.serving.servers import MODEL, model_config, reload, wait_for
from tf_e2egrec.errors import E2EGRecError

ROOT = f"/v1/models/{MODEL}"
Ask = Callable[..., tuple[int, Any]]


def ask_at(target: str) -> Ask:
    def ask(method: str, path: str, content: Any = None, headers: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(target, timeout=30)
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        is_json = (response.getheader("Content-Type") or "").startswith("application/json")
        return response.status, json.loads(text) if is_json else text

    return ask


@pytest.fixture
def running(start: Callable[[], RunningServer], export: Any) -> RunningServer:
    export(1)
    return start()


@pytest.fixture
def ask(running: RunningServer) -> Ask:
    assert running.rest_target is not None
    return ask_at(running.rest_target)


def test_rows_columns_and_signatures(ask: Ask) -> None:
    path = f"{ROOT}:predict"
    one, two = {"y": 1.0, "factor": 1.0}, {"y": 2.5, "factor": 1.0}
    assert ask("POST", path, {"instances": [1.0, 2.5]}) == (200, {"predictions": [one, two]})
    assert ask("POST", path, {"instances": [{"x": 1}, {"x": 2.5}]}) == (200, {"predictions": [one, two]})
    columns = {"outputs": {"y": [1.0, 2.5], "factor": [1.0, 1.0]}}
    assert ask("POST", path, {"inputs": [1.0, 2.5]}) == (200, columns)
    assert ask("POST", path, {"inputs": {"x": [1.0, 2.5]}}) == (200, columns)
    # A signature with one output needs no names in the answer.
    rows = [{"name": "a", "keys": [1, 2]}, {"name": {"b64": "Yg=="}, "keys": [3, 4]}]
    body = {"signature_name": "describe", "instances": rows}
    for form in (path, f"{ROOT}/versions/1:predict"):
        assert ask("POST", form, body) == (200, {"predictions": ["a:3", "b:7"]})
    body = {"signature_name": "describe", "inputs": {"name": ["a", "b"], "keys": [[1, 2], [3, 4]]}}
    assert ask("POST", path, body) == (200, {"outputs": ["a:3", "b:7"]})


def test_rest_answers_as_grpc(running: RunningServer, ask: Ask) -> None:
    random = np.random.default_rng(0)
    inputs = {
        "user_id": random.integers(0, 9, 2), "recent": random.integers(0, 9, (2, 3)),
        "num_recent": np.array([3, 1], np.int32), "candidates": random.integers(-(2**63), 2**63, (2, 4)),
        "num_candidates": np.array([4, 4], np.int32), "hour": np.array([np.nan, 0.1], np.float32),
        "device": np.array(["é", '"']), "channel": random.integers(0, 9, 2),
    }  # fmt: skip
    plain = {name: array.tolist() for name, array in inputs.items()}
    status, answer = ask("POST", f"{ROOT}:predict", {"signature_name": "rank", "inputs": plain})
    assert status == 200
    with RankingClient(running.target, MODEL) as client:
        for name, values in client.predict(inputs).items():
            np.testing.assert_array_equal(np.array(answer["outputs"][name], np.float32), values)
    body = b'{"instances": [NaN, -Infinity, 1e3]}'
    rows = ask("POST", f"{ROOT}:predict", body)[1]["predictions"]
    np.testing.assert_array_equal([row["y"] for row in rows], [np.nan, -np.inf, 1000.0])


def test_status_and_metadata(ask: Ask) -> None:
    expected = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in (ROOT, f"{ROOT}/versions/1"):
        assert ask("GET", path) == (200, {"model_version_status": [expected]})
    for path in (f"{ROOT}/metadata", f"{ROOT}/versions/1/metadata"):
        status, content = ask("GET", path)
        assert (status, content["model_spec"]["version"]) == (200, "1")
        signature = content["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["method_name"] == "tensorflow/serving/predict"
        assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
        assert [dim["size"] for dim in signature["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1"]


ERRORS = [
    (400, ROOT, b"", ""),
    (400, ROOT, b"{", "JSON"),
    (400, ROOT, b"[" * 100_000, "JSON"),
    (400, ROOT, {}, ""),
    (400, ROOT, {"instances": [1.0], "inputs": [1.0]}, ""),
    (400, ROOT, {"instances": []}, ""),
    (400, ROOT, {"instances": 1.0}, ""),
    (400, ROOT, {"instances": [1.0], "signature_name": 3}, ""),
    (400, ROOT, {"instances": [1.0], "signature_name": "absent"}, '"absent" not found'),
    (400, ROOT, {"instances": [{"z": 1.0}]}, ""),
    (400, ROOT, {"inputs": {}}, ""),
    (400, ROOT, {"instances": ["a"]}, "float"),
    (400, ROOT, {"instances": [True]}, "float"),
    (400, ROOT, {"instances": [1.0, [2.0]]}, ""),
    (400, ROOT, {"instances": [13.0]}, "thirteen is unlucky"),
    (400, ROOT, {"signature_name": "describe", "inputs": {"name": ["a"], "keys": [[1.5]]}}, "int64"),
    (400, ROOT, {"signature_name": "describe", "inputs": {"name": [1], "keys": [[1]]}}, ""),
    (400, ROOT, {"signature_name": "describe", "inputs": {"name": ["a", "b"], "keys": [[1, 2], [3]]}}, ""),
    (400, ROOT, {"signature_name": "describe", "instances": ["a"]}, ""),
    (400, f"{ROOT}/labels/nightly", {"instances": [1.0]}, "nightly"),
    (404, f"{ROOT}/versions/9", {"instances": [1.0]}, "9"),
    (404, "/v1/models/stranger", {"instances": [1.0]}, "stranger"),
]


def test_errors_of_predict(ask: Ask) -> None:
    for status, path, content, text in ERRORS:
        answered, body = ask("POST", f"{path}:predict", content)
        assert (content, answered, list(body)) == (content, status, ["error"])
        assert text in body["error"]


def test_errors_of_other_paths(ask: Ask) -> None:
    for status, method, path in (
        (404, "GET", "/v1/models/stranger"),
        (404, "GET", "/v1/models/stranger/metadata"),
        (404, "GET", f"{ROOT}/versions/9"),
        (404, "GET", f"{ROOT}/versions/9/metadata"),
        (400, "GET", "/v1/models"),
        (400, "GET", f"{ROOT}:predict"),
        (400, "POST", ROOT),
        (400, "POST", f"{ROOT}:rank"),
        (400, "GET", f"{ROOT}/labels/nightly/metadata"),
        (400, "GET", f"{ROOT}/versions/99999999999999999999"),
        (404, "GET", "/favicon.ico"),
    ):
        assert (path, ask(method, path, b"{}" if method == "POST" else None)[0]) == (path, status)


def test_labels(running: RunningServer, ask: Ask, export: Any, base_path: Path) -> None:
    export(2, factor=2.0)
    reload(running.target, model_config(base_path, [1, 2]))
    wait_for(lambda: ask("GET", f"{ROOT}/versions/2")[0] == 200)
    wait_for(lambda: ask("POST", f"{ROOT}/versions/2:predict", {"instances": [1.0]})[0] == 200)
    reload(running.target, model_config(base_path, [1, 2], {"canary": 2, "stable": 1}))
    for label, factor in (("canary", 2.0), ("stable", 1.0)):
        answer = ask("POST", f"{ROOT}/labels/{label}:predict", {"instances": [3.0]})
        assert answer == (200, {"predictions": [{"y": 3 * factor, "factor": factor}]})
        metadata = ask("GET", f"{ROOT}/labels/{label}/metadata")
        assert metadata[1]["model_spec"]["version"] == str(int(factor))


@pytest.fixture
def server(export: Any, base_path: Path) -> Iterator[DevelopmentServer]:
    export(1)
    with DevelopmentServer(base_path, MODEL, port=0, rest_port=0) as made:
        yield made


def test_what_only_the_development_server_says(server: DevelopmentServer, base_path: Path) -> None:
    ask = ask_at(str(server.rest_target))
    status, body = ask("POST", f"{ROOT}:classify", {})
    assert (status, "use predict" in body["error"]) == (501, True)
    status, body = ask("POST", f"{ROOT}:predict", {"inputs": {"x": [1.0], "z": [1.0]}})
    assert (status, 'unknown ones: ["z"]' in body["error"]) == (400, True)
    assert ask("POST", f"{ROOT}:predict", headers={"Transfer-Encoding": "chunked"})[0] == 411
    assert ask("POST", f"{ROOT}:predict", headers={"Content-Length": str(2**40)})[0] == 413
    assert ask("POST", f"{ROOT}:predict", {"instances": [1.0]})[0] == 200
    with pytest.raises(E2EGRecError, match="another one for REST"):
        DevelopmentServer(base_path, MODEL, port=0, rest_port=server.rest_port).start()


def test_it_listens_on_loopback_and_says_where(export: Any, base_path: Path, capsys: Any) -> None:
    export(1)
    with DevelopmentServer(base_path, MODEL, port=0, rest_port=0) as server:
        assert f"REST on 127.0.0.1:{server.rest_port}" in capsys.readouterr().out
        target = str(server.rest_target)
        assert ask_at(target)("GET", ROOT)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask_at(target)("GET", ROOT)
    with DevelopmentServer(base_path, MODEL, port=0) as server:
        assert server.rest_target is None
        assert "no REST" in capsys.readouterr().out


def test_connections_are_kept_and_shared_by_nobody(server: DevelopmentServer) -> None:
    wrong: list[Any] = []

    def many(value: float) -> None:
        connection = http.client.HTTPConnection(str(server.rest_target), timeout=30)
        for _ in range(20):
            connection.request("POST", f"{ROOT}:predict", json.dumps({"instances": [value]}))
            answer = json.loads(connection.getresponse().read())
            wrong.extend(row for row in answer["predictions"] if row["y"] != value)
        connection.close()

    threads = [threading.Thread(target=many, args=(float(value),)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
