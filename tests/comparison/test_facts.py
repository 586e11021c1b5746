import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.job import rewrite
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.facts import read_row_facts
from tf_e2egrec.comparison.processes import PlannedRun
from tf_e2egrec.comparison.stay_baselines import MEAN, MEDIAN
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns, record_files

RUNS = [PlannedRun("R5-random-graph", 0, "random", "R5-random-graph"), PlannedRun("R5", 1, "swing", "R5")]


@pytest.fixture
def compared(job, data, tmp_path):
    """DIR with the small job as the graph of R5, its test rows as R5's predictions, and nothing for the random graph."""
    directory = CompareDirectory(tmp_path / "compare")
    run = directory.run("swing")
    run.root.mkdir(parents=True)
    for name in ("graph", "subgraphs"):
        (run.root / name).symlink_to(job[0] / name)
    shutil.copy(data, run.description_file)
    names = {"time": "time", "user": "user_id", "item": "item_id"}
    batches = readout_columns(record_files(run.subgraphs, "test"), dict.fromkeys(names.values(), "int64"))
    read = list(batches.as_numpy_iterator())
    rows = {mine: np.concatenate([batch[name] for batch in read]) for mine, name in names.items()}
    predictions = directory.predictions("R5", 1)
    predictions.mkdir(parents=True)
    pq.write_table(pa.table(rows), predictions / "predictions.parquet")
    return directory, len(rows["time"])


def facts_of(directory, data):
    files = [(0, str(path)) for path in sorted((data.parent / "interactions").glob("*.parquet"))]
    return read_row_facts(directory, RUNS, files, lambda path: Path(path).open("rb"))


def test_facts_come_from_the_graph_of_the_reference_and_are_kept(compared, data):
    directory, n = compared
    facts = facts_of(directory, data)
    assert facts.graph == "swing"
    assert list(facts.slices) == ["item_age", "fresh", "item_popularity", "user_activity", "neighbours"]
    assert list(facts.baselines) == [MEAN, MEDIAN]
    assert {len(values) for values in [*facts.slices.values(), *facts.baselines.values()]} == {n}
    kept = sorted(str(path.relative_to(directory.root)) for path in directory.root.glob("s*/*/*"))
    assert kept == [
        f"{artefact}/swing/{name}"
        for artefact in ("slices", "stay-baselines")
        for name in ("manifest.json", "rows.parquet")
    ]


def test_without_a_stay_label_there_are_no_baselines(compared, data):
    directory, _ = compared
    rewrite(directory.run("swing").description_file, lambda content: content["interactions"][0].pop("stay"))
    facts = facts_of(directory, data)
    assert facts.baselines == {}
    assert not (directory.root / "stay-baselines").exists()
