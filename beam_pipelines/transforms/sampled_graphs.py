"""`SampledGraphs`: a graph on disk and a sampling plan -> record files, one record per seed."""

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.transforms.adjacency_lists import AdjacencyLists
from beam_pipelines.transforms.node_features import NodeFeatures
from beam_pipelines.transforms.nodes_of_files import NodesOfFiles, file_of
from beam_pipelines.transforms.op_edges import OpEdges
from beam_pipelines.transforms.rows_with_node import ASKING, KNOWN, ROWS_PER_GROUP
from beam_pipelines.transforms.sampled_graph_files import SEEDS, SampledGraphFiles
from beam_pipelines.transforms.unigraph_rows import UnigraphRows
from beam_pipelines.transforms.usable_edges import UsableEdges
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.subgraphs.arrow_block import column, pack, split, unpack
from tf_e2egrec.subgraphs.sampled_graph_layout import SampledGraphLayout
from tf_e2egrec.subgraphs.sampled_rows import distinct_rows
from tf_e2egrec.subgraphs.unigraph_set import UnigraphSet


class SampledGraphs(beam.PTransform):
    """Files of a graph -> a JSON object per record file written.

    The frontier of each op meets the adjacency lists of its nodes, hop by hop, in a shuffle on node keys. Neither the graph nor a frontier
    has to fit into one worker; a worker holds one partition of each.

    Args:
      layout: of the records.
      seeds: the set that lists them: a node set, or `#source` = seed, `#target` = what its model predicts.
      paths: files of `seeds`, and of each node and edge set, by `seeds`, `nodes/<set>`, `edges/<set>`.
      weights: edge set -> the feature that is its weight, empty where all edges weigh 1.
      directory: where the files go.
      files: how many.
      partitions: of the nodes.
      rows_per_group: see `RowsWithNode`.
    """

    def __init__(
        self,
        layout: SampledGraphLayout,
        seeds: UnigraphSet,
        paths: dict[str, list[str]],
        weights: dict[str, str],
        directory: str,
        files: int,
        partitions: int,
        rows_per_group: int = ROWS_PER_GROUP,
    ) -> None:
        super().__init__()
        self._layout = layout
        self._seeds = seeds
        self._paths = paths
        self._weights = weights
        self._directory = directory
        self._files = files
        self._partitions = partitions
        self._rows_per_group = rows_per_group

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[str]:
        """Seeds -> edges of each op -> features of the nodes -> files."""
        pipeline = begin.pipeline
        rows = pipeline | "SeedRows" >> UnigraphRows(self._seeds, self._paths["seeds"])
        seeds = rows | "Seeds" >> beam.Map(_seed_rows).with_output_types(bytes)
        edges = self._edges(pipeline, seeds)
        pieces = [self._by_file("Seeds", seeds, SEEDS)]
        pieces += [self._by_file(f"Op{number}", one, f"edges/{number}") for number, one in enumerate(edges)]
        pieces += self._features(pipeline, seeds, edges)
        files = SampledGraphFiles(self._layout, self._directory, self._files)
        return pieces | "Pieces" >> beam.Flatten() | "SampledGraphFiles" >> files

    def _edges(
        self, pipeline: beam.Pipeline, seeds: beam.PCollection[bytes]
    ) -> list[beam.PCollection[bytes]]:
        """The edges of each op."""
        plan, sets = self._layout.plan, self._layout.edges
        ends = plan.ends({name: (one.source, one.target) for name, one in sets.items()})
        lists: dict[tuple[str, str], beam.PCollection[bytes]] = {}
        read: dict[str, beam.PCollection[bytes]] = {}
        edges: list[beam.PCollection[bytes]] = []
        arrivals = {-1: seeds}
        for number, (op, name) in enumerate(zip(plan.ops, plan.op_names, strict=True)):
            if op.edge_set not in read:
                table = UnigraphRows(sets[op.edge_set], self._paths[f"edges/{op.edge_set}"])
                rows = pipeline | f"Edges({op.edge_set})" >> table
                usable = UsableEdges(op.edge_set, self._weights[op.edge_set])
                read[op.edge_set] = rows | f"UsableEdges({op.edge_set})" >> usable
            key = op.edge_set, op.direction
            if key not in lists:
                features = tuple(one.name for one in self._layout.edge_features(op.edge_set))
                weight = self._weights[op.edge_set]
                adjacency = AdjacencyLists(features, weight, op.direction, plan.top, self._partitions)
                lists[key] = read[op.edge_set] | f"Adjacency({op.edge_set}, {op.direction})" >> adjacency
            starts = [arrivals[place] for place in plan.inputs_of(number)]
            frontier = starts | f"Frontier({name})" >> beam.Flatten()
            drawn = OpEdges(plan, number, ends[number], self._partitions, self._rows_per_group)
            edges.append({ASKING: frontier, KNOWN: lists[key]} | f"OpEdges({name})" >> drawn)
            arrivals[number] = edges[-1] | f"Arrivals({name})" >> beam.Map(_arrivals).with_output_types(bytes)
        return edges

    def _features(
        self, pipeline: beam.Pipeline, seeds: beam.PCollection[bytes], edges: list[beam.PCollection[bytes]]
    ) -> list[beam.PCollection[tuple[int, tuple[str, bytes]]]]:
        """The features of the nodes of each node set that has some, by file."""
        plan = self._layout.plan
        ends = plan.ends({name: (one.source, one.target) for name, one in self._layout.edges.items()})
        pieces = []
        for name, table in self._layout.nodes.items():
            if not table.features:
                continue
            nodes = [
                one | f"Nodes({name}, {number})" >> NodesOfFiles(self._files, "neighbour")
                for number, one in enumerate(edges)
                if ends[number].arrival == name
            ]
            if name == plan.seed_node_set:
                nodes.append(seeds | f"Nodes({name}, seeds)" >> NodesOfFiles(self._files, "node"))
            rows = pipeline | f"NodeRows({name})" >> UnigraphRows(table, self._paths[f"nodes/{name}"])
            sides = {
                ASKING: nodes | f"AllNodes({name})" >> beam.Flatten(),
                KNOWN: rows | f"NodeFeatures({name})" >> beam.Map(_known_nodes).with_output_types(bytes),
            }
            features = sides | f"JoinedFeatures({name})" >> NodeFeatures(
                self._partitions, self._rows_per_group
            )
            pieces.append(features | f"Tag({name})" >> _with_tag(f"nodes/{name}"))
        return pieces

    def _by_file(
        self, label: str, rows: beam.PCollection[bytes], what: str
    ) -> beam.PCollection[tuple[int, tuple[str, bytes]]]:
        split_rows = beam.FlatMap(_split_by_file, self._files, what)
        return rows | f"{label}ByFile" >> split_rows.with_output_types(tuple[int, tuple[str, bytes]])


