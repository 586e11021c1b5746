"""LightGCN and LightGODE: an epoch of ours against the same steps in PyTorch (`pip install -e '.[benchmarks]'`).

    python -m benchmarks.retrieval [--quick] [--json]

A generated log of the size of Amazon Beauty (22,363 users, 12,101 items, 150,000 pairs, popular items by a power law), embeddings
of 64. LightGCN: two hops over the whole graph, BPR, batches of 2,048, Adam. LightGODE: alignment and uniformity, batches of 256,
Adam that touches the rows of the batch alone (`RowSparseAdam`, `torch.optim.SparseAdam`). PyTorch multiplies by its CSR matrix, and
knows, as we do, that the matrix is its own transpose. Both get the same batches, already drawn, and take turns; the ratio is the
median of the turns' ratios. One core and one thread each, in CPU seconds: what elapses where nothing else runs. The gradients of the
first batch have to be the same.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.reporting import Target, benchmark_parser, pin_threads, report

TARGETS = {
    "LightGCN: PyTorch / ours": Target(">=", 1.0),
    "LightGODE: PyTorch / ours": Target(">=", 1.0),
}
DIM, HOPS, GAMMA, RATE = 64, 2, 0.5, 1e-3
TURNS = 5
MOST_DIFFERENCE = 1e-4


def make_log(users: int, items: int, pairs: int) -> Any:
    """CSR matrix of distinct pairs; everyone has one, since a node without is convolved in one way here and in another there."""
    import numpy as np
    import scipy.sparse as sp

    random = np.random.default_rng(0)
    share = (10.0 + np.arange(items)) ** -0.8
    rows = random.integers(0, users, pairs), random.choice(items, pairs, p=share / share.sum())
    rows = (
        np.r_[rows[0], np.arange(users), np.arange(items) % users],
        np.r_[rows[1], np.arange(users) % items, np.arange(items)],
    )
    matrix = sp.coo_array((np.ones(len(rows[0]), np.float32), rows), (users, items)).tocsr()
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def our_model(train: Any, name: str) -> Any:
    """LightGCN or LightGODE, compiled as `e2egrec recommend` does."""
    from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
    from tf_e2egrec.retrieval.catalogue import compiled_recommender
    from tf_e2egrec.retrieval.user_item_graph import UserItemGraph

    settings = {"learning_rate": RATE, "l2": 0.0}
    spec = RecommendSpec(
        dim=DIM, initial_std=0.1, lightgcn=settings | {"layers": HOPS}, lightgode=settings | {"gamma": GAMMA}
    )
    return compiled_recommender(name.lower(), UserItemGraph(train), spec, seed=0)


def our_epoch(model: Any, batches: Any) -> Callable[[], Any]:
    """`fit` on batches int32 [steps, 3, size]."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((batches[:, 0], batches[:, 1], batches[:, 2])).prefetch(2)
    return lambda: model.fit(data, epochs=1, steps_per_epoch=len(batches), verbose=0)


class Rival(NamedTuple):
    """The same steps in PyTorch.

    Attributes:
      loss: of the batch with that number.
      optimizer: updates `table`.
      table: the embeddings.
    """

    loss: Callable[[int], Any]
    optimizer: Any
    table: Any

    def epoch(self, steps: int) -> None:
        """All steps."""
        for n in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(n).backward()
            self.optimizer.step()


def torch_rival(model: Any, users: int, name: str, batches: Any) -> Rival:
    """PyTorch's way, from the same embeddings."""
    import torch

    table = torch.nn.Parameter(torch.from_numpy(model.embeddings.numpy().copy()))
    user, item, negative = (torch.from_numpy(batches[:, part].astype("int64")) for part in range(3))
    if name == "LightGODE":

        def alignment_and_uniformity(n: int) -> Any:
            rows = torch.cat([user[n], item[n] + users])
            vectors = torch.nn.functional.embedding(rows, table, sparse=True)
            u, i = torch.nn.functional.normalize(vectors, dim=1).chunk(2)
            spread = [torch.pdist(one).square().mul(-2).exp().mean().log() for one in (u, i)]
            return (u - i).square().sum(dim=1).mean() + GAMMA * sum(spread) / 2

        return Rival(alignment_and_uniformity, torch.optim.SparseAdam([table], lr=RATE, eps=1e-9), table)
    convolve = _torch_convolution(model.graph)

    def bpr(n: int) -> Any:
        total = hop = table
        for _ in range(HOPS):
            hop = convolve(hop)
            total = total + hop
        rows = torch.cat([user[n], item[n] + users, negative[n] + users])
        u, i, j = (total / (HOPS + 1))[rows].chunk(3)
        return torch.nn.functional.softplus((u * (j - i)).sum(dim=1)).mean()

    return Rival(bpr, torch.optim.Adam([table], lr=RATE, eps=1e-9, fused=True), table)


