"""`SnapshotTables`: the neighbour tables that the subgraphs stage wrote, one memory-mapped file per snapshot.

`table/snapshot=<id>.arrow` is an Arrow IPC file with a row per item that has neighbours, in the order of the keys: `item` int64 and
`neighbours`, a list of (`neighbour` int64, `weight` float32), heaviest first. It takes 16 bytes per item and 12 per edge.
"""

import uuid
from pathlib import Path

import pyarrow as pa

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable

FOLDER = "table"


def table_file(snapshot: int) -> str:
    """Path of a snapshot's table below the artefact's directory."""
    return f"{FOLDER}/snapshot={snapshot}.arrow"


def write_table(table: NeighbourTable, path: Path) -> int:
    """Write a table of at least one item; the file appears whole, however often the step is retried.

    Returns:
      Its size in bytes.
    """
    pairs = pa.StructArray.from_arrays(
        [pa.array(table.neighbours), pa.array(table.weights)], names=["neighbour", "weight"]
    )
    columns = {
        "item": pa.array(table.items),
        "neighbours": pa.LargeListArray.from_arrays(pa.array(table.indptr), pairs),
    }
    batch = pa.record_batch(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        size = temporary.stat().st_size
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return size


def read_table(path: Path) -> NeighbourTable:
    """Map a table into memory: its arrays are read-only, and read from the file where they are used.

    Raises:
      E2EGRecError: the file is damaged.
    """
    try:
        with pa.memory_map(str(path)) as source:  # the mapping lives on in the arrays
            batch = pa.ipc.open_file(source).get_batch(0)
        lists = batch.column("neighbours")
        return NeighbourTable(
            items=batch.column("item").to_numpy(),
            indptr=lists.offsets.to_numpy(),
            neighbours=lists.values.field("neighbour").to_numpy(),
            weights=lists.values.field("weight").to_numpy(),
        )
    except (KeyError, pa.ArrowException) as error:
        raise E2EGRecError(
            f"the neighbour table {path} is damaged ({error}); run `e2egrec subgraphs --force`"
        ) from None


class SnapshotTables:
    """Neighbour tables by snapshot, opened when they are first asked for.

    Args:
      directory: of the subgraphs stage, RUN_DIR/subgraphs.

    Raises:
      E2EGRecError: the stage wrote no tables there.
    """

    def __init__(self, directory: Path) -> None:
        if not (directory / FOLDER).is_dir():
            raise E2EGRecError(
                f"{directory} holds no neighbour table; set `graph.sampling.format` to `table` or `both`, then run "
                "`e2egrec subgraphs` again"
            )
        self._directory = directory
        self._open: dict[int, NeighbourTable] = {}

    def __getitem__(self, snapshot: int) -> NeighbourTable:
        """The table of a snapshot; an empty one where the snapshot has no edges (-1: there is none yet)."""
        table = self._open.get(snapshot)
        if table is None:
            path = self._directory / table_file(snapshot)
            table = read_table(path) if path.exists() else NeighbourTable.empty()
            self._open[snapshot] = table
        return table
