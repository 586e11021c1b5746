"""The graph's part of a training step against PyTorch, PyTorch Geometric and TF-GNN's own pooling.

    pip install torch --index-url https://download.pytorch.org/whl/cpu; pip install torch_geometric
    python -m benchmarks.peers [--quick] [--json]

4,096 impressions on 100,000 items and users by Zipf's law, embeddings of 64; every distinct candidate has 100 neighbours, the default
of `graph.sampling.fanout` (20 in the rows without a target). A step gathers
the rows of the batch's distinct items, propagates (``Z = (X + A X) / 2`` with ``X = E W``), scores a candidate by <Z, user>, and learns
from the cross-entropy and the mean of ||X - Z||^2: gradients, Adam for W, and Adam for the rows of the batch in both tables
(`RowSparseAdam`, `torch.optim.SparseAdam`). All make Z as (A E) W, which is the cheaper order, and each distinct item is encoded once.

* ours: `LightGCNConv.projected`, `RowSparseAdam`.
* TF-GNN: the same, with `tfgnn.broadcast_node_to_edges` and `tfgnn.pool_edges_to_node`.
* PyTorch: the fastest of its stock products, a CSR matrix (`torch.sparse.mm`) and `index_add_`.
* PyG: `LGConv`, without compiled extensions.

They take turns on one thread, in CPU seconds; a ratio is the median of the turns' ratios, theirs over ours. Losses and the gradient of
W have to be the same. What is not installed is left out, and its target is missed. `limit` is as in `benchmarks.train_step`.
"""

import importlib.util
import statistics
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report
from benchmarks.step_workload import popular
from benchmarks.train_step import in_turns, measured_rates, ratio_of

TARGETS = {"vs_torch": Target(">=", 1.4), "vs_pyg": Target(">=", 2.4), "vs_tfgnn": Target(">=", 2.2)}
RATE, TURNS = 1e-3, 25
MOST_DIFFERENCE = 1e-4


class Work(NamedTuple):
    """One batch and the weights that all start from.

    Attributes:
      ids: int64 [U] distinct items, candidates first.
      source, target: int64 [E] rows of `ids`; sorted by target, which is a candidate.
      share: float32 [E] the mean's weights.
      candidate, user: int64 [B] row of `ids`; row of the users' table.
      clicked: float32 [B].
      items, users, kernel: float32 tables [n, d] and W [d, d].
    """

    ids: Any
    source: Any
    target: Any
    share: Any
    candidate: Any
    user: Any
    clicked: Any
    items: Any
    users: Any
    kernel: Any

    @property
    def seeds(self) -> int:
        """Number of distinct candidates."""
        return int(self.candidate.max()) + 1


def make_work(rows: int, batch: int, fanout: int, dim: int) -> Work:
    """A random batch."""
    import numpy as np

    random = np.random.default_rng(0)
    drawn = popular(rows, batch, random)
    distinct, candidate = np.unique(drawn, return_inverse=True)
    neighbours = popular(rows, len(distinct) * fanout, random)
    others = np.setdiff1d(neighbours, distinct)
    ids = np.r_[distinct, others]
    order = np.argsort(ids)
    return Work(
        ids=ids,
        source=order[np.searchsorted(ids[order], neighbours)],
        target=np.repeat(np.arange(len(distinct)), fanout),
        share=np.full(len(neighbours), 1 / fanout, np.float32),
        candidate=candidate,
        user=random.integers(0, rows, batch),
        clicked=(random.random(batch) < 0.3).astype(np.float32),
        items=random.normal(0, 0.1, (rows, dim)).astype(np.float32),
        users=random.normal(0, 0.1, (rows, dim)).astype(np.float32),
        kernel=random.normal(0, dim**-0.5, (dim, dim)).astype(np.float32),
    )


class Contender(NamedTuple):
    """One way of doing the step.

    Attributes:
      step: learns once.
      first: the loss and the gradient of W before anything is learnt.
    """

    step: Callable[[], Any]
    first: Callable[[], tuple[float, Any]]


