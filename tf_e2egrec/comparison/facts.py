"""What the report of a comparison needs to know of the test rows besides labels and predictions."""

from collections.abc import Sequence

import pyarrow.parquet as pq

from tf_e2egrec.comparison.columns import Columns
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.one_run import PREDICTIONS_FILE
from tf_e2egrec.comparison.processes import PlannedRun
from tf_e2egrec.comparison.slices import read_slices
from tf_e2egrec.comparison.stay_baselines import read_stay_baselines
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw
from tf_e2egrec.evaluation.comparison import reference_of
from tf_e2egrec.evaluation.row_facts import RowFacts

_ROW = ["time", "user", "item"]


def read_row_facts(
    directory: CompareDirectory, runs: Sequence[PlannedRun], files: LogFiles, open_raw: OpenRaw
) -> RowFacts:
    """Slices of the test rows, and the stay baselines' predictions; what is up to date in `directory` is reused.

    Args:
      directory: of a comparison whose predictions are there.
      runs: all of them; neighbours are counted in the graph of the reference model.
      files: every file of every log.
      open_raw: opens a path's bytes.
    """
    reference = reference_of([run.label for run in runs])
    first = next(run for run in runs if run.label == reference)
    graph, run = first.graph, directory.run(first.graph)
    description = run.description()
    table = pq.read_table(directory.predictions(first.model, first.seed) / PREDICTIONS_FILE, columns=_ROW)
    rows: Columns = {name: table.column(name).to_numpy() for name in _ROW}
    slices = read_slices(directory.slices(graph), run, description, rows, files, open_raw)
    baselines = (
        read_stay_baselines(directory.stay_baselines(graph), run, rows) if description.has_stay else {}
    )
    return RowFacts(slices, baselines, graph)
