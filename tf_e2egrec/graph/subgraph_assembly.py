"""From the edges that the ops of a plan chose to subgraphs with each node and edge once."""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_e2egrec.graph.heterogeneous_sample import HeterogeneousSample
from tf_e2egrec.graph.op_sample import OpSample
from tf_e2egrec.graph.sampled_edges import SampledEdges
from tf_e2egrec.graph.sampled_nodes import SampledNodes
from tf_e2egrec.graph.sampling_plan import SamplingPlan

Array = np.ndarray


def assemble(
    plan: SamplingPlan,
    edge_sets: Mapping[str, tuple[str, str]],
    seeds: np.ndarray,
    samples: Sequence[OpSample],
) -> HeterogeneousSample:
    """Number the nodes of each subgraph, and list its edges.

    An edge that several ops chose is listed once. Where several ops drew neighbours of the same node over the same edge set and in the
    same direction, the propagation weights are those of the mean of their estimates: they sum to one like those of a single draw, and
    are unbiased if each draw's are.

    Args:
      plan: the ops.
      edge_sets: name -> (source node set, target node set).
      seeds: int64 [n] keys.
      samples: one per op; `example` counts the seeds.

    Returns:
      Subgraphs with every node set that an edge set of the plan touches, in the order of the seeds.
    """
    ends = plan.ends(edge_sets)
    numbering = {
        name: _Numbering.of(name, plan, [end.arrival for end in ends], seeds, samples)
        for name in sorted({plan.seed_node_set} | {one for end in ends for one in end})
    }
    edges = {}
    for name in sorted({op.edge_set for op in plan.ops}):
        source, target = edge_sets[name]
        edges[name] = _edges(name, plan, numbering[source], numbering[target], samples, len(seeds))
    return HeterogeneousSample(seeds, {name: one.nodes for name, one in numbering.items()}, edges)


class _Numbering:
    """The nodes of one node set in all subgraphs, and how to find them again."""

    def __init__(self, nodes: SampledNodes) -> None:
        self.nodes = nodes
        self._known = np.unique(nodes.keys)
        example = np.repeat(np.arange(len(nodes.indptr) - 1), np.diff(nodes.indptr))
        codes = self._codes(example, nodes.keys)
        self._order = np.argsort(codes)
        self._sorted = codes[self._order]

    @staticmethod
    def of(
        name: str, plan: SamplingPlan, arrivals: Sequence[str], seeds: Array, samples: Sequence[OpSample]
    ) -> "_Numbering":
        """Number the seeds and what the ops arrived at."""
        examples, keys, ops = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        if name == plan.seed_node_set:
            examples, keys, ops = [np.arange(len(seeds))], [seeds], [np.full(len(seeds), -1)]
        for number, sample in enumerate(samples):
            if arrivals[number] == name:
                examples.append(sample.example)
                keys.append(sample.neighbour)
                ops.append(np.full(len(sample), number))
        example, key, op = (np.concatenate(one) for one in (examples, keys, ops))
        order = np.lexsort([op, key, example])
        example, key, op = example[order], key[order], op[order]
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(example) != 0) | (np.diff(key) != 0)
        example, key, op = example[new], key[new], op[new]
        order = np.lexsort([key, op, example])
        indptr = np.r_[0, np.cumsum(np.bincount(example, minlength=len(seeds)))].astype(np.int64)
        return _Numbering(SampledNodes(indptr, key[order]))

    def rows(self, example: Array, key: Array) -> Array:
        """Position of (example, key) in `nodes.keys`; every pair must be there."""
        found: Array = self._order[np.searchsorted(self._sorted, self._codes(example, key))]
        return found

    def _codes(self, example: Array, key: Array) -> Array:
        codes: Array = example * max(len(self._known), 1) + np.searchsorted(self._known, key)
        return codes


def _edges(
    name: str,
    plan: SamplingPlan,
    sources: _Numbering,
    targets: _Numbering,
    samples: Sequence[OpSample],
    n: int,
) -> SampledEdges:
    numbers = [number for number, op in enumerate(plan.ops) if op.edge_set == name]
    incoming = [plan.ops[number].direction == "incoming" for number in numbers]
    chosen = [samples[number] for number in numbers]
    lengths = [len(sample) for sample in chosen]
    is_incoming, op = np.repeat(incoming, lengths), np.repeat(numbers, lengths)
    example, node, neighbour, weight, share, row = (
        np.concatenate([getattr(sample, field) for sample in chosen])
        for field in ("example", "node", "neighbour", "weight", "propagation_weight", "row")
    )
    source = sources.rows(example, np.where(is_incoming, neighbour, node))
    target = targets.rows(example, np.where(is_incoming, node, neighbour))
    code, first, inverse = np.unique(
        target * max(len(sources.nodes.keys), 1) + source, return_index=True, return_inverse=True
    )
    shares = {}
    for direction, receiver in ((True, target), (False, source)):
        mine = is_incoming == direction
        draws = _draws(receiver[mine], op[mine], len(plan.ops))
        total = np.bincount(inverse[mine], share[mine] / draws, len(code))
        shares[direction] = total.astype(np.float32) if direction in incoming else None
    example, source, target = example[first], source[first], target[first]
    return SampledEdges(
        indptr=np.r_[0, np.cumsum(np.bincount(example, minlength=n))].astype(np.int64),
        source=source - sources.nodes.indptr[example],
        target=target - targets.nodes.indptr[example],
        weight=weight[first],
        to_target=shares[True],
        to_source=shares[False],
        row=row[first],
    )


def _draws(receiver: Array, op: Array, ops: int) -> Array:
    """How many ops drew neighbours of each edge's receiver; int64 [m]."""
    if len(receiver) == 0:
        return receiver
    pairs = np.unique(receiver * ops + op)
    counts: Array = np.bincount(pairs // ops)[receiver]
    return counts
