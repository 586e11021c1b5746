"""Random graphs and their scipy reference."""

import numpy as np
import scipy.sparse as sp
import tensorflow_gnn as tfgnn


def random_edges(rng, senders, receivers, edges, isolated):
    """(source, target, weight); the last `isolated` receivers get nothing, no pair is repeated."""
    source = rng.integers(0, senders, edges)
    target = rng.integers(0, receivers - isolated, edges)
    pairs = np.unique(np.stack([source, target], 1), axis=0)
    return pairs[:, 0], pairs[:, 1], rng.random(len(pairs)).astype("f4") + 0.1


def graph_tensor(node_sets, relations):
    """A scalar GraphTensor.

    Args:
      node_sets: name -> dictionary of features.
      relations: name -> (sender set, receiver set, source, target, weight).
    """
    return tfgnn.GraphTensor.from_pieces(
        node_sets={
            name: tfgnn.NodeSet.from_fields(features=features, sizes=[len(next(iter(features.values())))])
            for name, features in node_sets.items()
        },
        edge_sets={
            name: tfgnn.EdgeSet.from_fields(
                features={"propagation_weight": weight},
                sizes=[len(source)],
                adjacency=tfgnn.Adjacency.from_indices(
                    (senders, np.asarray(source, "i4")), (receivers, np.asarray(target, "i4"))
                ),
            )
            for name, (senders, receivers, source, target, weight) in relations.items()
        },
    )


def scipy_matrix(edges, shape, normalization="row", degrees=None):
    """(P as float64 CSR [receivers, senders], bool [receivers] has neighbours).

    Args:
      edges: (source, target, weight).
      shape: (receivers, senders).
      normalization: as in `LightGCNConv`.
      degrees: `sym_global` only; of senders and receivers.
    """
    source, target, weight = edges
    matrix = sp.csr_matrix((weight.astype("f8"), (target, source)), shape=shape)
    in_degree, out_degree = (np.asarray(matrix.sum(axis)).ravel() for axis in (1, 0))
    if normalization == "row":
        matrix = sp.diags(_power(in_degree, -1)) @ matrix
    else:
        of_senders, of_receivers = (out_degree, in_degree) if degrees is None else degrees
        matrix = sp.diags(_power(of_receivers, -0.5)) @ matrix @ sp.diags(_power(of_senders, -0.5))
    return matrix, in_degree > 0


def _power(degree, exponent):
    return np.where(degree > 0, np.maximum(degree, 1e-30) ** exponent, 0.0)
