"""Importance sampling of neighbours without replacement (E2E-GRec, arXiv 2511.20564: P(v | u) proportional to w_uv ** beta).

Sampling n of m items without replacement, each next one with probability proportional to its weight, is the same as keeping the n
largest keys `beta * log(w) + Gumbel noise` (Efraimidis & Spirakis 2006; Vieira 2014). The noise of an edge is a hash of
(seed, epoch, source, target): a sample depends on nothing else, neither on workers nor on the order of targets nor on retries.
"""

from typing import Literal

import numba
import numpy as np

from tf_e2egrec.dataset.ids import mix64, unit_interval
from tf_e2egrec.graph.neighbour_sample import NeighbourSample
from tf_e2egrec.graph.neighbour_table import NeighbourTable

ImportanceCorrection = Literal["none", "plain", "self_normalised", "horvitz_thompson"]
_CORRECTION_CODE = {"none": 0, "plain": 1, "self_normalised": 2, "horvitz_thompson": 3}
_UINT64_MASK = 0xFFFFFFFFFFFFFFFF

Array = np.ndarray


def sample_neighbours(
    table: NeighbourTable,
    targets: np.ndarray,
    fanout: int,
    *,
    beta: float = 0.5,
    top: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    deterministic: bool = False,
    importance_correction: ImportanceCorrection = "none",
    excluded: np.ndarray | None = None,
) -> NeighbourSample:
    """Choose at most `fanout` neighbours of every target.

    Edges with a weight that is zero, negative or NaN, and edges from a target to itself, are never chosen. `beta = 0` is uniform,
    a large beta approaches the heaviest neighbours.

    Propagation weights: a sample drawn with probability ~ w ** beta is averaged plainly (1 / n each): weighing it by w again would
    give w ** (1 + beta). The deterministic form averages the heaviest neighbours with ~ w ** beta, which is what sampling does in
    expectation. A correction turns the plain average into an estimate of `sum_v p_v X_v` with `p_v ~ w_v`: each edge gets
    `p_v / (n q_v)`, `q_v ~ w_v ** beta`, both normalised over all neighbours considered. That is unbiased for draws with replacement
    (and for n = 1), close to it while n is a small part of the neighbours; where all neighbours are taken, p_v itself is given.
    `horvitz_thompson` is unbiased without replacement too: given the largest key t that was not chosen, v is chosen with probability
    `1 - exp(-w_v ** beta * exp(-t))`, and p_v is divided by that (Kool et al. 2019, arXiv 1903.06059).

    Args:
      table: neighbours, heaviest first.
      targets: int64 [n] item keys; items that the table does not know get no neighbours.
      fanout: neighbours per target.
      beta: exponent of the weight, >= 0.
      top: only the `top` heaviest neighbours of a target are considered; all when None.
      seed: of the noise.
      epoch: of the noise; another epoch is another sample.
      deterministic: take the `fanout` heaviest (ties by key) instead: for evaluation and serving.
      importance_correction: `none`, `plain`, `self_normalised` (divided by their sum) or `horvitz_thompson`; sampling only.
      excluded: int64 [n] a neighbour that is never chosen for each target; the target itself when None.

    Returns:
      A `NeighbourSample` with one row per target, in the order of `targets`.
    """
    targets = np.ascontiguousarray(targets, dtype=np.int64)
    excluded = targets if excluded is None else np.ascontiguousarray(excluded, dtype=np.int64)
    rows = table.rows_of(targets)
    considered = np.where(rows >= 0, np.diff(table.indptr, append=table.indptr[-1:])[rows], 0)
    limit = int(considered.max(initial=0)) if top is None else top
    capacity = np.minimum(considered, min(fanout, limit))
    start = np.r_[0, np.cumsum(capacity)].astype(np.int64)
    state = mix64(np.uint64(mix64(np.uint64(seed & _UINT64_MASK))) ^ np.uint64(epoch & _UINT64_MASK))
    sources = np.empty(start[-1], np.int64)
    weights, propagation = np.empty(start[-1], np.float32), np.empty(start[-1], np.float32)
    counts = _sample_rows(
        table.indptr, table.neighbours, table.weights, rows, targets, excluded, start, fanout, limit, float(beta), np.uint64(state),
        deterministic, _CORRECTION_CODE[importance_correction], sources, weights, propagation,
    )  # fmt: skip
    indptr = np.r_[0, np.cumsum(counts)].astype(np.int64)
    if indptr[-1] < start[-1]:  # rows with unusable edges came out shorter
        kept = np.repeat(start[:-1] - indptr[:-1], counts) + np.arange(indptr[-1])
        sources, weights, propagation = sources[kept], weights[kept], propagation[kept]
    return NeighbourSample(indptr, sources, weights, propagation)


