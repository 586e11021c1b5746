import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.development_server.loaded_version import LoadedVersion
from tests.serving.conftest import Export


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[tf.Graph]]]:
    """The graphs of the versions that are loaded, without the garbage collector."""
    made, original = [], tf.Graph.__init__

    def remember(graph: tf.Graph) -> None:
        original(graph)
        made.append(weakref.ref(graph))

    monkeypatch.setattr(tf.Graph, "__init__", remember)
    gc.disable()
    yield made
    gc.enable()


def ask(version: LoadedVersion) -> np.ndarray:
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([2.0, 3.0], np.float32)))
    return tf.make_ndarray(version.predict(request).outputs["y"])


def test_a_retired_version_keeps_no_memory(export: Export, graphs: list[weakref.ref[tf.Graph]]) -> None:
    directory = export(1, 5.0)
    graphs.clear()
    version = LoadedVersion(directory, 1)
    np.testing.assert_array_equal(ask(version), [10.0, 15.0])
    version.retire()
    del version
    assert graphs
    assert all(graph() is None for graph in graphs)


def test_the_last_request_closes_a_retired_version(
    export: Export, graphs: list[weakref.ref[tf.Graph]]
) -> None:
    directory = export(1, 5.0)
    graphs.clear()
    version = LoadedVersion(directory, 1)
    assert version.acquire()
    version.retire()
    np.testing.assert_array_equal(ask(version), [10.0, 15.0])
    assert not version.acquire()
    version.release()
    del version
    assert all(graph() is None for graph in graphs)
