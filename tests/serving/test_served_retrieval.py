"""Candidates from a server, asked for by both clients, with and without batching."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.running_server import RunningServer
from serving.warmup import WARMUP_FILE, write_warmup
from tests.serving.both_clients import BOTH
from tf_e2egrec.export.retrieval_module import RetrievalModule

MODEL = "tiny"
KEYS = np.arange(100, 140)


@pytest.fixture(scope="module")
def module() -> RetrievalModule:
    vectors = np.random.default_rng(0).normal(size=(len(KEYS), 4))
    return RetrievalModule(KEYS, vectors, vectors, popularity=np.arange(len(KEYS)), k=5)


@pytest.fixture
def target(module: RetrievalModule, base_path: Path, start: Callable[[], RunningServer]) -> str:
    tf.saved_model.save(module, str(base_path / "1"), signatures=module.signatures())
    request = {"recent": np.array([[100, 101]]), "num_recent": np.array([2], np.int32)}
    write_warmup(base_path / "1" / WARMUP_FILE, MODEL, "retrieve", [request])
    return start().target


def expected(module: RetrievalModule, recent: list[int]) -> tuple[list[int], np.ndarray]:
    found = module.find(tf.constant([recent or [-1]], tf.int64), tf.constant([len(recent)]))
    return found.keys[0].numpy().tolist(), found.scores[0].numpy()


def test_lists_of_all_lengths_at_once(module: RetrievalModule, target: str) -> None:
    """A server that batches pads shorter lists by their first element."""
    histories = [[], [100], [999], *([*KEYS[: 2 + one % 7], 5] for one in range(20))]
    for make in BOTH.values():
        with make(target, MODEL, timeout=30) as client:
            for recent in histories[:5]:
                answer = client.retrieve(recent, limit=4)
                items, scores = expected(module, recent)
                assert answer.item_ids.tolist() == items[:4]
                np.testing.assert_allclose(answer.score, scores[:4], rtol=1e-5)
                assert answer.version == 1
    with BOTH["blocking"](target, MODEL, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.retrieve, histories))
    for recent, answer in zip(histories, answers, strict=True):
        assert answer.item_ids.tolist() == expected(module, recent)[0]
