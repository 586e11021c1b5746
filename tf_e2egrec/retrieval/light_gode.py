"""`LightGODE`: no graph in training, a graph ODE afterwards."""

import functools
from typing import Any

from tf_e2egrec.retrieval.graph_flow import graph_flow
from tf_e2egrec.retrieval.matrix_factorization import MatrixFactorization
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


class LightGODE(MatrixFactorization):
    """LightGODE (arXiv 2407.18910): `directau` in training (or another loss), `graph_flow` between training and ranking.

    Args:
      graph: of the training pairs.
      t, solver, steps: of the flow; see `graph_flow`. The defaults are what was published.
      gamma: weight of the uniformity.
      loss: see `Recommender`.
      **kwargs: see `Recommender`.
    """

    def __init__(
        self,
        graph: UserItemGraph,
        t: float = 1.8,
        solver: str = "euler",
        steps: int = 1,
        gamma: float = 0.5,
        loss: str = "directau",
        **kwargs: Any,
    ) -> None:
        flow = functools.partial(graph_flow, graph, t=t, solver=solver, steps=steps)
        super().__init__(graph.users, graph.items, loss=loss, gamma=gamma, convolution=flow, **kwargs)
