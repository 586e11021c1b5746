"""Importance sampling of K-hop subgraphs of a heterogeneous graph.

`sample_op` draws the edges of one op for a frontier of (example, node) pairs, `assemble` turns the edges of all ops into subgraphs with
each node and edge once. In memory `sample_subgraphs` calls them in turn; a pipeline may draw each op on other machines: an op's draw is a
function of the plan, the node and its adjacency list alone.
"""

from collections.abc import Mapping

import numpy as np

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.graph.heterogeneous_sample import HeterogeneousSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.op_sample import OpSample
from tf_e2egrec.graph.sampling import sample_neighbours
from tf_e2egrec.graph.sampling_plan import OpEnds, SamplingPlan
from tf_e2egrec.graph.subgraph_assembly import assemble

Array = np.ndarray


def sample_subgraphs(
    plan: SamplingPlan,
    edge_sets: Mapping[str, tuple[str, str]],
    adjacency: Mapping[tuple[str, str], NeighbourTable],
    seeds: np.ndarray,
    targets: np.ndarray | None = None,
) -> HeterogeneousSample:
    """Sample a subgraph around every seed.

    Args:
      plan: the ops.
      edge_sets: name -> (source node set, target node set).
      adjacency: (edge set, direction of an op) -> neighbours of the nodes that such an op starts from, each edge once; see
        `adjacency_tables`.
      seeds: int64 [n] keys, possibly repeated.
      targets: int64 [n] keys of what each seed's model is to predict, -1 for none: the edge between a seed and its target is never
        sampled from the plan's `target_edge_sets`.

    Returns:
      The subgraphs. `row` of an edge is its position in the adjacency of the op that chose it.

    Raises:
      E2EGRecError: the plan does not fit the edge sets.
    """
    seeds = np.asarray(seeds, np.int64)
    targets = np.full(len(seeds), MISSING_KEY, np.int64) if targets is None else np.asarray(targets, np.int64)
    ends = plan.ends(edge_sets)
    arrivals = {-1: (np.arange(len(seeds)), seeds)}
    samples = []
    for number, op in enumerate(plan.ops):
        starts = [arrivals[place] for place in plan.inputs_of(number)]
        example, node = distinct_pairs(*(np.concatenate(one) for one in zip(*starts, strict=True)))
        excluded = excluded_neighbours(plan, number, ends[number], node, seeds[example], targets[example])
        sample = sample_op(plan, number, adjacency[op.edge_set, op.direction], example, node, excluded)
        arrivals[number] = sample.example, sample.neighbour
        samples.append(sample)
    return assemble(plan, edge_sets, seeds, samples)


def adjacency_tables(
    plan: SamplingPlan, edges: Mapping[str, tuple[Array, Array, Array]]
) -> dict[tuple[str, str], NeighbourTable]:
    """The adjacency that the ops of a plan need.

    Args:
      plan: the ops.
      edges: edge set -> (source int64 [m], target int64 [m], weight float32 [m]).

    Returns:
      (edge set, direction) -> neighbours of the nodes an op starts from.
    """
    tables: dict[tuple[str, str], NeighbourTable] = {}
    for op in plan.ops:
        source, target, weight = edges[op.edge_set]
        if op.direction == "outgoing":
            source, target = target, source
        tables[op.edge_set, op.direction] = NeighbourTable.from_edges(source, target, weight)
    return tables


def sample_op(
    plan: SamplingPlan, number: int, table: NeighbourTable, example: Array, node: Array, excluded: Array
) -> OpSample:
    """Draw the edges of one op.

    Args:
      plan: the ops.
      number: of the op.
      table: neighbours of the nodes; those of other nodes do no harm.
      example: int64 [f] of the frontier.
      node: int64 [f] of the frontier; pairs (example, node) are distinct.
      excluded: int64 [f] neighbour that is left out, -1 for none.

    Returns:
      The edges, in the order of the frontier, heaviest first.
    """
    op = plan.ops[number]
    # What is drawn for a node is the same in all examples.
    order = np.lexsort([excluded, node])
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(node[order]) != 0) | (np.diff(excluded[order]) != 0)
    query = np.empty(len(order), np.int64)
    query[order] = np.cumsum(new) - 1
    first = order[new]
    drawn = sample_neighbours(
        table,
        node[first],
        op.fanout,
        beta=op.beta,
        top=plan.top,
        seed=plan.noise_seed(number),
        epoch=plan.epoch,
        deterministic=plan.deterministic,
        importance_correction=plan.importance_correction,
        excluded=excluded[first],
    )
    counts = drawn.counts[query]
    begin = np.cumsum(counts) - counts
    taken = np.repeat(drawn.indptr[query] - begin, counts) + np.arange(counts.sum())
    return OpSample(
        example=np.repeat(example, counts),
        node=np.repeat(node, counts),
        neighbour=drawn.sources[taken],
        weight=drawn.weights[taken],
        propagation_weight=drawn.propagation_weights[taken],
        row=_positions(table, np.repeat(node[first], drawn.counts), drawn.sources)[taken],
    )


def excluded_neighbours(
    plan: SamplingPlan, number: int, ends: OpEnds, node: Array, seed: Array, target: Array
) -> Array:
    """The neighbour that op `number` must not choose for each node of its frontier; int64 [f], -1 for none.

    Args:
      plan: the ops.
      number: of the op.
      ends: of the op.
      node, seed, target: int64 [f] the node, and seed and target of the example it belongs to.
    """
    excluded = np.full(len(node), MISSING_KEY, np.int64)
    if plan.ops[number].edge_set in plan.target_edge_sets:
        if ends.arrival == plan.seed_node_set:
            excluded = np.where((node == target) & (target != MISSING_KEY), seed, excluded)
        if ends.start == plan.seed_node_set:
            excluded = np.where(node == seed, target, excluded)
    return excluded


def distinct_pairs(example: Array, node: Array) -> tuple[Array, Array]:
    """The pairs (example, node), each once, in order."""
    order = np.lexsort([node, example])
    example, node = example[order], node[order]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(example) != 0) | (np.diff(node) != 0)
    return example[new], node[new]


def _positions(table: NeighbourTable, node: Array, neighbour: Array) -> Array:
    """Where each edge stands in the table; int64 [m]. Rows are in order of weight, so each is searched by key."""
    rows = table.rows_of(node)
    if len(rows) == 0:
        return rows
    used, inverse = np.unique(rows, return_inverse=True)
    counts = table.indptr[used + 1] - table.indptr[used]
    begin = np.cumsum(counts) - counts
    positions = np.repeat(table.indptr[used] - begin, counts) + np.arange(counts.sum())
    owner = np.repeat(np.arange(len(used)), counts)
    keys, code = np.unique(np.r_[table.neighbours[positions], neighbour], return_inverse=True)
    known = owner * len(keys) + code[: len(positions)]
    order = np.argsort(known)
    wanted = inverse * len(keys) + code[len(positions) :]
    found: Array = positions[order[np.searchsorted(known[order], wanted)]]
    return found
