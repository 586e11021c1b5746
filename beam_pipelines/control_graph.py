"""The graphs that Swing is compared with, made from finished edge files.

A control is no production graph: one process rewrites the files, and holds the edges of one snapshot (20 bytes each, some 150
while a random or a two-hop graph is made).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.transforms.swing_shard import NEWEST_EVENT_TIME, write_edges_file
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.graph.co_occurrence import co_occurrence_edges, pair_counting_spec
from tf_e2egrec.graph.rewiring import rewired
from tf_e2egrec.graph.swing import SwingEdges
from tf_e2egrec.graph.two_hop import two_hop_edges


def computed_for_control(description: DatasetDescription) -> DatasetDescription:
    """The description whose Swing edges `write_control` can turn into those that `graph.edges` asks for."""
    if description.graph.edges != "co-occurrence":
        return description
    graph = description.graph.model_copy(update={"swing": pair_counting_spec(description.graph.swing)})
    return description.model_copy(update={"graph": graph})


def write_control(directory: Path, description: DatasetDescription) -> dict[str, int]:
    """Turn the Swing edges of every snapshot into those that `graph.edges` asks for, in place.

    Args:
      directory: holds `snapshot=<id>/shard-<n>.parquet`; of a random and of a two-hop graph one file per snapshot is left.
      description: `graph.edges: swing` leaves everything as it is.

    Returns:
      Counters: `edges_in_common`, edges of the random graph that the Swing graph has, too.
    """
    kind = description.graph.edges
    if kind == "swing":
        return {}
    in_common = 0
    for snapshot in sorted(directory.glob("snapshot=*")):
        files = sorted(snapshot.glob("*.parquet"))
        if kind == "co-occurrence":
            for file in files:
                write_edges_file(co_occurrence_edges(_read([file])), file)
            continue
        edges = _read(files)
        if kind == "random":
            edges = rewired(edges, description.seed, int(snapshot.name.removeprefix("snapshot=")))
            in_common += edges.counters["edges_in_common"]
        else:
            edges = two_hop_edges(edges, description.graph.swing.top)
        for file in files:
            file.unlink()
        write_edges_file(edges, snapshot / "shard-00000.parquet")
    return {"edges_in_common": in_common} if kind == "random" else {}


def _read(files: list[Path]) -> SwingEdges:
    """Edges of some shards of one snapshot, in the order that one shard would give."""
    tables = [pq.ParquetFile(file).read() for file in files]
    newest = max(int(table.schema.metadata[NEWEST_EVENT_TIME]) for table in tables)
    table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    order = np.lexsort((columns["source"], -columns["weight"], columns["target"]))
    ordered = {name: column[order] for name, column in columns.items()}
    return SwingEdges(
        source=ordered["source"],
        target=ordered["target"],
        weight=ordered["weight"],
        normalised=ordered.get("normalised"),
        counters={},
        newest_event_time=newest,
    )
