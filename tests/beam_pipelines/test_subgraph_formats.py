"""The subgraphs stage's second output: neighbour tables, and impressions without neighbours."""

import hashlib
import json

import numpy as np
import pytest

from beam_pipelines import subgraphs
from beam_pipelines.refresh import run_refresh
from beam_pipelines.subgraphs import run_subgraphs
from tests.beam_pipelines.test_refresh import TEXT, assert_is_a_full_run, day_log, full_run, write
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.counter_names import is_named
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.subgraphs.snapshot_tables import SnapshotTables


def text_of(format):
    return TEXT.replace("top: 12}", f"top: 12, format: {format}}}").replace("NEGATIVES", "")


def digests(directory):
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """(description, RUN_DIR) of a run with `format: table`."""
    folder = tmp_path_factory.mktemp("table")
    description = write(folder / "data", range(5), text_of("table"))
    return description, full_run(description, folder / "run")


def test_tables_are_those_of_the_snapshots_that_serve(table):
    description, run = table
    manifest = read_manifest(run / "subgraphs", "subgraphs", "")
    plan, tables = SnapshotPlan.from_description(description), SnapshotTables(run / "subgraphs")
    times = np.concatenate([day_log(day)["t"] for day in range(1, 5)])  # labels from day 1 on
    serving = set(plan.snapshot_at(times).tolist())
    edges = 0
    for snapshot in serving:
        expected = NeighbourTable.load(run / "graph", snapshot).truncate(12)
        for name in ("items", "indptr", "neighbours", "weights"):
            np.testing.assert_array_equal(getattr(tables[snapshot], name), getattr(expected, name))
        edges += len(expected.neighbours)
    entries = manifest.details["tables"]
    assert {entry["snapshot"] for entry in entries} <= serving
    assert [entry["snapshot"] for entry in entries] == sorted(entry["snapshot"] for entry in entries)
    assert manifest.counters["tables"] == len(entries) == len(list((run / "subgraphs/table").iterdir())) > 5
    assert manifest.counters["table_edges"] == edges > 0
    assert manifest.counters["table_items"] == sum(entry["items"] for entry in entries)
    for entry in entries:
        assert (run / "subgraphs" / entry["file"]).stat().st_size == entry["bytes"]
    assert "swing_edges" not in manifest.counters  # the records have none
    assert [name for name in manifest.counters if not is_named(name)] == []


@pytest.mark.parametrize(
    "beam_args",
    [
        ("--subgraphs_partitions=5",),
        ("--subgraphs_partitions=3", "--direct_running_mode=multi_threading", "--direct_num_workers=2"),
    ],
)
def test_bytes_do_not_depend_on_partitions_or_workers(table, tmp_path, beam_args):
    description, run = table
    run_subgraphs(description, run / "graph", tmp_path / "subgraphs", beam_args)
    assert digests(tmp_path / "subgraphs") == digests(run / "subgraphs")


@pytest.mark.parametrize("format", ["table", "both"])
def test_a_refresh_makes_again_the_tables_that_changed(tmp_path, format):
    run = full_run(write(tmp_path / "data", range(5), text_of(format)), tmp_path / "run")
    late = {name: values[:1] for name, values in day_log(2).items()}
    description = write(tmp_path / "data", [*range(6), ("late", late)], text_of(format))
    run_refresh(description, run)
    counters = read_manifest(run / "subgraphs", "subgraphs", "").counters
    assert 0 < counters["tables_reused"] < counters["tables"]
    assert_is_a_full_run(run, description, tmp_path)


def test_another_format_is_refused_by_a_refresh(table):
    description, run = table
    sampling = description.graph.sampling.model_copy(update={"format": "both"})
    graph = description.graph.model_copy(update={"sampling": sampling})
    other = description.model_copy(update={"graph": graph}).with_data_root(description.data_root)
    with pytest.raises(E2EGRecError, match=r"`graph.sampling.format` of the description is not what"):
        run_refresh(other, run)


def test_a_stage_that_fails_leaves_no_tables(table, tmp_path, monkeypatch):
    description, run = table

    def stop(*arguments):
        raise RuntimeError("stopped after the tables")

    monkeypatch.setattr(subgraphs, "_write_schema", stop)
    with pytest.raises(RuntimeError, match="after the tables"):
        run_subgraphs(description, run / "graph", tmp_path / "subgraphs")
    assert list(tmp_path.iterdir()) == []


def test_digests_of_tables_are_those_of_their_windows(table):
    _, run = table
    windows = read_manifest(run / "graph", "swing", "").details["windows"]
    tables = json.loads((run / "subgraphs/manifest.json").read_text())["details"]["tables"]
    assert {entry["digest"] for entry in tables} <= set(windows.values())
    assert all(windows[str(entry["snapshot"])] == entry["digest"] for entry in tables)