def tensorflow_way(work: Work, pooling: bool) -> Contender:
    """Ours; with `pooling`, TF-GNN's."""
    import tensorflow as tf
    import tensorflow_gnn as tfgnn

    from tf_e2egrec.layers import LightGCNConv
    from tf_e2egrec.training import FusedAdam, RowSparseAdam

    items, users, kernel = (tf.Variable(value) for value in (work.items, work.users, work.kernel))
    ids, candidate, user = (tf.constant(value) for value in (work.ids, work.candidate, work.user))
    clicked, share = tf.constant(work.clicked), tf.constant(work.share)
    ends = [tf.constant(end, tf.int32) for end in (work.source, work.target)]
    convolution = LightGCNConv()
    tables, dense = RowSparseAdam(RATE), FusedAdam(RATE, jit_compile=False)
    tables.build([items, users])
    dense.build([kernel])
    adjacency = tfgnn.Adjacency.from_indices(("item", ends[0]), ("seed", ends[1]))

    def z_of(e: Any, x: Any) -> Any:
        graph = tfgnn.GraphTensor.from_pieces(
            node_sets={
                name: tfgnn.NodeSet.from_fields(
                    features={tfgnn.HIDDEN_STATE: state}, sizes=tf.shape(state)[:1]
                )
                for name, state in (("item", e), ("seed", x))
            },
            edge_sets={
                "swing": tfgnn.EdgeSet.from_fields(
                    features={"propagation_weight": share}, sizes=tf.shape(share), adjacency=adjacency
                )
            },
        )
        if not pooling:
            return convolution.projected(graph, "swing", lambda sums: sums @ kernel)
        message = tfgnn.broadcast_node_to_edges(graph, "swing", tfgnn.SOURCE, feature_name=tfgnn.HIDDEN_STATE)
        sums = tfgnn.pool_edges_to_node(
            graph, "swing", tfgnn.TARGET, "sum", feature_value=message * share[:, tf.newaxis]
        )
        return (x + sums @ kernel) / 2

    def loss_and_gradients() -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            e = tf.nn.embedding_lookup(items, ids)
            x = e[: work.seeds] @ kernel
            z = z_of(e, x)
            logits = tf.reduce_sum(tf.gather(z, candidate) * tf.nn.embedding_lookup(users, user), axis=1)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(clicked, logits))
            loss += tf.reduce_mean(tf.square(x - z))
        return loss, tape.gradient(loss, [items, users, kernel])

    @tf.function
    def step() -> Any:
        loss, gradients = loss_and_gradients()
        tables.apply_gradients(zip(gradients[:2], (items, users), strict=True))
        dense.apply_gradients([(gradients[2], kernel)])
        return loss

    def first() -> tuple[float, Any]:
        loss, gradients = loss_and_gradients()
        return float(loss), gradients[2].numpy()

    return Contender(lambda: step().numpy(), first)


def torch_way(work: Work, product: str) -> Contender:
    """PyTorch's: `product` is `csr`, `index_add` or `LGConv`."""
    import torch
    from torch.nn import functional

    items, users, kernel = (torch.nn.Parameter(torch.from_numpy(value.copy())) for value in work[-3:])
    ids, source, target, share, candidate, user, clicked = map(torch.from_numpy, work[:7])
    if product == "LGConv":
        from torch_geometric.nn import LGConv

        convolution, edges = LGConv(normalize=False), torch.stack([source, target])

    def sums_of(e: Any) -> Any:
        if product == "LGConv":
            return convolution(e, edges, share)[: work.seeds]
        if product == "csr":
            starts = torch.zeros(work.seeds + 1, dtype=torch.int64)
            starts[1:] = torch.cumsum(torch.bincount(target, minlength=work.seeds), 0)
            matrix = torch.sparse_csr_tensor(
                starts, source, share, (work.seeds, len(ids)), check_invariants=False
            )
            return torch.sparse.mm(matrix, e)
        return torch.zeros((work.seeds, e.shape[1])).index_add_(0, target, e[source] * share[:, None])

    def loss_of() -> Any:
        e = functional.embedding(ids, items, sparse=True)
        x = e[: work.seeds] @ kernel
        z = (x + sums_of(e) @ kernel) / 2
        logits = (z[candidate] * functional.embedding(user, users, sparse=True)).sum(dim=1)
        return functional.binary_cross_entropy_with_logits(logits, clicked) + (x - z).square().mean()

    tables, dense = (
        torch.optim.SparseAdam([items, users], lr=RATE),
        torch.optim.Adam([kernel], lr=RATE, fused=True),
    )

    def step() -> None:
        tables.zero_grad(set_to_none=True)
        dense.zero_grad(set_to_none=True)
        loss_of().backward()
        tables.step()
        dense.step()

    def first() -> tuple[float, Any]:
        loss = loss_of()
        (gradient,) = torch.autograd.grad(loss, [kernel])
        return float(loss.detach()), gradient.numpy()

    return Contender(step, first)


