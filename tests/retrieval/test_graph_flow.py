import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import expm_multiply

from tests.retrieval.toys import matrix, normalised
from tf_e2egrec.retrieval.graph_flow import graph_flow
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph

TRAIN = matrix(1, users=20, items=15)
GRAPH, DENSE = UserItemGraph(TRAIN), normalised(TRAIN)
E = np.random.default_rng(0).standard_normal((GRAPH.nodes, 6)).astype(np.float32)


def exact_flow(t):
    """z(t) of dz/dt = Âz + E, z(0) = E: the flow of the linear system (z, E) with E standing still."""
    nodes = len(DENSE)
    system = sp.csr_array(np.block([[DENSE, np.eye(nodes)], [np.zeros((nodes, 2 * nodes))]]))
    return expm_multiply(system * t, np.concatenate([E, E]).astype(np.float64))[:nodes]


@given(st.floats(0, 4))
@settings(max_examples=20)
def test_one_step_of_euler_is_what_was_published(t):
    np.testing.assert_allclose(graph_flow(GRAPH, E, t), (1 + t) * E + t * (DENSE @ E), atol=1e-5)


@pytest.mark.parametrize("t", [0.0, 0.8, 1.8, 3.0])
def test_the_exact_flow_is_the_matrix_exponential_s(t):
    np.testing.assert_allclose(graph_flow(GRAPH, E, t, "exact"), exact_flow(t), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("rk4", 4)])
def test_more_steps_converge_at_the_solver_s_order(solver, order):
    expected = exact_flow(1.8)
    rounding = 1e-5 * np.abs(expected).max()
    few, many = (16, 64) if solver == "euler" else (4, 16)
    errors = [np.abs(graph_flow(GRAPH, E, 1.8, solver, steps) - expected).max() for steps in (few, many)]
    assert errors[1] < errors[0] * (few / many) ** order * 1.5 + rounding
    assert errors[0] > errors[1]


def test_rk4_gets_close_with_few_steps():
    np.testing.assert_allclose(graph_flow(GRAPH, E, 1.8, "rk4", 16), exact_flow(1.8), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", [{"solver": "magic"}, {"t": -1.0}, {"steps": 0}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        graph_flow(GRAPH, tf.constant(E), **({"t": 1.0} | wrong))