@numba.njit(cache=True, nogil=True)
def _sample_rows(
    indptr: Array,
    neighbours: Array,
    edge_weights: Array,
    rows: Array,
    targets: Array,
    excluded: Array,
    start: Array,
    fanout: int,
    limit: int,
    beta: float,
    state: np.uint64,
    deterministic: bool,
    correction: int,
    out_sources: Array,
    out_weights: Array,
    out_propagation: Array,
) -> Array:
    """Fill the outputs row by row; returns int64 [n] neighbours chosen per row."""
    counts = np.zeros(len(rows), np.int64)
    is_race = not deterministic and correction == 0 and beta in (0.0, 0.5, 1.0)
    position, log_weight = np.empty(limit, np.int64), np.empty(limit, np.float64)
    keys, scratch = np.empty(limit, np.float64), np.empty(limit, np.float64)
    for i in range(len(rows)):
        if rows[i] < 0:
            continue
        usable = 0
        for edge in range(indptr[rows[i]], min(indptr[rows[i] + 1], indptr[rows[i]] + limit)):
            if edge_weights[edge] > 0 and neighbours[edge] != excluded[i]:
                position[usable] = edge
                log_weight[usable] = 0.0 if is_race else np.log(np.float64(edge_weights[edge]))
                usable += 1
        chosen = min(usable, fanout)
        threshold, equal, rejected = -np.inf, usable, -np.inf
        if not deterministic and usable > fanout:
            for e in range(usable):
                noise = _edge_noise(state, neighbours[position[e]], targets[i])
                keys[e] = _sampling_key(noise, edge_weights[position[e]], log_weight[e], beta, is_race)
                scratch[e] = keys[e]
            threshold, equal = _kth_largest(scratch, usable, fanout)
            rejected = scratch[fanout:usable].max()  # quickselect leaves the k largest in front
        out, last = start[i], start[i]
        for e in range(usable):
            if not deterministic and usable > fanout:
                if keys[e] < threshold:
                    continue
                if keys[e] == threshold:
                    if equal == 0:
                        continue
                    equal -= 1
            elif out - last >= chosen:
                break
            out_sources[out] = neighbours[position[e]]
            out_weights[out] = edge_weights[position[e]]
            scratch[out - last] = log_weight[e]
            out += 1
        counts[i] = chosen
        _weigh(
            scratch,
            log_weight,
            chosen,
            usable,
            beta,
            rejected,
            deterministic,
            correction,
            out_propagation[last:out],
        )
    return counts


@numba.njit(cache=True, inline="always")
def _edge_noise(state: np.uint64, source: int, target: int) -> float:
    """Uniform number in (0, 1) of an edge."""
    return unit_interval(mix64(mix64(state ^ mix64(np.uint64(source))) ^ mix64(np.uint64(target))))


@numba.njit(cache=True, inline="always")
def _sampling_key(noise: float, weight: float, log_weight: float, beta: float, is_race: bool) -> float:
    """The edges with the largest keys are chosen; their logarithm is `beta * log(w)` and Gumbel noise.

    In a race, the key is its monotonic transform `log(noise) / w ** beta`, which takes one logarithm rather than three.
    """
    if is_race:
        weight = np.float64(weight)
        return np.log(noise) / (1.0 if beta == 0.0 else (weight if beta == 1.0 else np.sqrt(weight)))
    return beta * log_weight - np.log(-np.log(noise))


@numba.njit(cache=True, nogil=True)
def _weigh(
    chosen_log: Array,
    all_log: Array,
    chosen: int,
    usable: int,
    beta: float,
    rejected: float,
    deterministic: bool,
    correction: int,
    out: Array,
) -> None:
    """Propagation weights of one target; `chosen_log` and `all_log` are log weights of the chosen and of all usable edges, `rejected`
    is the largest key that was not chosen.
    """
    if chosen == 0:
        return
    if not deterministic and correction == 0:
        out[:] = np.float32(1.0 / chosen)
        return
    # p_v ~ exp(exponent * log w): w ** beta for the deterministic form; p / q ~ w ** (1 - beta) for the correction.
    whole = chosen == usable
    exponent = beta if deterministic else (1.0 if whole else 1.0 - beta)
    normalised = deterministic or whole or correction == 2
    largest = all_log[:usable].max()
    total = 0.0
    if correction == 3 and not normalised:
        for e in range(usable):
            total += np.exp(all_log[e] - largest)
        for e in range(chosen):
            included = -np.expm1(-np.exp(beta * chosen_log[e] - rejected))
            out[e] = np.float32(np.exp(chosen_log[e] - largest) / (total * included))
        return
    for e in range(chosen):
        total += np.exp(exponent * (chosen_log[e] - largest))
    if not normalised:
        p_sum, q_sum = 0.0, 0.0
        for e in range(usable):
            p_sum += np.exp(all_log[e] - largest)
            q_sum += np.exp(beta * (all_log[e] - largest))
        total = chosen * p_sum / q_sum
    for e in range(chosen):
        out[e] = np.float32(np.exp(exponent * (chosen_log[e] - largest)) / total)


@numba.njit(cache=True, nogil=True)
def _kth_largest(values: Array, n: int, k: int) -> tuple[float, int]:
    """The k-th largest of `values[:n]` (reordered), and how many copies of it are among the k largest; Hoare's quickselect."""
    low, high, wanted = 0, n - 1, k - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    threshold = values[wanted]
    larger = 0
    for e in range(n):
        if values[e] > threshold:
            larger += 1
    return threshold, k - larger
