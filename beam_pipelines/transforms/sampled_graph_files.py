"""`SampledGraphFiles`: sampled edges and node features put together and written as TFRecord files."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics

from beam_pipelines.transforms.events_by_user import COUNTER_NAMESPACE
from beam_pipelines.transforms.record_file import write_record_file
from tf_e2egrec.graph.op_sample import OpSample
from tf_e2egrec.graph.subgraph_assembly import assemble
from tf_e2egrec.subgraphs.arrow_block import column, unpack
from tf_e2egrec.subgraphs.example_field import ExampleField
from tf_e2egrec.subgraphs.field_encoding import encode_fields
from tf_e2egrec.subgraphs.sampled_graph_layout import SampledGraphLayout
from tf_e2egrec.subgraphs.sampled_rows import distinct_rows, example_numbers
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet

SEEDS = "seeds"


class SampledGraphFiles(beam.PTransform):
    """(file number, (what, packed rows)) -> one JSON object per file written: `file`, `records`, `bytes`.

    `what` is `SEEDS`, `edges/<number of the op>` or `nodes/<node set>` (features of the nodes, by the column `node`).
    A file holds its records in the order (seed, target).

    Counters: `records`; summed over the records, `nodes/<set>` and `edges/<set>`; `nodes_without_features/<node set>` (per file; their
    features take their missing values).

    Args:
      layout: of the records.
      directory: where the files go; every worker must reach it.
      files: how many there are.
    """

    def __init__(self, layout: SampledGraphLayout, directory: str, files: int) -> None:
        super().__init__()
        self._layout = layout
        self._directory = directory
        self._files = files

    def expand(self, rows: beam.PCollection[tuple[int, tuple[str, bytes]]]) -> beam.PCollection[str]:
        """Rows -> files."""
        files = _Files(self._layout, self._directory, self._files)
        return rows | "ByFile" >> beam.GroupByKey() | "Files" >> beam.ParDo(files)


@beam.typehints.with_input_types(tuple[int, Iterable[tuple[str, bytes]]])
@beam.typehints.with_output_types(str)
class _Files(beam.DoFn):
    def __init__(self, layout: SampledGraphLayout, directory: str, files: int) -> None:
        self._layout = layout
        self._directory = directory
        self._files = files

    def process(self, element: tuple[int, Iterable[tuple[str, bytes]]]) -> Iterator[str]:
        number, pieces = element
        blocks: dict[str, list[bytes]] = {}
        for what, block in pieces:
            blocks.setdefault(what, []).append(block)
        examples = distinct_rows(unpack(blocks[SEEDS]), ("seed", "target"))
        chunks = encode_fields(self._fields(examples, blocks))
        name = f"samples.tfrecord-{number:05d}-of-{self._files:05d}"
        written = write_record_file(Path(self._directory) / name, (chunk.tobytes() for chunk in chunks))
        Metrics.counter(COUNTER_NAMESPACE, "records").inc(len(examples))
        yield json.dumps({"file": name, "records": len(examples), "bytes": written})

    def _fields(self, examples: pa.Table, blocks: dict[str, list[bytes]]) -> list[ExampleField]:
        plan, edge_sets = self._layout.plan, self._layout.edges
        tables = [self._edge_table(number, blocks) for number in range(len(plan.ops))]
        samples: list[OpSample] = []
        per_set: dict[str, list[pa.Table]] = {}
        for op, table in zip(plan.ops, tables, strict=True):
            before = per_set.setdefault(op.edge_set, [])
            first = sum(len(one) for one in before)
            before.append(table)
            samples.append(
                OpSample(
                    example=example_numbers(examples, table),
                    node=column(table, "node"),
                    neighbour=column(table, "neighbour"),
                    weight=column(table, "weight"),
                    propagation_weight=column(table, "share"),
                    row=np.arange(first, first + len(table)),
                )
            )
        ends = {name: (table.source, table.target) for name, table in edge_sets.items()}
        sample = assemble(plan, ends, column(examples, "seed"), samples)
        for kind, sets in (("nodes", sample.nodes), ("edges", sample.edges)):
            for name, one in sets.items():
                Metrics.counter(COUNTER_NAMESPACE, f"{kind}/{name}").inc(int(one.indptr[-1]))
        node_rows = {
            name: self._features_of(self._layout.nodes[name], nodes.keys, blocks)
            for name, nodes in sample.nodes.items()
        }
        edge_rows = {name: pa.concat_tables(parts) for name, parts in per_set.items()}
        return self._layout.fields(sample, column(examples, "target"), node_rows, edge_rows)

    def _edge_table(self, number: int, blocks: dict[str, list[bytes]]) -> pa.Table:
        """The edges of an op, in an order that no shuffle decides."""
        if f"edges/{number}" in blocks:
            table = unpack(blocks[f"edges/{number}"])
            keys = [column(table, name) for name in ("neighbour", "node", "target", "seed")]
            return table.take(pa.array(np.lexsort(keys)))
        ints = pa.array([], pa.int64())
        floats = pa.array([], pa.float32())
        columns = {"seed": ints, "target": ints, "node": ints, "neighbour": ints}
        columns |= {"weight": floats, "share": floats}
        features = self._layout.edge_features(self._layout.plan.ops[number].edge_set)
        return pa.table(columns | {f"f:{one.name}": one.array([]) for one in features})

    def _features_of(self, table: UnigraphSet, keys: np.ndarray, blocks: dict[str, list[bytes]]) -> pa.Table:
        """The features of nodes, those of unknown nodes missing."""
        missing = pa.table({f"f:{one.name}": one.array(one.missing) for one in table.features})
        if not table.features:
            return missing
        found = blocks.get(f"nodes/{table.name}")
        if found is None:
            rows, node = missing, np.zeros(0, np.int64)
        else:
            known = unpack(found)
            node, first = np.unique(column(known, "node"), return_index=True)
            rows = pa.concat_tables([known.take(pa.array(first)).select(missing.column_names), missing])
        place = np.searchsorted(node, keys)
        is_known = np.r_[node, 0][np.minimum(place, len(node))] == keys
        is_known &= place < len(node)
        unknown = len(np.unique(keys[~is_known]))
        Metrics.counter(COUNTER_NAMESPACE, f"nodes_without_features/{table.name}").inc(unknown)
        return rows.take(pa.array(np.where(is_known, place, len(node)))).combine_chunks()