def _seed_rows(block: bytes) -> bytes:
    table = unpack([block])
    is_pair = "#source" in table.column_names
    seed = column(table, "#source" if is_pair else "#id")
    target = column(table, "#target") if is_pair else np.full(len(seed), MISSING_KEY, np.int64)
    return pack(pa.table({"seed": seed, "target": target, "node": seed}))


def _arrivals(block: bytes) -> bytes:
    table = unpack([block]).select(["seed", "target", "neighbour"])
    return pack(distinct_rows(table.rename_columns(["seed", "target", "node"]), ("seed", "target", "node")))


def _known_nodes(block: bytes) -> bytes:
    table = unpack([block])
    return pack(
        table.rename_columns(["node" if name == "#id" else f"f:{name}" for name in table.column_names])
    )


def _split_by_file(block: bytes, files: int, what: str) -> list[tuple[int, tuple[str, bytes]]]:
    table = unpack([block])
    return [(number, (what, rows)) for number, rows in split(table, file_of(table, files))]


def _with_tag(what: str) -> beam.PTransform:
    return beam.Map(_tagged, what).with_output_types(tuple[int, tuple[str, bytes]])


def _tagged(element: tuple[int, bytes], what: str) -> tuple[int, tuple[str, bytes]]:
    return element[0], (what, element[1])
