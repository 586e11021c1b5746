import builtins

import numpy as np
import pytest

from tests.retrieval.toys import matrix, normalised
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.retrieval.discrepancy import embedding_discrepancy, plot_discrepancy
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


def test_the_distance_is_that_between_directions_of_nodes_with_neighbours():
    train = matrix(4)
    dense, graph = normalised(train), UserItemGraph(train)
    x = np.random.default_rng(0).standard_normal((graph.nodes, 5)).astype(np.float32)
    expected, total, power = [], x.astype(np.float64), x.astype(np.float64)
    moved = dense.sum(1) > 0
    for _ in range(3):
        power = dense @ power
        total = total + power
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (total, x)]
        expected.append(np.linalg.norm(unit[0] - unit[1], axis=1)[moved].mean())
    assert embedding_discrepancy(graph, x, depth=3) == pytest.approx(expected, abs=1e-5)


def test_the_plot_and_what_is_said_without_matplotlib(tmp_path, monkeypatch):
    plot_discrepancy({"mf": [0.1, 0.2], "lightgcn": [0.05, 0.07]}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    really = builtins.__import__

    def without(name, *rest, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return really(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(E2EGRecError, match="needs matplotlib"):
        plot_discrepancy({"mf": [0.1]}, tmp_path / "none.png")