def _torch_convolution(graph: Any) -> Callable[[Any], Any]:
    import torch

    indices = torch.from_numpy(graph.matrix.indices.numpy().T.copy())
    values = torch.from_numpy(graph.matrix.values.numpy())
    matrix = torch.sparse_coo_tensor(indices, values, (graph.nodes, graph.nodes)).coalesce().to_sparse_csr()

    class Product(torch.autograd.Function):
        """Â is symmetric: the gradient of a product is another product."""

        @staticmethod
        def forward(_: Any, x: Any) -> Any:
            return torch.sparse.mm(matrix, x)

        @staticmethod
        def backward(_: Any, upstream: Any) -> Any:
            return torch.sparse.mm(matrix, upstream)

    return Product.apply


def drawn_batches(train: Any, size: int, steps: int) -> Any:
    """int32 [steps, 3, size]."""
    import numpy as np

    from tf_e2egrec.retrieval.epochs import pairs_of_epoch

    pairs = np.stack(pairs_of_epoch(train, 0))
    steps = min(steps, pairs.shape[1] // size)
    return pairs[:, : steps * size].reshape(3, steps, size).swapaxes(0, 1).copy()


def require_equal(model: Any, rival: Rival, batch: Any, name: str) -> None:
    """Refuse to compare the speed of two different things: the first gradients must be the same."""
    import numpy as np
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model.batch_loss(*(tf.constant(one) for one in batch))
    ours = tf.convert_to_tensor(tape.gradient(loss, model.embeddings)).numpy()
    rival.loss(0).backward()
    theirs = rival.table.grad
    theirs = (theirs.to_dense() if theirs.is_sparse else theirs).numpy()
    difference = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    if not difference < MOST_DIFFERENCE:
        raise SystemExit(f"{name}: the gradients of the first batch differ by {difference:.2g} of their size")


def measure(train: Any, name: str, size: int, steps: int, turns: int) -> tuple[float, dict[str, Any]]:
    """Median of PyTorch's time over ours, and the row of the table."""
    batches, model = drawn_batches(train, size, steps), our_model(train, name)
    rival = torch_rival(model, train.shape[0], name, batches)
    require_equal(model, rival, batches[0], name)
    actions = {"ours": our_epoch(model, batches), "PyTorch": lambda: rival.epoch(len(batches))}
    taken = [{who: _cpu_seconds(action) for who, action in actions.items()} for _ in range(turns + 1)][1:]
    best = {
        f"{who} [CPU ms/step]": round(1e3 * min(turn[who] for turn in taken) / len(batches), 3)
        for who in actions
    }
    ratio = statistics.median(turn["PyTorch"] / turn["ours"] for turn in taken)
    return ratio, {"model": name, "batch": size, "steps": len(batches), **best}


def _cpu_seconds(action: Callable[[], Any]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 1 when a target is missed."""
    arguments = benchmark_parser(__doc__).parse_args(argv)
    threads = pin_threads(1)
    try:
        import torch
    except ImportError:
        print(
            "this benchmark needs PyTorch; install it with `pip install -e '.[benchmarks]'`", file=sys.stderr
        )
        return 2
    import tensorflow as tf

    torch.set_num_threads(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    sizes = (500, 300, 5_000) if arguments.quick else (22_363, 12_101, 150_000)
    train, turns = make_log(*sizes), 1 if arguments.quick else TURNS
    measured = {
        name: measure(train, name, *shape, turns)
        for name, shape in {"LightGCN": (2_048, 32), "LightGODE": (256, 256)}.items()
    }
    return report(
        "retrieval",
        {f"{name}: PyTorch / ours": ratio for name, (ratio, _) in measured.items()},
        {} if arguments.quick else TARGETS,
        figures=[row for _, row in measured.values()],
        only_json=arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
