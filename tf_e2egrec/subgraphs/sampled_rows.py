"""Rows of sampled subgraphs as Arrow tables, before they are put together.

An example is named by the columns `seed` and `target` (-1 without a target).
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tf_e2egrec.subgraphs.arrow_block import column


def distinct_rows(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The distinct rows of some int64 columns, in their order."""
    columns = [column(table, name) for name in names]
    order = np.lexsort(columns[::-1])
    new = np.zeros(len(order), bool)
    new[:1] = True
    for one in columns:
        new[1:] |= np.diff(one[order]) != 0
    return pa.table({name: one[order[new]] for name, one in zip(names, columns, strict=True)})


def example_numbers(examples: pa.Table, rows: pa.Table) -> np.ndarray:
    """Which example each row belongs to; int64 [m].

    Args:
      examples: distinct (`seed`, `target`), in order.
      rows: every one of an example that is listed.
    """
    seeds, targets = column(examples, "seed"), column(examples, "target")
    known_seeds, known_targets = np.unique(seeds), np.unique(targets)

    def code(seed: np.ndarray, target: np.ndarray) -> np.ndarray:
        place: np.ndarray = np.searchsorted(known_seeds, seed) * len(known_targets)
        return place + np.searchsorted(known_targets, target)

    return np.searchsorted(code(seeds, targets), code(column(rows, "seed"), column(rows, "target")))