def contenders(work: Work) -> dict[str, Contender]:
    """Everybody who is installed."""
    found = {"ours": tensorflow_way(work, False), "TF-GNN": tensorflow_way(work, True)}
    if importlib.util.find_spec("torch"):
        found |= {f"PyTorch {name}": torch_way(work, name) for name in ("csr", "index_add")}
        if importlib.util.find_spec("torch_geometric"):
            found["PyG LGConv"] = torch_way(work, "LGConv")
    return found


def require_equal(found: dict[str, Contender]) -> None:
    """Refuse to compare the speed of different things."""
    import numpy as np

    loss, gradient = found["ours"].first()
    for name, one in found.items():
        their_loss, theirs = one.first()
        difference = float(np.linalg.norm(theirs - gradient) / np.linalg.norm(gradient))
        if not max(difference, abs(their_loss / loss - 1)) < MOST_DIFFERENCE:
            raise SystemExit(f"{name}: the loss or the gradient of the first step differs ({difference:.2g})")


def limit_of(work: Work, rates: tuple[float, float]) -> float:
    """Seconds for the bytes of tables and edges, and for the products."""
    width = work.kernel.shape[0]
    table_rows = len(work.ids) + len(work.user)
    bytes_moved = 4 * width * (8 * table_rows + 2 * len(work.source) + 2 * len(work.candidate))
    return bytes_moved / rates[0] + 2 * 6 * work.seeds * width**2 / rates[1]


def measure(
    work: Work, fanout: int, turns: int, rates: tuple[float, float]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Ratios, and rows of the table, of one batch."""
    found = contenders(work)
    require_equal(found)
    taken = in_turns({name: one.step for name, one in found.items()}, turns)
    limit = limit_of(work, rates)
    against = {name: ratio_of(taken, name, "ours") for name in found}
    figures = [
        {
            "neighbours": fanout,
            "step": name,
            "CPU ms": round(1e3 * statistics.median(taken[name]), 2),
            "limit ms": round(1e3 * limit, 2),
            "theirs / ours": round(against[name][0], 3),
            "spread": round(against[name][1], 3),
        }
        for name in found
    ]
    ratios = {"vs_tfgnn": against["TF-GNN"][0]}
    in_torch = [against[name][0] for name in found if name.startswith("PyTorch")]
    if in_torch:
        ratios["vs_torch"] = min(in_torch)
    if "PyG LGConv" in found:
        ratios["vs_pyg"] = against["PyG LGConv"][0]
    return ratios, figures


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 1 when a target is missed."""
    arguments = benchmark_parser(__doc__).parse_args(argv)
    threads = pin_threads(1)
    import tf_e2egrec  # noqa: F401  - before TensorFlow: it chooses Keras 2

    # isort: split
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
    turns = 2 if arguments.quick else TURNS
    fanouts = (5,) if arguments.quick else (100, 20)
    rows, batch, dim = (500, 64, 16) if arguments.quick else (100_000, 4_096, 64)
    rates = measured_rates(dim)
    ratios: dict[str, float] = {}
    figures: list[Any] = []
    for fanout in fanouts:
        of_fanout, rows_of_table = measure(make_work(rows, batch, fanout, dim), fanout, turns, rates)
        suffix = "" if fanout == fanouts[0] else f"_k{fanout}"
        ratios |= {name + suffix: value for name, value in of_fanout.items()}
        figures += rows_of_table
    targets = {} if arguments.quick else TARGETS
    return report("peers", ratios, targets, figures=figures, only_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
